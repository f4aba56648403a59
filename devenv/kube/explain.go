package kube

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Explanation is everything that tells why an object is as it is.
type Explanation struct {
	Exists  bool
	Applied time.Time // when devenv last changed a field of it; zero if it never did
	// Fields are those that applying the object now would change, in the order of their paths.
	Fields  []Difference
	Refused string   // why the API server would not take it, in its words
	Writers []Writer // who else wrote to it, the latest first

	Ready   bool
	Message string // how far it is: "0 of 1 replicas ready, grades starts"
	// Hopeless is why waiting will not make it ready, in Kubernetes' words; empty while it may. Detail are then the warnings about it and
	// its container's last lines, and Next is what to do.
	Hopeless, Detail, Next string
}

// Difference is a field that is not as it is declared.
type Difference struct {
	Path string // spec.template.spec.containers[grades].image
	// Live and Declared are values as JSON has them, defaults filled in by the API server; nil where the field is not there.
	Live, Declared any
	Manager        string    // who holds the field now; empty where nobody does
	At             time.Time // when that one last wrote
}

// Writer is somebody who wrote to an object: a person's tool or a controller.
type Writer struct {
	Manager     string
	At          time.Time
	Subresource string // what it wrote through, such as status or scale; empty: the object itself
}

// Explain looks closely at one object. It writes nothing: what applying would change, the API server says itself (a dry run). mask
// makes an object into what may be shown of it; it is called with what is compared, so that no value of a Secret gets any further.
func (c *Cluster) Explain(ctx context.Context, o plan.Object, mask func(map[string]any) map[string]any) (Explanation, error) {
	wanted, err := decode(o)
	if err != nil {
		return Explanation{}, err
	}
	gvk := wanted.GroupVersionKind()
	if err := c.apis.read(ctx, 0); err != nil {
		return Explanation{}, unanswered(err, "the kinds that the cluster serves could not be read")
	}
	a, _, served := c.apis.lookup(gvk.GroupKind(), gvk.Version)
	if !served {
		return Explanation{Refused: "the cluster does not serve its kind yet"}, nil
	}
	live, err := c.read(ctx, readPatience, a, o.ID)
	if apierrors.IsNotFound(err) {
		return Explanation{}, nil
	}
	if err != nil {
		return Explanation{}, unanswered(err, o.ID.String()+" could not be read")
	}
	e := Explanation{Exists: true}
	e.Applied, e.Writers = writers(live, c.manager)
	if err := c.compare(ctx, a, o, wanted, live, mask, &e); err != nil {
		return Explanation{}, err
	}
	return e, c.outlook(ctx, o, live, &e)
}

// compare finds out what applying the object would change.
func (c *Cluster) compare(
	ctx context.Context, a api, o plan.Object, wanted, live *unstructured.Unstructured, mask func(map[string]any) map[string]any, e *Explanation,
) error {
	if o.Autoscaled {
		wanted = withReplicasOf(live, wanted)
	}
	would, err := c.patch(ctx, a, o.ID, wanted, true)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if away(err) {
		return unanswered(err, o.ID.String()+" could not be compared")
	}
	if err != nil {
		e.Refused = err.Error()
		var f *fault.Error
		if errors.As(c.refused(ctx, o, err), &f) && f.Err != nil {
			e.Refused = f.Err.Error()
		}
		return nil
	}
	shown := func(u *unstructured.Unstructured) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: mask(u.Object)}
	}
	entries := fieldEntries(live)
	for _, d := range drift(shown(live), shown(would), c.manager) {
		f := Difference{Path: d.Path, Live: d.Live, Declared: d.Declared, Manager: d.Manager}
		for _, entry := range entries {
			if d.Manager != "" && entry.manager == d.Manager && f.At.IsZero() {
				f.At = instant(entry.time)
			}
		}
		e.Fields = append(e.Fields, f)
	}
	return nil
}

// writers says when manager last changed the object, and who else did, the latest first.
func writers(u *unstructured.Unstructured, manager string) (applied time.Time, others []Writer) {
	for _, m := range u.GetManagedFields() {
		at := time.Time{}
		if m.Time != nil {
			at = m.Time.Time
		}
		if m.Manager == manager {
			if m.Subresource == "" && at.After(applied) {
				applied = at
			}
			continue
		}
		others = append(others, Writer{Manager: m.Manager, At: at, Subresource: m.Subresource})
	}
	slices.SortStableFunc(others, func(a, b Writer) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Manager, b.Manager), cmp.Compare(a.Subresource, b.Subresource))
	})
	return applied, others
}

func instant(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// outlook says whether the object is ready, and if not, whether it can become so.
func (c *Cluster) outlook(ctx context.Context, o plan.Object, live *unstructured.Unstructured, e *Explanation) error {
	lazy, err := c.lazyClasses(ctx, live)
	if err != nil {
		return unanswered(err, "the cluster's storage classes could not be read")
	}
	state := readiness(live, lazy)
	e.Ready, e.Message = state.Ready || !o.Waits, state.Message
	if e.Ready {
		return nil
	}
	pods, err := c.podsOf(ctx, live)
	if err != nil {
		return unanswered(err, "the pods of "+o.ID.String()+" could not be read")
	}
	e.Message = progress(state, pods)
	v := obstacle(live, state, c.now(), time.Time{})
	if v == nil {
		v = hopeless(pods, c.now(), time.Time{}, live.GetKind() == "Job")
	}
	if v == nil && len(pods) == 0 {
		// What only events tell; without them the message has to do.
		if events, err := c.eventsOf(ctx, o.ID.Namespace, live.GetUID()); err == nil && live.GetKind() == "PersistentVolumeClaim" {
			v = unbound(events, c.now(), time.Time{})
		} else if err == nil {
			v = unborn(events, c.now(), time.Time{})
		}
	}
	if v == nil {
		return nil
	}
	reason := &stuck{verdict: *v, object: live, pods: pods}
	e.Hopeless, e.Next, e.Detail = reason.Error(), v.Next, c.evidence(ctx, reason)
	return nil
}

// podsOf lists the pods of a workload's present specification; none for what is no workload.
func (c *Cluster) podsOf(ctx context.Context, u *unstructured.Unstructured) ([]*corev1.Pod, error) {
	if u.GetKind() == "Pod" && u.GroupVersionKind().Group == "" {
		p, err := podOf(u)
		return []*corev1.Pod{p}, err
	}
	selector, ok := podSelector(u)
	if !ok {
		return nil, nil
	}
	list := func(res dynamic.ResourceInterface, into *[]*unstructured.Unstructured) func() error {
		return func() error {
			return persist(ctx, readPatience, func(ctx context.Context) error {
				l, err := res.List(ctx, metav1.ListOptions{LabelSelector: selector})
				if err != nil {
					return err
				}
				*into = (*into)[:0]
				for i := range l.Items {
					*into = append(*into, &l.Items[i])
				}
				return nil
			})
		}
	}
	var found, sets []*unstructured.Unstructured
	var g errgroup.Group
	g.Go(list(c.dynamic.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(u.GetNamespace()), &found))
	if u.GetKind() == "Deployment" {
		g.Go(list(c.dynamic.Resource(u.GroupVersionKind().GroupVersion().WithResource("replicasets")).Namespace(u.GetNamespace()), &sets))
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var pods []*corev1.Pod
	for _, u := range found {
		if p, err := podOf(u); err == nil {
			pods = append(pods, p)
		}
	}
	return revision(u, sets, pods), nil
}
