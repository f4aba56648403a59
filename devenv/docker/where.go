package docker

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	bkerrdefs "github.com/moby/buildkit/solver/errdefs"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// where is the line of the Dockerfile that an error is about, as "file:line", or only the file where the line is not known. BuildKit
// puts the line into its errors, but engines up to 20.10 lose it on the way; there it follows from the step that failed.
func (b Build) where(err error, st *step) string {
	line := b.line(err, st)
	if line == 0 {
		return b.DockerfileName
	}
	return b.DockerfileName + ":" + strconv.Itoa(line)
}

// line is the same as a number; 0 where it is not known.
func (b Build) line(err error, st *step) int {
	line := sourceLine(err)
	if line == 0 && st != nil {
		line = stepLine(b.Dockerfile, st.name)
	}
	return line
}

var parseErrorLine = regexp.MustCompile(`parse error (?:on )?line (\d+)`)

// sourceLine is the line that the error itself names, or 0.
func sourceLine(err error) int {
	for _, s := range bkerrdefs.Sources(err) {
		for _, r := range s.Ranges {
			if s.Info != nil && s.Info.Filename == dockerfileName && r.Start.Line > 0 {
				return int(r.Start.Line)
			}
		}
	}
	if m := parseErrorLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		return line
	}
	return 0
}

// numbered is the name of a step that is an instruction: "[build 3/5] RUN make", "[2/2] COPY . /", "[linux/arm64 build 3/5] RUN make".
// What stands before the numbers is a platform, a stage, both or neither.
var numbered = regexp.MustCompile(`(?s)^\[\s*(?:([^\]]*?)\s+)?(\d+)/(\d+)\] (\w+) (.*)`)

// stepLine is the line of the instruction that a step's name stands for, or 0 where that is not certain.
func stepLine(dockerfile []byte, name string) int {
	parsed, err := parser.Parse(bytes.NewReader(dockerfile))
	if err != nil {
		return 0
	}
	if image := imageIn(name); image != "" {
		return imageLine(dockerfile, parsed.AST.Children, image)
	}
	m := numbered.FindStringSubmatch(name)
	if m == nil {
		return 0
	}
	name = m[1][strings.LastIndexByte(m[1], ' ')+1:]
	if strings.Contains(name, "/") {
		name = ""
	}
	n, _ := strconv.Atoi(m[2])
	total, _ := strconv.Atoi(m[3])
	var found []*parser.Node
	for i, s := range stagesOf(parsed.AST.Children) {
		if name != "" && !strings.EqualFold(name, s.name) && name != "stage-"+strconv.Itoa(i) || len(s.counted) != total || n < 1 || n > total {
			continue
		}
		if node := s.counted[n-1]; strings.EqualFold(node.Value, m[4]) {
			if spaced(node.Original) == spaced(m[4]+" "+m[5]) {
				return node.StartLine
			}
			found = append(found, node) // its variables are expanded in the name
		}
	}
	if len(found) == 1 {
		return found[0].StartLine
	}
	return 0
}

// stage is a stage of a Dockerfile with the instructions that BuildKit counts: those that make a layer, and FROM an image.
type stage struct {
	name    string
	counted []*parser.Node
}

func stagesOf(nodes []*parser.Node) []stage {
	var stages []stage
	named := map[string]bool{}
	for _, node := range nodes {
		if strings.EqualFold(node.Value, "from") {
			s := stage{}
			base, as := node.Next, (*parser.Node)(nil)
			if base != nil && base.Next != nil && strings.EqualFold(base.Next.Value, "as") {
				as = base.Next.Next
			}
			if base != nil && base.Value != "scratch" && !named[strings.ToLower(base.Value)] {
				s.counted = append(s.counted, node)
			}
			if as != nil {
				s.name = as.Value
				named[strings.ToLower(as.Value)] = true
			}
			stages = append(stages, s)
			continue
		}
		if len(stages) == 0 {
			continue
		}
		switch strings.ToLower(node.Value) {
		case "run", "copy", "add", "workdir":
			last := &stages[len(stages)-1]
			last.counted = append(last.counted, node)
		}
	}
	return stages
}

// imageLine is the line of the instruction that names an image: FROM, COPY --from, or the `# syntax=` line.
func imageLine(dockerfile []byte, nodes []*parser.Node, image string) int {
	if ref, _, at, ok := parser.DetectSyntax(dockerfile); ok && familiar(ref) == image && len(at) > 0 {
		return at[0].Start.Line
	}
	for _, node := range nodes {
		if strings.EqualFold(node.Value, "from") && node.Next != nil && familiar(node.Next.Value) == image {
			return node.StartLine
		}
		for _, flag := range node.Flags {
			if from, ok := strings.CutPrefix(flag, "--from="); ok && familiar(from) == image {
				return node.StartLine
			}
		}
	}
	return 0
}

// spaced is text with each run of white space as one space.
func spaced(text string) string { return strings.Join(strings.Fields(text), " ") }
