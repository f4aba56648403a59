package kube

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
)

// The kubelet compares what the API says of its pods with what it knows every ten seconds, counted from its start, and puts right what is not as it
// said. A pod that is kept out of its Services (see withdraw) would be put back then, while its container is being replaced. So that is not done
// while a round is due.
const (
	roundEvery = 10 * time.Second // syncPeriod in the kubelet's package status
	// roundSlack is how far a round may be off: what was seen of it came over the network.
	roundSlack = 150 * time.Millisecond
	// replaceTime is in what time after the image of a pod changed the kubelet has its new container running.
	replaceTime = 900 * time.Millisecond
	// roundAge is after which time a round is looked at again: the kubelet may have been started anew, on another beat.
	roundAge = time.Minute
	// roundPatience is how long a round is waited for.
	roundPatience = 2*roundEvery + 2*time.Second
)

// rounds are the times at which the kubelets of nodes were seen to go their rounds.
type rounds struct {
	mu       sync.Mutex
	seen     map[string]time.Time // by node
	learning map[string]bool
}

// pause is how long to wait from now on so that a pod of the node can be withdrawn and its container replaced without a round. It is 0 for a
// node that nothing is known of.
func (r *rounds) pause(node string, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen, known := r.seen[node]
	if !known {
		return 0
	}
	switch changes := (now.Sub(seen) + proxyPatience) % roundEvery; { // the image does, so long after a round
	case changes < roundSlack:
		return roundSlack - changes
	case changes > roundEvery-replaceTime-roundSlack:
		return roundEvery - changes + roundSlack
	}
	return 0
}

// begin says whether the caller is to look at a node's round. It calls end then, with the time at which it saw one; zero if it saw none.
func (r *rounds) begin(node string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seen, known := r.seen[node]; r.learning[node] || known && now.Sub(seen) < roundAge {
		return false
	}
	if r.seen == nil {
		r.seen, r.learning = map[string]time.Time{}, map[string]bool{}
	}
	r.learning[node] = true
	return true
}

func (r *rounds) end(node string, seen time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.learning, node)
	if !seen.IsZero() {
		r.seen[node] = seen
	}
}

// roundMessage is what devenv writes into a pod's status for the kubelet to take away again.
const roundMessage = "devenv looks when the kubelet reports"

// LearnRound finds out when the kubelet of a pod's node goes its rounds, so that Swap can avoid them. It writes a remark into the pod's status, which
// means nothing to anybody, and waits until the kubelet's round takes it away: up to ten seconds. It does nothing if the round was seen within
// the last minute, or somebody else is looking.
func (c *Cluster) LearnRound(ctx context.Context, p Pod) error {
	if !c.rounds.begin(p.Node, time.Now()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, roundPatience)
	defer cancel()
	var seen time.Time
	var err error
	for range 3 {
		if seen, err = c.seeRound(ctx, p); !errors.Is(err, errNoRound) {
			break
		}
	}
	c.rounds.end(p.Node, seen)
	return err
}

// errNoRound says that a pod's status changed in other ways too, so that nobody can tell a round from a report of something.
var errNoRound = errors.New("the pod's status changed meanwhile")

func (c *Cluster) seeRound(ctx context.Context, p Pod) (time.Time, error) {
	body, err := json.Marshal(map[string]any{"status": map[string]any{
		"conditions": []any{map[string]any{"type": corev1.PodInitialized, "message": roundMessage}},
	}})
	if err != nil {
		return time.Time{}, err
	}
	remarked, err := c.core.Pods(p.Namespace).Patch(ctx, p.Name, types.StrategicMergePatchType, body, metav1.PatchOptions{FieldManager: c.manager}, "status")
	if err != nil {
		return time.Time{}, err
	}
	following, stop := context.WithCancel(ctx)
	defer stop()
	var pods picture
	changed := newPoke()
	o := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", p.Name).String()}
	resource := c.dynamic.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(p.Namespace)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = follow(following, resource, o, &pods, changed.give) // then nothing is seen until ctx ends
	}()
	defer func() {
		stop()
		<-ended
	}()
	for {
		items, whole := pods.look()
		if u := items[remarked.UID]; u != nil {
			now, err := podOf(u)
			if err != nil {
				return time.Time{}, err
			}
			switch at := time.Now(); {
			case !sameButRemark(remarked, now):
				return time.Time{}, errNoRound
			case remarkOf(now) != roundMessage:
				return at, nil
			}
		} else if whole {
			return time.Time{}, errNoRound
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

// remarkOf is what the condition that bears the remark says.
func remarkOf(p *corev1.Pod) string {
	for _, k := range p.Status.Conditions {
		if k.Type == corev1.PodInitialized {
			return k.Message
		}
	}
	return ""
}

// sameButRemark says whether nothing else is new about a pod's status.
func sameButRemark(a, b *corev1.Pod) bool {
	a, b = a.DeepCopy(), b.DeepCopy()
	for _, p := range []*corev1.Pod{a, b} {
		for i := range p.Status.Conditions {
			if k := &p.Status.Conditions[i]; k.Type == corev1.PodInitialized {
				k.Message = ""
			}
		}
	}
	return reflect.DeepEqual(a.Status, b.Status)
}
