package dockerfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Extract is a Dockerfile with one more stage, which has nothing but outputs of the others.
type Extract struct {
	Dockerfile []byte
	Target     string // the stage
	Line       int    // of its first line; what is before is as it was
}

// Name is what the i-th output is called in the root directory of the stage.
func (Extract) Name(i int) string { return strconv.Itoa(i) }

// ExtractOutputs makes a Dockerfile that has the same stages as data and a last one that takes outputs of them, with the same owner and mode as their instructions ask for. A
// build of it is a build of data's stages, as far as they are needed for that.
func ExtractOutputs(data []byte, outputs []Output) (Extract, error) {
	before, names, err := outline(data)
	if err != nil {
		return Extract{}, err
	}
	e := Extract{Target: "devenv-outputs"}
	for n := 2; slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, e.Target) }); n++ {
		e.Target = fmt.Sprintf("devenv-outputs-%d", n)
	}
	var out bytes.Buffer
	out.Write(data)
	if !bytes.HasSuffix(data, []byte("\n")) {
		out.WriteByte('\n')
	}
	e.Line = bytes.Count(out.Bytes(), []byte("\n")) + 1
	fmt.Fprintf(&out, "FROM scratch AS %s\n", e.Target)
	for i, o := range outputs {
		paths, err := json.Marshal([]string{o.From, "/" + e.Name(i)})
		if err != nil {
			return Extract{}, err
		}
		fmt.Fprintf(&out, "COPY --from=%d", o.Stage)
		if o.Chown != "" {
			fmt.Fprintf(&out, " --chown=%s", o.Chown)
		}
		if o.Chmod != "" {
			fmt.Fprintf(&out, " --chmod=%s", o.Chmod)
		}
		fmt.Fprintf(&out, " %s\n", paths)
	}
	e.Dockerfile = out.Bytes()
	// What data ends with may swallow what comes after it.
	after, _, err := outline(e.Dockerfile)
	if err == nil && !slices.Equal(after, append(before, 1+len(outputs))) {
		err = errors.New("the Dockerfile's last line goes on")
	}
	return e, err
}

// outline is how many instructions each of a Dockerfile's stages has, with its FROM, and what the stages are called.
func outline(data []byte) (sizes []int, names []string, err error) {
	ast, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, nil, located(err)
	}
	all, _, err := instructions.Parse(ast.AST, linter.New(&linter.Config{}))
	if err != nil {
		return nil, nil, located(err)
	}
	for _, s := range all {
		sizes, names = append(sizes, 1+len(s.Commands)), append(names, s.Name)
	}
	return sizes, names, nil
}
