package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	chartloader "helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/strvals"
)

// values merges the values files of a source in their order, then what it sets, then its local values files.
func (r *rendering) values(s *Source) (map[string]any, error) {
	merged, err := r.mergeFiles(map[string]any{}, s.Helm.Values, s.Pos, "source "+s.Name)
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(s.Helm.Set)) { // sorted: a before a.b, so that the more exact path wins
		if err := set(merged, key, s.Helm.Set[key]); err != nil {
			return nil, config(s.Pos, fmt.Sprintf("value %q that source %s sets", key, s.Name), err, "Keys are paths as helm --set has them: a.b, list[0].")
		}
	}
	if s.Local == nil {
		return merged, nil
	}
	return r.mergeFiles(merged, s.Local.Values, s.Local.Pos, "local of source "+s.Name)
}

// mergeFiles merges values files over values; pos and whose are for errors.
func (r *rendering) mergeFiles(merged map[string]any, files []string, pos, whose string) (map[string]any, error) {
	for _, file := range files {
		data, err := os.ReadFile(join(r.in.Dir, file))
		if err != nil {
			return nil, config(pos, fmt.Sprintf("values file %s of %s", file, whose), r.inProject(err), "Values files are relative to the folder of devenv.yaml.")
		}
		values, err := chartloader.LoadValues(bytes.NewReader(data))
		if err != nil {
			return nil, valuesFileError(file, data, err)
		}
		merged = chartloader.MergeMaps(merged, values)
	}
	return merged, nil
}

// set puts a typed value at a path. Helm prints large whole numbers of "--set" in full and those of files as floating
// point; a whole number that is set here behaves as with "--set".
func set(values map[string]any, key string, value any) error {
	switch value.(type) {
	case int, int64, uint64:
		return strvals.ParseInto(fmt.Sprintf("%s=%d", key, value), values)
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return strvals.ParseJSON(key+"="+string(encoded), values)
}

// valuesFileError finds the line of a values file that cannot be read.
func valuesFileError(file string, data []byte, err error) error {
	for _, t := range split(data, yamlMarker) {
		_, _, err := decode(t.data)
		var syntax *syntaxError
		if errors.As(err, &syntax) {
			what := "not a valid values file"
			if strings.HasPrefix(syntax.Error(), "expected an object") {
				return config(fmt.Sprintf("%s:%d", file, t.line+syntax.line-1), what, errors.New("expected a mapping at the top"), "")
			}
			return config(fmt.Sprintf("%s:%d", file, t.line+syntax.line-1), what, syntax, "")
		}
	}
	return config(file, "not a valid values file", err, "")
}
