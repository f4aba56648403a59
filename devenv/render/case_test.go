package render

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	yamlv3 "gopkg.in/yaml.v3"
	"sigs.k8s.io/yaml"

	"github.com/devenv-run/devenv/devenv/fault"
)

// A case is a small project in one txtar file: input.yaml holds the Input (fields of the Go types, in any case), want
// what Render makes of it or says about it. Files below a name that ends in .tgz are packed into that archive; cluster.yaml holds what
// charts find when they look things up.
type testcase struct {
	name  string
	file  string
	input Input
	want  string
}

// cases unpacks the cases of a folder of testdata into a directory for each: those of "cases" render, those of "bad" are refused.
func cases(t testing.TB, folder string) []testcase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatal("no cases: ", err)
	}
	var all []testcase
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := testcase{name: strings.TrimSuffix(filepath.Base(file), ".txtar"), file: file}
		c.input, c.want = unpack(t, archive)
		all = append(all, c)
	}
	return all
}

// unpack writes an archive's files into a new directory and reads the input from it.
func unpack(t testing.TB, archive *txtar.Archive) (in Input, want string) {
	t.Helper()
	dir := t.TempDir()
	packed := map[string][]txtar.File{} // what goes into archives, by their paths
	for _, f := range archive.Files {
		// Txtar has no way to write a byte order mark, a tab that editors keep, or CRLF.
		f.Data = []byte(strings.NewReplacer("<BOM>", "\ufeff", "<CR>", "\r", "<TAB>", "\t").Replace(string(f.Data)))
		switch f.Name {
		case "want":
			want = string(f.Data)
			continue
		case "cluster.yaml":
			in.Capabilities.Lookup = holding(t, string(f.Data))
			continue
		case "input.yaml":
			lookup := in.Capabilities.Lookup
			if err := yaml.UnmarshalStrict(f.Data, &in); err != nil {
				t.Fatal(err)
			}
			in.Capabilities.Lookup = lookup
			keepIntegers(t, f.Data, &in)
		}
		if tgz, inside, ok := strings.Cut(f.Name, ".tgz/"); ok {
			packed[tgz+".tgz"] = append(packed[tgz+".tgz"], txtar.File{Name: inside, Data: f.Data})
			continue
		}
		write(t, filepath.Join(dir, f.Name), f.Data)
	}
	for file, files := range packed {
		write(t, filepath.Join(dir, file), pack(t, files))
	}
	in.Dir = dir
	return in, want
}

// keepIntegers reads what sources set once more, as devenv.yaml is read: in JSON, on the way to the fields of Input, all
// numbers become floating point.
func keepIntegers(t testing.TB, data []byte, in *Input) {
	t.Helper()
	var typed struct {
		Sources []struct {
			Helm struct{ Set map[string]any }
		}
	}
	if err := yamlv3.Unmarshal(data, &typed); err != nil {
		t.Fatal(err)
	}
	for i, s := range typed.Sources {
		if len(s.Helm.Set) > 0 {
			in.Sources[i].Helm.Set = s.Helm.Set
		}
	}
}

// write makes a file, and the folders above it.
func write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestCases(t *testing.T) {
	for _, c := range cases(t, "cases") {
		t.Run(c.name, func(t *testing.T) { c.check(t) })
	}
}

// Bad input is refused with a fault of the configuration that says where, in the words of the golden file.
func TestBad(t *testing.T) {
	for _, c := range cases(t, "bad") {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Render(t.Context(), c.input); err == nil {
				t.Error("it renders")
			}
			c.check(t)
		})
	}
}

// check compares what Render does with what the case wants.
func (c testcase) check(t *testing.T) {
	t.Helper()
	got := outcome(t, c.input)
	if *update {
		rewrite(t, c.file, got)
		return
	}
	if diff := cmp.Diff(c.want, got); diff != "" {
		t.Errorf("different (-want +got); run the test with -update if that is right\n%s", diff)
	}
}

// outcome is what Render does with an input, as text.
func outcome(t *testing.T, in Input) string {
	t.Helper()
	result, err := Render(t.Context(), in)
	if err == nil {
		return describe(t, result)
	}
	if kind := fault.Of(err); kind != fault.Config {
		t.Errorf("the error is of kind %d, want a fault of the configuration", kind)
	}
	if strings.Contains(err.Error(), in.Dir) {
		t.Errorf("the error names the absolute path of the project: %v", err)
	}
	var b strings.Builder
	for _, err := range fault.All(err) {
		b.WriteString("error " + err.Error() + "\n")
		f, ok := err.(*fault.Error)
		if !ok {
			t.Errorf("not a fault: %v", err)
			continue
		}
		if f.Where == "" {
			t.Errorf("the error does not say where: %v", err)
		}
		if f.Detail != "" {
			b.WriteString("  | " + strings.ReplaceAll(f.Detail, "\n", "\n  | ") + "\n")
		}
		if f.Next != "" {
			b.WriteString("  next " + f.Next + "\n")
		}
	}
	return b.String()
}

// rewrite puts what was found into a case's file.
func rewrite(t *testing.T, file, got string) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	kept := archive.Files[:0]
	for _, f := range archive.Files {
		if f.Name != "want" {
			kept = append(kept, f)
		}
	}
	archive.Files = append(kept, txtar.File{Name: "want", Data: []byte(got)})
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
