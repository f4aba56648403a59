package devenv

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
	"github.com/devenv-run/devenv/devenv/secret"
)

// knowing is a redactor that knows one value.
func knowing(value string) *secret.Redactor {
	r := &secret.Redactor{}
	r.Add([]byte(value))
	return r
}

// anything has every shape that a field of an event may have.
type anything struct {
	Text    string
	Named   plan.Action
	Texts   []string
	Map     map[string]any
	Raw     json.RawMessage
	Bytes   []byte
	At      time.Time
	Err     error
	Nothing error
	Pointer *plan.Step
	Nil     *plan.Step
	Nested  []struct{ Inner map[string][]string }
	hidden  string
}

func (anything) Type() string { return "anything" }

func TestEventsAreCleanedWhateverTheirShape(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	shape := func(v string) anything {
		return anything{
			Text: "is " + v, Named: plan.Action(v), Texts: []string{"a", v}, Map: map[string]any{v: []any{v, 1, nil, true}, "b": map[string]any{"c": v}},
			Raw: json.RawMessage(`{"a":"` + v + `"}`), Bytes: []byte("hunter22"), At: at,
			Pointer: &plan.Step{Subject: v, Object: &plan.Object{ID: plan.ID{Name: v}}},
			Nested:  []struct{ Inner map[string][]string }{{map[string][]string{"k": {v}}}}, hidden: "hunter22",
		}
	}
	given, before := shape("hunter22"), shape("hunter22")
	given.Err = errors.New("wrong: hunter22")
	var got anything
	clean(knowing("hunter22"), event.SinkFunc(func(e event.Event) { got = e.(anything) })).Emit(given)
	if got.Err == nil || got.Err.Error() != "wrong: ***" {
		t.Errorf("Err = %v", got.Err)
	}
	got.Err, given.Err = nil, nil
	if diff := cmp.Diff(shape("***"), got, cmp.AllowUnexported(anything{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(before, given, cmp.AllowUnexported(anything{})); diff != "" {
		t.Errorf("the event itself was changed (-before +after)\n%s", diff)
	}
}

func TestANumberThatIsASecretLeavesValidJSON(t *testing.T) {
	var got anything
	clean(knowing("12345678"), event.SinkFunc(func(e event.Event) { got = e.(anything) })).Emit(anything{Raw: json.RawMessage(`{"pin":12345678}`)})
	if !json.Valid(got.Raw) || strings.Contains(string(got.Raw), "12345678") {
		t.Errorf("Raw = %s", got.Raw)
	}
}

// Parity compares numbers as they are written, in fields that take any value.
func TestANumberOfAnyValueThatIsASecretBecomesAString(t *testing.T) {
	parity := func(old, now any) event.Parity {
		return event.Parity{Objects: []event.ParityObject{{Changes: []event.ParityChange{{
			Path: "data.pin", Old: old, New: map[string]any{"pins": []any{now, json.Number("3")}},
		}}}}}
	}
	var got event.Event
	clean(knowing("12345678"), event.SinkFunc(func(e event.Event) { got = e })).Emit(parity(json.Number("12345678"), json.Number("12345678.5")))
	if diff := cmp.Diff(event.Event(parity("***", "***.5")), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if out, err := json.Marshal(got); err != nil || strings.Contains(string(out), "12345678") {
		t.Errorf("%s, %v", out, err)
	}
}

func TestAnswersOfTheUsersOwnStayAsTheyAre(t *testing.T) {
	for _, e := range []event.Event{event.LogLine{Text: "hunter22"}, event.Rendered{YAML: "hunter22"}} {
		clean(knowing("hunter22"), event.SinkFunc(func(got event.Event) {
			if got != e {
				t.Errorf("%#v became %#v", e, got)
			}
		})).Emit(e)
	}
}

func TestErrorsAreCleanedAndStayWhatTheyAre(t *testing.T) {
	refused := &fault.Error{
		Kind: fault.Deploy, What: "Secret/academy/db", Where: "a/hunter22.yaml", Detail: "web | hunter22",
		Err: fmt.Errorf("invalid hunter22: %w", io.ErrUnexpectedEOF), Next: "Correct hunter22.",
	}
	err := errors.Join(fmt.Errorf("up: %w", refused), errors.New("plain hunter22"), context.Canceled)
	cleaned, changed := cleaner{knowing("hunter22")}.error(err)
	if !changed || strings.Contains(cleaned.Error(), "hunter22") {
		t.Errorf("error = %v", cleaned)
	}
	if !errors.Is(cleaned, context.Canceled) || !errors.Is(cleaned, io.ErrUnexpectedEOF) || len(fault.All(cleaned)) != 3 || fault.Of(cleaned) != fault.Deploy {
		t.Errorf("%v is not what it was", cleaned)
	}
	var f *fault.Error
	if !errors.As(cleaned, &f) {
		t.Fatal("no fault.Error")
	}
	if got := f.What + "|" + f.Where + "|" + f.Detail + "|" + f.Next + "|" + f.Err.Error(); got != "Secret/academy/db|a/***.yaml|web | ***|Correct ***.|invalid ***: unexpected EOF" {
		t.Errorf("fault = %s", got)
	}
	if !strings.Contains(refused.Detail, "hunter22") {
		t.Error("the error itself was changed")
	}
	harmless := fmt.Errorf("up: %w", &fault.Error{What: "something else"})
	if same, changed := (cleaner{knowing("hunter22")}).error(harmless); changed || same != harmless {
		t.Errorf("%v was replaced by %v", harmless, same)
	}
}

// Libraries write to the debug log past all events.
func TestTheDebugLogIsCleaned(t *testing.T) {
	s := state{dir: t.TempDir()}
	var extra bytes.Buffer
	secrets := knowing("a \"quoted\"\nvalue")
	log, file, err := s.log(&extra, secrets)
	if err != nil {
		t.Fatal(err)
	}
	log.LogAttrs(t.Context(), slog.LevelInfo, "got a \"quoted\"\nvalue", slog.Any("error", errors.New("a \"quoted\"\nvalue")))
	log.Info("again", "map", map[string]string{"k": "a \"quoted\"\nvalue"})
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(s.path("devenv.log"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"file": string(kept), "extra": extra.String()} {
		if strings.Contains(text, "quoted") || strings.Count(text, "***") != 3 {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

func TestSecretsAreMaskedInACopyAndTheirHashesKeyed(t *testing.T) {
	object := func(kind, name string) plan.Object {
		return plan.Object{
			ID: plan.ID{Kind: kind, Namespace: "academy", Name: name}, Hash: "plain",
			JSON: []byte(`{"apiVersion":"v1","kind":"` + kind + `","data":{"a":"aHVudGVyMjI="}}`),
		}
	}
	sources := []plan.Source{{
		Name: "s", Objects: []plan.Object{object("Secret", "db"), object("ConfigMap", "c")},
		Hooks: []plan.Hook{{Object: object("Secret", "hook")}},
	}}
	p := Project{state: state{dir: t.TempDir()}}
	masked, err := p.masked(sources)
	if err != nil {
		t.Fatal(err)
	}
	for o := range objects(masked) {
		if shown := bytes.Contains(o.JSON, []byte("aHVudGVyMjI=")); shown != (o.ID.Kind == "ConfigMap") {
			t.Errorf("%s: %s", o.ID, o.JSON)
		}
	}
	if err := p.keyHashes(sources); err != nil {
		t.Fatal(err)
	}
	for o := range objects(sources) {
		if !bytes.Contains(o.JSON, []byte("aHVudGVyMjI=")) || (o.Hash == "plain") != (o.ID.Kind == "ConfigMap") {
			t.Errorf("%s: %s, hash %s", o.ID, o.JSON, o.Hash)
		}
	}
}
