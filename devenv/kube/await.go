package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
	"golang.org/x/sync/errgroup"
)

// Await implements engine.Deployer. It follows the object, and for a workload the pods of its current specification, and says
// through r how far they are. A failure is a fault.Deploy whose Err is the reason in Kubernetes' words and whose Detail holds
// the warnings about the object and the last log lines of the container at fault.
func (c *Cluster) Await(ctx context.Context, _ string, o plan.Object, r engine.Report) error {
	if !o.Waits {
		return nil
	}
	u, err := decode(o)
	if err != nil {
		return err
	}
	a, err := c.find(ctx, u)
	if err != nil {
		return c.refused(ctx, o, err)
	}
	last, err := c.wait(ctx, o.ID, o.Origin, a, c.allowed(u), readiness, r)
	if err != nil || last.GetKind() != "Job" {
		return err
	}
	// A job that removes itself when it is done would otherwise look as if it had never been applied.
	return c.ledger.update(ctx, func(v inventory) {
		if e, ok := v.Objects[o.ID]; ok && e.UID == string(last.GetUID()) {
			e.Finished = true
			v.Objects[o.ID] = e
		}
	})
}

// allowed is how long an object may take: its own deadline where it declares one, plus the time in which its controller says
// so.
func (c *Cluster) allowed(u *unstructured.Unstructured) time.Duration {
	const margin = 5 * time.Second
	for _, field := range []string{"progressDeadlineSeconds", "activeDeadlineSeconds"} {
		if s := number(u, 0, "spec", field); s > 0 {
			return time.Duration(s)*time.Second + margin
		}
	}
	return c.timeout
}

// waiting is one wait for one object.
type waiting struct {
	c       *Cluster
	id      plan.ID
	origin  string
	limit   time.Duration
	since   time.Time
	lazy    map[string]bool
	ready   func(u *unstructured.Unstructured, lazy map[string]bool) condition
	changed poke

	object, pods, sets picture
	isWorkload         bool
	events             time.Time // when they were last asked for
	unblocked          map[types.UID]bool
}

// wait follows an object until ready says so, and returns it as it was then.
func (c *Cluster) wait(ctx context.Context, id plan.ID, origin string, a api, limit time.Duration,
	ready func(*unstructured.Unstructured, map[string]bool) condition, r engine.Report) (*unstructured.Unstructured, error) {
	// Times in the API are whole seconds, and what the wait is about began when the object was applied, a moment ago.
	w := &waiting{c: c, id: id, origin: origin, limit: limit, since: c.now().Add(-5 * time.Second), ready: ready, changed: newPoke(),
		unblocked: map[types.UID]bool{}}
	res := c.resource(a, id)
	var first *unstructured.Unstructured
	err := persist(ctx, changePatience, func(ctx context.Context) (err error) {
		first, err = res.Get(ctx, id.Name, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return nil, w.lost(ctx, err)
	}
	if w.lazy, err = c.lazyClasses(ctx, first); err != nil {
		return nil, w.lost(ctx, err)
	}

	following, stop := context.WithCancel(ctx)
	g, following := errgroup.WithContext(following)
	w.follow(following, g, res, first)
	last, err := w.judge(following, r)
	stop()
	if failed := g.Wait(); failed != nil {
		return nil, w.lost(ctx, failed) // the reason why following ended, and with it the judging
	}
	if err != nil {
		return nil, w.explain(ctx, err)
	}
	return last, nil
}

// follow starts to follow the object, and for a workload its pods and their sets.
func (w *waiting) follow(ctx context.Context, g *errgroup.Group, res dynamic.ResourceInterface, first *unstructured.Unstructured) {
	watching := func(res dynamic.ResourceInterface, o metav1.ListOptions, p *picture) {
		g.Go(func() error { return follow(ctx, res, o, p, w.changed.give) })
	}
	byName := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", w.id.Name).String()}
	watching(res, byName, &w.object)

	dyn, ns := w.c.dynamic, w.id.Namespace
	switch selector, ok := podSelector(first); {
	case first.GetKind() == "Pod" && w.id.Group == "":
		w.isWorkload = true
		watching(dyn.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(ns), byName, &w.pods)
	case ok:
		w.isWorkload = true
		o := metav1.ListOptions{LabelSelector: selector}
		watching(dyn.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(ns), o, &w.pods)
		if first.GetKind() == "Deployment" {
			watching(dyn.Resource(first.GroupVersionKind().GroupVersion().WithResource("replicasets")).Namespace(ns), o, &w.sets)
		}
	}
}

// podSelector is a workload's selector of its pods.
func podSelector(u *unstructured.Unstructured) (string, bool) {
	if _, ok := podSpecs[u.GroupVersionKind().GroupKind()]; !ok || u.GetKind() == "CronJob" {
		return "", false
	}
	raw, ok, _ := unstructured.NestedMap(u.Object, "spec", "selector")
	if !ok {
		return "", false
	}
	var s metav1.LabelSelector
	if runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &s) != nil {
		return "", false
	}
	selector, err := metav1.LabelSelectorAsSelector(&s)
	if err != nil {
		return "", false
	}
	return selector.String(), true
}

// stuck ends a wait: the object will not become ready, or did not in time.
type stuck struct {
	verdict
	object *unstructured.Unstructured
	pods   []*corev1.Pod
}

func (s *stuck) Error() string {
	if s.Message == "" {
		return s.Reason
	}
	return s.Reason + ": " + s.Message
}

// judge looks at the pictures after every change, and every second for what only time changes.
func (w *waiting) judge(ctx context.Context, r engine.Report) (*unstructured.Unstructured, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	end := time.NewTimer(w.limit)
	defer end.Stop()
	var said string
	latest := &stuck{verdict: verdict{
		Reason: "timed out", Next: "See devenv logs and devenv status for what it does; raise --timeout if it only needs longer.",
	}}
	for {
		object, err := w.present()
		if err != nil {
			return nil, err
		}
		if object != nil {
			state := w.ready(object, w.lazy)
			pods, known := w.current(object)
			if state.Ready && known && w.isWorkload {
				if name := unsteady(pods, w.c.now(), w.c.starts); name != "" {
					state = condition{Message: "making sure that " + name + " keeps running"}
				}
			}
			if state.Ready && known {
				return object, nil
			}
			latest.object, latest.pods, latest.Message = object, pods, fmt.Sprintf("not ready within %s: %s", w.limit, progress(state, pods))
			if v := w.verdict(ctx, object, state, pods); v != nil {
				return nil, &stuck{verdict: *v, object: object, pods: pods}
			}
			w.unblock(ctx, object, r)
			line := progress(state, pods)
			if w.object.trouble() != nil {
				line = "the cluster's API server does not answer"
			}
			if line != said {
				r(line)
				said = line
			}
		}
		select {
		case <-w.changed:
		case <-tick.C:
		case <-end.C:
			return nil, latest
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, latest
			}
			return nil, ctx.Err()
		}
	}
}

// present is the object as last seen: nil before it was seen for the first time, an error once it is gone.
func (w *waiting) present() (*unstructured.Unstructured, error) {
	items, whole := w.object.look()
	if !whole {
		return nil, nil
	}
	for _, u := range items {
		return u, nil
	}
	if last := w.object.deleted(); last != nil && last.GetKind() == "Job" {
		// One that removes itself when it is done may be gone before anybody looked at it complete.
		last.SetDeletionTimestamp(nil)
		if w.ready(last, nil).Ready {
			return last, nil
		}
	}
	return nil, &stuck{verdict: verdict{
		Reason: "NotFound", Message: "it was deleted while devenv waited for it", Next: "Run devenv up again.",
	}}
}

// verdict says why the object will not become ready; nil while it may.
func (w *waiting) verdict(ctx context.Context, u *unstructured.Unstructured, state condition, pods []*corev1.Pod) *verdict {
	now := w.c.now()
	if v := obstacle(u, state, now, w.since); v != nil {
		return v
	}
	if v := hopeless(pods, now, w.since, u.GetKind() == "Job"); v != nil {
		return v
	}
	// What only events tell is asked for now and then, and only where nothing else shows a sign of life.
	const often = 5 * time.Second
	claim := w.id.Group == "" && w.id.Kind == "PersistentVolumeClaim"
	if !claim && (!w.isWorkload || len(pods) > 0) || now.Sub(w.since) < scheduleGrace || now.Sub(w.events) < often {
		return nil
	}
	w.events = now
	events, err := w.c.eventsOf(ctx, w.id.Namespace, u.GetUID())
	switch {
	case err != nil:
		return nil // events explain; without them the wait just takes longer
	case claim:
		return unbound(events, now, w.since)
	}
	return unborn(events, now, w.since)
}

// current lists the pods of the object's present specification; known is false as long as they were not all seen.
func (w *waiting) current(u *unstructured.Unstructured) (pods []*corev1.Pod, known bool) {
	if !w.isWorkload {
		return nil, true
	}
	_, podsSeen := w.pods.look()
	_, setsSeen := w.sets.look()
	return revision(u, w.setList(), w.podList()), podsSeen && (setsSeen || u.GetKind() != "Deployment")
}

func (w *waiting) podList() []*corev1.Pod {
	items, _ := w.pods.look()
	var pods []*corev1.Pod
	for _, u := range items {
		if p, err := podOf(u); err == nil {
			pods = append(pods, p)
		}
	}
	return pods
}

func (w *waiting) setList() []*unstructured.Unstructured {
	items, _ := w.sets.look()
	sets := make([]*unstructured.Unstructured, 0, len(items))
	for _, u := range items {
		sets = append(sets, u)
	}
	return sets
}

func podOf(u *unstructured.Unstructured) (*corev1.Pod, error) {
	p := &corev1.Pod{}
	return p, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, p)
}

// explain makes the end of a wait into what a user reads.
func (w *waiting) explain(ctx context.Context, err error) error {
	var s *stuck
	if !errors.As(err, &s) {
		return err
	}
	return &fault.Error{Kind: fault.Deploy, What: w.id.String() + " did not become ready", Where: w.origin, Err: s,
		Detail: w.c.evidence(ctx, s), Next: s.Next}
}

// lost is for an object that cannot be followed.
func (w *waiting) lost(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case apierrors.IsNotFound(err):
		return &fault.Error{Kind: fault.Deploy, What: w.id.String() + " did not become ready", Where: w.origin,
			Err: errors.New("it does not exist in the cluster"), Next: "Run devenv up again: it applies what is missing."}
	}
	return unanswered(err, w.id.String()+" could not be followed")
}

// lazyClasses names the storage classes that wait for a claim's first pod, where it matters for the object.
func (c *Cluster) lazyClasses(ctx context.Context, objects ...*unstructured.Unstructured) (map[string]bool, error) {
	needed := false
	for _, u := range objects {
		phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
		isClaim := u.GroupVersionKind().GroupKind() == schema.GroupKind{Kind: "PersistentVolumeClaim"}
		needed = needed || isClaim && phase != string(corev1.ClaimBound)
	}
	if !needed {
		return nil, nil
	}
	a, err := c.apis.find(ctx, schema.GroupKind{Group: "storage.k8s.io", Kind: "StorageClass"}, "")
	if err != nil {
		return nil, err
	}
	classes, err := c.dynamic.Resource(a.GVR).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	lazy := map[string]bool{}
	for _, s := range classes.Items {
		mode, _, _ := unstructured.NestedString(s.Object, "volumeBindingMode")
		lazy[s.GetName()] = mode == "WaitForFirstConsumer"
	}
	return lazy, nil
}
