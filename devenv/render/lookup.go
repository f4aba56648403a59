package render

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/secret"
)

// Lookup reads what a chart's lookup function asks for: the object of that name, or with an empty name the list of all in the
// namespace (of the whole cluster if that is empty too). It reads and never writes. An empty or nil map says that there is
// no such object; an error fails the chart, and should be a *fault.Error.
//
// The engine of Helm would take a dynamic client for this. A function that answers is all that a chart needs, and it
// leaves the choice of the cluster where it belongs.
type Lookup func(ctx context.Context, apiVersion, kind, namespace, name string) (map[string]any, error)

// EmptyCluster is the Lookup of a cluster that is about to be made: a chart may ask it, and finds nothing.
func EmptyCluster(context.Context, string, string, string, string) (map[string]any, error) {
	return nil, nil
}

// lookups answers the lookup function of one release. The same question gets the same answer however often the templates are
// executed, as if the cluster stood still meanwhile.
type lookups struct {
	ctx      context.Context // of the Render that executes the templates; the function has no other way to get it
	read     Lookup          // nil where there is no cluster
	promised func(apiVersion, kind string) bool
	secrets  *secret.Redactor
	answers  map[lookupKey]map[string]any
	missed   []lookupKey // what is not there, in the order in which it was asked for
	failed   error       // the first error of read; Helm's engine keeps only its text
}

type lookupKey struct{ apiVersion, kind, namespace, name string }

func (k lookupKey) String() string {
	of := k.kind
	for _, part := range []string{k.namespace, k.name} {
		if part != "" {
			of += "/" + part
		}
	}
	return of
}

// lookup implements the template function.
func (l *lookups) lookup(apiVersion, kind, namespace, name string) (map[string]any, error) {
	key := lookupKey{apiVersion, kind, namespace, name}
	answer, known := l.answers[key]
	if !known && l.read != nil && !l.promised(apiVersion, kind) {
		var err error
		if answer, err = l.read(l.ctx, apiVersion, kind, namespace, name); err != nil {
			l.failed = &lookupError{key, err}
			return nil, l.failed
		}
	}
	l.answers[key] = answer
	l.learn(answer)
	if len(answer) == 0 {
		l.missed = append(l.missed, key)
		if name == "" && l.read != nil { // a list of nothing, as a cluster answers
			return map[string]any{"apiVersion": apiVersion, "kind": kind + "List", "metadata": map[string]any{}, "items": []any{}}, nil
		}
		return map[string]any{}, nil
	}
	return runtime.DeepCopyJSON(answer), nil // a template may change what it gets
}

// learn has the values of Secrets that were found hidden from messages, which quote what templates were working on.
func (l *lookups) learn(answer map[string]any) {
	l.secrets.AddObject(answer)
	items, _ := answer["items"].([]any)
	for _, item := range items {
		if o, ok := item.(map[string]any); ok {
			l.secrets.AddObject(o)
		}
	}
}

// lookupError is a question that the cluster did not answer.
type lookupError struct {
	key   lookupKey
	cause error
}

func (e *lookupError) Error() string { return fmt.Sprintf("lookup of %s: %v", e.key, e.cause) }
func (e *lookupError) Unwrap() error { return e.cause }

// newLookups prepares the answers for the release's templates. What earlier sources define is there by the time that a chart is
// deployed after them, without any object yet; a cluster that is still without the definition would call the question wrong.
func (l *release) newLookups(ctx context.Context) *lookups {
	promised := func(apiVersion, kind string) bool {
		api := apiVersion + "/" + kind
		return slices.Contains(l.apis, api) && !slices.Contains(l.in.Capabilities.APIVersions, api)
	}
	return &lookups{ctx: ctx, read: l.in.Capabilities.Lookup, promised: promised, secrets: l.in.Secrets, answers: map[lookupKey]map[string]any{}}
}

// unanswered is a template that does not render because of a lookup; words are Helm's, and say in which one.
func (l *release) unanswered(err error, words error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	f := &fault.Error{Kind: fault.Machine, Where: l.placeOf(words), Err: err,
		What: "chart " + l.chart.Name() + " of source " + l.source.Name + " does not render",
		Next: "Run devenv status to see whether the cluster answers."}
	var cause *fault.Error
	if errors.As(err, &cause) {
		f.Kind, f.Detail, f.Next = cause.Kind, cause.Detail, cause.Next
	}
	return f
}
