package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// trialTime is how long the first container of a new version that has no readiness probe has to keep running before the next pod gets it. The
// kubelet sees that a container exited up to a second later.
const trialTime = 2 * time.Second

// putOffAfter is for how long a container may be said to crash that nobody has seen running, which the kubelet says of the one before it until it
// has started the other. After that it is putting the start off, for ten seconds and more.
const putOffAfter = 3 * time.Second

// errPutOff says that the kubelet starts a container only after a while, because it had others of the same image just before.
var errPutOff = errors.New("the kubelet puts the start off")

// exchange gives containers of one pod other images, and waits until they are ready.
type exchange struct {
	c         *Cluster
	pod       *corev1.Pod                                        // as it was before
	images    map[string]string                                  // by container
	metadata  map[string]any                                     // what else changes about the pod, as a patch
	withdraw  func(context.Context) (since time.Time, err error) // takes the pod out of its Services, until its containers are replaced; nil if it stays
	withdrawn time.Time                                          // when it was taken out; zero if it was not
	trial     bool                                               // nobody knows yet whether this version keeps running
	// former says, for a return to what ran before, what that was as the container runtime names it, by container: what the kubelet reports
	// next may be one more start of the version that crashes, and it may put off the start of the other.
	former map[string]string
}

// run does it. A *stuck says that the new containers are not going to be ready; its pods hold the pod as it is then. An error of the API with the reason
// NotFound or Conflict says that the pod is no longer there, and errPutOff that it takes longer than a new pod would.
func (e *exchange) run(ctx context.Context) error {
	following, stop := context.WithCancel(ctx)
	g, following := errgroup.WithContext(following)
	var seen picture
	poked := newPoke()
	pods := e.c.dynamic.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(e.pod.Namespace)
	byName := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", e.pod.Name).String()}
	g.Go(func() error { return follow(following, pods, byName, &seen, poked.give) })
	err := e.change(following, &seen, poked)
	stop()
	if failed := g.Wait(); failed != nil {
		return failed // why following ended, and with it the wait
	}
	return err
}

// change changes the images. A pod that is withdrawn is followed before: what the kubelet reports next is to be seen at once, and from the
// withdrawal on there is no time to lose.
func (e *exchange) change(ctx context.Context, seen *picture, changed poke) error {
	if e.withdraw != nil {
		if err := first(ctx, seen, changed); err != nil {
			return err
		}
		if err := e.leave(ctx); err != nil {
			return err
		}
	}
	if err := e.patch(ctx); err != nil {
		return err
	}
	if err := first(ctx, seen, changed); err != nil {
		return err
	}
	return e.wait(ctx, seen, changed)
}

// leave has the pod leave its Services.
func (e *exchange) leave(ctx context.Context) (err error) {
	if e.withdrawn, err = e.withdraw(ctx); err != nil {
		return unanswered(err, "pod "+e.pod.Name+" could not be taken out of its Services")
	}
	return nil
}

func (e *exchange) patch(ctx context.Context) error {
	return persist(ctx, changePatience, func(ctx context.Context) error {
		_, err := e.c.patchPod(ctx, e.pod, e.pod.UID, e.metadata, e.images)
		return err
	})
}

// first waits until the picture is whole, which it stays.
func first(ctx context.Context, seen *picture, changed poke) error {
	for _, whole := seen.look(); !whole; _, whole = seen.look() {
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// wait looks at the pod after every change, and when only time has passed.
func (e *exchange) wait(ctx context.Context, seen *picture, changed poke) error {
	end := time.NewTimer(e.c.timeout)
	defer end.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	var running time.Time // since when all the new containers do, as far as it was seen
	now := e.pod
	for {
		items, _ := seen.look()
		u := items[e.pod.UID]
		if u == nil {
			return apierrors.NewNotFound(corev1.Resource("pods"), e.pod.Name)
		}
		p, err := podOf(u)
		if err != nil {
			return err
		}
		if e.changed(p) {
			now = p
			state := e.judge(now)
			switch {
			case state.bad != nil:
				return &stuck{verdict: *state.bad, pods: []*corev1.Pod{now}}
			case state.looping && time.Since(began) >= putOffAfter:
				return errPutOff
			case state.replaced && running.IsZero():
				running = time.Now()
			case !state.replaced:
				running = time.Time{}
			}
			if state.ready && (!e.trial || state.probed || time.Since(running) >= trialTime) {
				return nil
			}
			if !e.withdrawn.IsZero() && !state.replaced {
				if err := e.c.hold(ctx, now, e.withdrawn); err != nil {
					return err
				}
			}
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-end.C:
			return &stuck{pods: []*corev1.Pod{now}, verdict: verdict{Reason: "timed out", Pod: now, Container: e.any(),
				Message: fmt.Sprintf("not ready within %s", e.c.timeout)}}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// changed says whether the pod was read after the images changed.
func (e *exchange) changed(p *corev1.Pod) bool {
	return !slices.ContainsFunc(p.Spec.Containers, func(k corev1.Container) bool { return e.images[k.Name] != "" && e.images[k.Name] != k.Image })
}

// exchanged is how far an exchange is.
type exchanged struct {
	replaced bool     // all the containers are new ones, and run
	ready    bool     // the pod is ready with them
	looping  bool     // one of them waits because it, or the one before, exited
	probed   bool     // each of them has a readiness probe, whose word can be taken
	bad      *verdict // why one of them will not be ready
}

// judge compares the pod with how it was before.
func (e *exchange) judge(now *corev1.Pod) exchanged {
	state := exchanged{replaced: true, probed: true}
	for _, k := range now.Spec.Containers {
		if e.images[k.Name] != "" && k.ReadinessProbe == nil {
			state.probed = false
		}
	}
	was := map[string]corev1.ContainerStatus{}
	for _, s := range e.pod.Status.ContainerStatuses {
		was[s.Name] = s
	}
	for _, s := range now.Status.ContainerStatuses {
		if e.images[s.Name] == "" {
			continue
		}
		former := e.former[s.Name]
		if s.State.Running == nil || s.ContainerID == was[s.Name].ContainerID || former != "" && former != s.ImageID {
			state.replaced = false
		}
		if w := s.State.Waiting; w != nil && w.Reason == "CrashLoopBackOff" {
			state.looping = true
		}
		if v := spoilt(was[s.Name], s, e.former != nil); v != nil && state.bad == nil {
			v.Pod, v.Container = now, s.Name
			state.bad = v
		}
	}
	state.ready = state.replaced && podReady(now)
	return state
}

// any is the name of one of the containers.
func (e *exchange) any() string {
	for _, k := range e.pod.Spec.Containers {
		if e.images[k.Name] != "" {
			return k.Name
		}
	}
	return ""
}

// spoilt says why a container that got another image will not run; nil while it may. was is its status before. A container that
// exits once is enough: what it needs was there a moment ago, when the one before it ran. One that returns to what ran before may have to wait
// for the kubelet, which puts off the next start of what exits again and again.
func spoilt(was, now corev1.ContainerStatus, back bool) *verdict {
	if w := now.State.Waiting; w != nil {
		switch w.Reason {
		case "InvalidImageName", "ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError",
			"CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			return &verdict{Reason: w.Reason, Message: w.Message}
		}
	}
	known := map[string]bool{was.ContainerID: true}
	for _, s := range []corev1.ContainerState{was.State, was.LastTerminationState} {
		if s.Terminated != nil {
			known[s.Terminated.ContainerID] = true
		}
	}
	for _, s := range []corev1.ContainerState{now.State, now.LastTerminationState} {
		if t := s.Terminated; t != nil && t.ContainerID != "" && !known[t.ContainerID] && !back {
			return &verdict{Reason: "Exited", Message: "container " + now.Name + " ended with " + exit(t)}
		}
	}
	return nil
}
