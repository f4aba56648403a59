package kube

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
)

// How much of its story a failure tells.
const (
	evidenceEvents = 6
	evidenceLines  = 30
)

// evidence gathers what explains a failure: the warnings about the object and the pod at fault, then the last lines of its
// container, each prefixed with pod and container. It says what it can get; it is gathered even when ctx has ended.
func (c *Cluster) evidence(ctx context.Context, s *stuck) string {
	ctx, cancel := after(ctx)
	defer cancel()
	pod, container := s.Pod, s.Container
	if pod == nil || container == "" {
		pod, container = culprit(s.pods, pod)
	}

	var lines []string
	for _, about := range c.witnesses(ctx, s.object, pod) {
		events, err := c.eventsOf(ctx, about.namespace, about.uid)
		if err != nil {
			continue // the verdict itself stands without them
		}
		lines = append(lines, warningLines(events, evidenceEvents)...)
	}
	if container != "" {
		for _, l := range c.lastLines(ctx, pod, container) {
			lines = append(lines, pod.Name+"/"+container+" | "+l)
		}
	}
	return strings.Join(lines, "\n")
}

// witness is an object whose events may explain a failure.
type witness struct {
	namespace string
	uid       types.UID
}

// witnesses are the object itself, the pod at fault, and the claims of one that has no node: it may wait for their volumes.
func (c *Cluster) witnesses(ctx context.Context, object *unstructured.Unstructured, pod *corev1.Pod) []witness {
	var all []witness
	if object != nil {
		all = append(all, witness{object.GetNamespace(), object.GetUID()})
	}
	if pod == nil || object != nil && pod.UID == object.GetUID() {
		return all
	}
	all = append(all, witness{pod.Namespace, pod.UID})
	if pod.Spec.NodeName != "" {
		return all
	}
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		claim, err := c.core.PersistentVolumeClaims(pod.Namespace).Get(ctx, v.PersistentVolumeClaim.ClaimName, metav1.GetOptions{})
		if err == nil {
			all = append(all, witness{claim.Namespace, claim.UID})
		}
	}
	return all
}

// eventsOf lists the events about an object, oldest first.
func (c *Cluster) eventsOf(ctx context.Context, namespace string, uid types.UID) ([]corev1.Event, error) {
	if namespace == "" {
		namespace = metav1.NamespaceDefault // where events about cluster-scoped objects are kept
	}
	about := fields.OneTermEqualSelector("involvedObject.uid", string(uid)).String()
	l, err := c.core.Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: about})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(l.Items, func(a, b corev1.Event) int { return eventTime(a).Compare(eventTime(b)) })
	return l.Items, nil
}

// eventTime is when an event was last seen; sources fill different fields.
func eventTime(e corev1.Event) time.Time {
	if e.Series != nil {
		return e.Series.LastObservedTime.Time
	}
	if !e.LastTimestamp.IsZero() {
		return e.LastTimestamp.Time
	}
	return cmp.Or(e.EventTime.Time, e.CreationTimestamp.Time)
}

// warningLines are the last few different warnings as lines: "Warning Failed pod/grades-7d9f (3 times): Error: ErrImagePull".
func warningLines(events []corev1.Event, most int) []string {
	seen := map[string]bool{}
	var lines []string
	for i := len(events) - 1; i >= 0 && len(lines) < most; i-- {
		e := events[i]
		if e.Type != corev1.EventTypeWarning || seen[e.Reason+e.Message] {
			continue
		}
		seen[e.Reason+e.Message] = true
		count := ""
		if n := eventCount(e); n > 1 {
			count = fmt.Sprintf(" (%d times)", n)
		}
		about := strings.ToLower(e.InvolvedObject.Kind) + "/" + e.InvolvedObject.Name
		lines = append(lines, fmt.Sprintf("%s %s %s%s: %s", e.Type, e.Reason, about, count, oneLine(e.Message)))
	}
	slices.Reverse(lines)
	return lines
}

func eventCount(e corev1.Event) int32 {
	if e.Series != nil {
		return e.Series.Count
	}
	return e.Count
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// lastLines are the last lines that a container wrote: of its previous run if the present one has just begun.
func (c *Cluster) lastLines(ctx context.Context, pod *corev1.Pod, container string) []string {
	previous := false
	for _, s := range containerStatuses(pod) {
		if s.Name == container {
			previous = s.State.Running != nil && s.RestartCount > 0
		}
	}
	lines := c.tail(ctx, pod, container, previous)
	if len(lines) == 0 {
		lines = c.tail(ctx, pod, container, !previous)
	}
	return lines
}

func (c *Cluster) tail(ctx context.Context, pod *corev1.Pod, container string, previous bool) []string {
	most, bytes := int64(evidenceLines), int64(64<<10)
	stream, err := c.core.Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: container, Previous: previous, TailLines: &most, LimitBytes: &bytes}).Stream(ctx)
	if err != nil {
		return nil // there is no such run, or its output is gone
	}
	defer stream.Close()
	text, err := io.ReadAll(stream)
	if err != nil && len(text) == 0 {
		return nil
	}
	body := strings.TrimRight(string(text), "\n")
	if body == "" {
		return nil
	}
	return strings.Split(body, "\n")
}

// culprit finds the container that most likely keeps its workload from being ready: in pod, or in all the pods for nil. One
// that ended badly comes before one that cannot start, and that before one that is just not ready.
func culprit(pods []*corev1.Pod, pod *corev1.Pod) (*corev1.Pod, string) {
	if pod != nil {
		pods = []*corev1.Pod{pod}
	}
	worst, container := 0, ""
	var at *corev1.Pod
	for _, p := range pods {
		for _, s := range containerStatuses(p) {
			if b := badness(s); b > worst {
				worst, at, container = b, p, s.Name
			}
		}
	}
	if at == nil && len(pods) > 0 {
		at = pods[0]
	}
	return at, container
}

func badness(s corev1.ContainerStatus) int {
	switch {
	case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
		return 4
	case s.State.Waiting != nil && s.LastTerminationState.Terminated != nil:
		return 3
	case s.State.Waiting != nil && s.State.Waiting.Reason != "ContainerCreating" && s.State.Waiting.Reason != "PodInitializing":
		return 2
	case s.State.Running != nil && !s.Ready:
		return 1
	}
	return 0
}
