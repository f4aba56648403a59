package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Hot marks a pod that runs something else than its template declares: as a label with the value "true", by which such pods are found, and as
// an annotation that says what (a JSON object of hot.Marks by service). It is written before anything in the pod is changed, so that a
// devenv that is killed leaves it visible; it goes with the pod, or when the pod runs again what its template names.
const Hot = "devenv.run/hot"

// MarkHot marks a pod as hot for a service, beside what it is marked for already. A mark that is there keeps its time. The zero hot.Mark takes
// the service's mark away.
func (c *Cluster) MarkHot(ctx context.Context, p Pod, service string, m hot.Mark) error {
	return persist(ctx, changePatience, func(ctx context.Context) error {
		live, err := c.core.Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		_, err = c.patchPod(ctx, live, types.UID(p.UID), remark(live, service, m), nil)
		return err
	})
}

// remark is the pod's metadata with the mark of one service changed, as a patch.
func remark(p *corev1.Pod, service string, m hot.Mark) map[string]any {
	marks := hotMarks(p)
	if marks == nil {
		marks = map[string]hot.Mark{}
	}
	if m == (hot.Mark{}) {
		delete(marks, service)
	} else {
		if had, ok := marks[service]; ok && !had.Since.IsZero() {
			m.Since = had.Since
		}
		marks[service] = m
	}
	var label, note any // nil removes it
	if len(marks) > 0 {
		text, _ := json.Marshal(marks) // strings, numbers and times always encode
		label, note = "true", string(text)
	}
	return map[string]any{"labels": map[string]any{Hot: label}, "annotations": map[string]any{Hot: note}}
}

// patchPod changes a pod's metadata, and the images of some of its containers, at once. It fails with a conflict if the pod's place was taken by
// another one of its name.
func (c *Cluster) patchPod(ctx context.Context, p *corev1.Pod, uid types.UID, metadata map[string]any, images map[string]string) (*corev1.Pod, error) {
	metadata["uid"] = uid
	patch := map[string]any{"metadata": metadata}
	if len(images) > 0 {
		patch["spec"] = map[string]any{"containers": renamed(p, images)}
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("encode the change of pod %s: %w", p.Name, err)
	}
	changed, err := c.core.Pods(p.Namespace).Patch(ctx, p.Name, types.StrategicMergePatchType, body, metav1.PatchOptions{FieldManager: c.manager})
	if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) {
		words, _, _ := strings.Cut(err.Error(), "\n") // behind it comes the whole pod
		err = fmt.Errorf("%w: %s", ErrNotInPlace, words)
	}
	return changed, err
}

// renamed are the containers of a patch that gives some of them other images. They are in the pod's own order: a merge puts containers into the
// order of the patch, and those of a pod cannot change theirs.
func renamed(p *corev1.Pod, images map[string]string) []map[string]string {
	var containers []map[string]string
	for _, k := range p.Spec.Containers {
		if image, ok := images[k.Name]; ok {
			containers = append(containers, map[string]string{"name": k.Name, "image": image})
		}
	}
	return containers
}

// ErrNotInPlace is in the errors of a Swap that the API server does not accept, whatever the image is: an admission policy may say so. A rollout may do.
var ErrNotInPlace = errors.New("the pod cannot be changed in place")

// hotMarks are the marks of a pod by service; nil if it is not hot. An annotation that nobody can read is no mark, the label still is one.
func hotMarks(p *corev1.Pod) map[string]hot.Mark {
	var marks map[string]hot.Mark
	if json.Unmarshal([]byte(p.Annotations[Hot]), &marks) != nil {
		return nil
	}
	return marks
}

// hotWorkloads finds the workloads that have hot pods, and says in a phrase what is hot there.
func (c *Cluster) hotWorkloads(ctx context.Context, namespaces []string) (map[plan.ID]string, error) {
	pods, err := c.hotPods(ctx, namespaces)
	found := map[plan.ID]string{}
	for id, pods := range pods {
		found[id] = sayHot(pods)
	}
	return found, err
}

// hotPods lists the hot pods in some namespaces by the workload that they belong to. Pods on their way out, and such that ended, are not among
// them.
func (c *Cluster) hotPods(ctx context.Context, namespaces []string) (map[plan.ID][]*corev1.Pod, error) {
	var all *corev1.PodList
	err := persist(ctx, readPatience, func(ctx context.Context) (err error) {
		all, err = c.core.Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: labels.Set{Hot: "true"}.String()})
		return err
	})
	if err != nil {
		return nil, err
	}
	found := map[plan.ID][]*corev1.Pod{}
	for i := range all.Items {
		p := &all.Items[i]
		ended := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
		if p.DeletionTimestamp == nil && !ended && slices.Contains(namespaces, p.Namespace) {
			found[ownerOf(p)] = append(found[ownerOf(p)], p)
		}
	}
	return found, nil
}

// sayHot says what is hot in a workload's pods: "2 pods hot: 3 files synced".
func sayHot(pods []*corev1.Pod) string {
	said := map[string]bool{}
	for _, p := range pods {
		for _, m := range hotMarks(p) {
			m.Image = plan.ShortRef(m.Image)
			said[m.String()] = true
		}
	}
	text := plan.Count(len(pods), "pod") + " hot"
	if len(said) > 0 {
		text += ": " + strings.Join(slices.Sorted(maps.Keys(said)), ", ")
	}
	return text
}
