package dockerfile

import (
	"bytes"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// WithoutSyntax is a Dockerfile without its syntax line. The engine's own frontend builds it then, and asks no registry for another.
// Every instruction keeps its line number, so that errors point at the right place: an empty line stands where the
// other directives end, for an empty line between them would make comments of those that follow.
func WithoutSyntax(data []byte) []byte {
	_, _, where, found := parser.DetectSyntax(data)
	line := firstLine(where)
	if !found || line == 0 {
		return data
	}
	last := line
	for _, directive := range []string{"escape", "check"} {
		if _, _, where, ok := parser.ParseDirective(directive, data); ok {
			last = max(last, firstLine(where))
		}
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	result := make([]byte, 0, len(data))
	for i, text := range lines {
		if i+1 != line {
			result = append(result, text...)
		}
		if i+1 == last {
			if len(result) > 0 && result[len(result)-1] != '\n' {
				result = append(result, '\n')
			}
			result = append(result, '\n')
		}
	}
	return result
}
