package secret_test

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/secret"
)

// key is the same in every test, so that hashes can be compared with what is written here.
var key = secret.Key{1, 2, 3}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestMaskerHidesEveryValueOfASecret(t *testing.T) {
	m := secret.NewMasker(key)
	hunter := m.Value([]byte("hunter2"))
	for name, c := range map[string]struct{ object, want string }{
		"data and stringData alike": {
			`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db"},"type":"Opaque","data":{"a":"aHVudGVyMg=="},"stringData":{"b":"hunter2"}}`,
			`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db"},"type":"Opaque","data":{"a":"` + hunter + `"},"stringData":{"b":"` + hunter + `"}}`,
		},
		"what kubectl noted": {
			`{"apiVersion":"v1","kind":"Secret","metadata":{"annotations":{"a":"b","kubectl.kubernetes.io/last-applied-configuration":"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{\"a\":\"aHVudGVyMg==\"}}"}}}`,
			`{"apiVersion":"v1","kind":"Secret","metadata":{"annotations":{"a":"b","kubectl.kubernetes.io/last-applied-configuration":"{\"apiVersion\":\"v1\",\"data\":{\"a\":\"` + hunter + `\"},\"kind\":\"Secret\"}"}}}`,
		},
		"what kubectl noted, broken": {
			`{"apiVersion":"v1","kind":"Secret","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"hunter2"}}}`,
			`{"apiVersion":"v1","kind":"Secret","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"` + hunter + `"}}}`,
		},
		"not in base64": {
			`{"apiVersion":"v1","kind":"Secret","data":{"a":"hunter2"}}`,
			`{"apiVersion":"v1","kind":"Secret","data":{"a":"` + hunter + `"}}`,
		},
		"not texts": {
			`{"apiVersion":"v1","kind":"Secret","stringData":{"a":12345678901,"b":null,"c":{"d":"hunter2"}}}`,
			`{"apiVersion":"v1","kind":"Secret","stringData":{"a":"` + m.Value([]byte("12345678901")) + `","b":null,"c":"` + m.Value([]byte(`{"d":"hunter2"}`)) + `"}}`,
		},
		"no map at all": {
			`{"apiVersion":"v1","kind":"Secret","data":"hunter2","stringData":null}`,
			`{"apiVersion":"v1","kind":"Secret","data":"` + hunter + `","stringData":null}`,
		},
		"another kind": {
			`{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"hunter2"}}`,
			`{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"hunter2"}}`,
		},
		"another group's Secret": {
			`{"apiVersion":"example.com/v1","kind":"Secret","data":{"a":"hunter2"}}`,
			`{"apiVersion":"example.com/v1","kind":"Secret","data":{"a":"hunter2"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			before, given := object(t, c.object), object(t, c.object)
			if diff := cmp.Diff(object(t, c.want), m.Object(given)); diff != "" {
				t.Errorf("Object: (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(before, given); diff != "" {
				t.Errorf("the object itself was changed:\n%s", diff)
			}
			masked, err := m.JSON([]byte(c.object))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object(t, c.want), object(t, string(masked))); diff != "" {
				t.Errorf("JSON: (-want +got)\n%s", diff)
			}
		})
	}
}

func TestAHashIsShortAndKeyed(t *testing.T) {
	a, b := secret.NewMasker(secret.NewKey()), secret.NewMasker(secret.NewKey())
	rapid.Check(t, func(t *rapid.T) {
		v, w := rapid.SliceOf(rapid.Byte()).Draw(t, "v"), rapid.SliceOf(rapid.Byte()).Draw(t, "w")
		if !regexp.MustCompile(`^secret:[0-9a-f]{8}$`).MatchString(a.Value(v)) {
			t.Fatalf("Value = %q", a.Value(v))
		}
		if same := string(v) == string(w); (a.Hash(v) == a.Hash(w)) != same {
			t.Fatalf("hashes of %q and %q: equal is %v", v, w, !same)
		}
		if a.Hash(v) == b.Hash(v) || a.Value(v) == b.Value(v) {
			t.Fatalf("%q has the same hash under two keys", v)
		}
	})
}

// Whatever the values of a Secret are, the masked object holds none of them.
func TestNoValueIsLeftInAMaskedObject(t *testing.T) {
	m := secret.NewMasker(key)
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[A-Z]{4}-[a-z0-9"\\\n ]{4,20}`).Draw(t, "value")
		raw, err := json.Marshal(map[string]any{
			"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "n"},
			"data":       map[string]any{"k": base64.StdEncoding.EncodeToString([]byte(value)), "l": value},
			"stringData": map[string]any{"m": value},
		})
		if err != nil {
			t.Fatal(err)
		}
		masked, err := m.JSON(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(string(masked), m.Value([]byte(value))); got != 3 {
			t.Fatalf("%d hashes in %s", got, masked)
		}
		for _, form := range []string{value[:4], base64.StdEncoding.EncodeToString([]byte(value))[:5]} {
			if strings.Contains(string(masked), form) {
				t.Fatalf("%q is in %s", form, masked)
			}
		}
	})
}

func TestJSONOfWhatIsNoObject(t *testing.T) {
	if _, err := secret.NewMasker(key).JSON([]byte(`"Secret" {`)); err == nil {
		t.Error("no error")
	}
}

func FuzzMasker(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"v1","kind":"Secret","data":{"a":"aHVudGVyMg=="},"stringData":{"b":"hunter2"}}`))
	f.Add([]byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}},"data":[1]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		masked, err := secret.NewMasker(key).JSON(data)
		if err == nil && !json.Valid(masked) && json.Valid(data) {
			t.Errorf("%q became %q, which is no JSON", data, masked)
		}
		var r secret.Redactor
		r.AddJSON(data)
		r.Clean(string(data))
	})
}
