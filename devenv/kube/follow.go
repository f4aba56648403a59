package kube

import (
	"context"
	"maps"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

// picture is what follow knows: every object of a selection as it was last seen. Who uses it reads it whole, again after
// every poke, and never needs to know which change it was.
type picture struct {
	mu    sync.Mutex
	items map[types.UID]*unstructured.Unstructured
	last  *unstructured.Unstructured // the one that was deleted last, as it was then
	whole bool                       // the selection was read at least once
	err   error                      // why it cannot be read at the moment
}

// poke says "look again"; several that nobody has taken yet are one.
type poke chan struct{}

func newPoke() poke { return make(poke, 1) }

func (p poke) give() {
	select {
	case p <- struct{}{}:
	default:
	}
}

// look gives the objects; false as long as the selection was not read.
func (p *picture) look() (map[types.UID]*unstructured.Unstructured, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.items), p.whole
}

// trouble is why the selection cannot be read at the moment; nil if it can.
func (p *picture) trouble() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *picture) set(items map[types.UID]*unstructured.Unstructured) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.items, p.whole, p.err = items, true, nil
}

func (p *picture) put(u *unstructured.Unstructured) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.items[u.GetUID()] = u
}

func (p *picture) drop(u *unstructured.Unstructured) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.items, u.GetUID())
	p.last = u
}

// deleted is the object that was deleted last while it was followed, as it was then; nil if none was.
func (p *picture) deleted() *unstructured.Unstructured {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

func (p *picture) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// follow keeps the picture of a selection up to date until ctx ends, and calls changed after every change. A connection that
// breaks is made again and the selection read afresh, for as long as it takes: whoever waits decides how long that may be. It
// returns nil when ctx ends, and an error only if the server says, and goes on saying, that it will not answer (a kind that
// it does not serve, access denied).
func follow(ctx context.Context, r dynamic.ResourceInterface, o metav1.ListOptions, p *picture, changed func()) error {
	const quickest, slowest = 50 * time.Millisecond, time.Second
	delay := quickest
	var trouble endurance
	for ctx.Err() == nil {
		version, err := list(ctx, r, o, p)
		if err == nil {
			changed()
			delay, trouble = quickest, endurance{}
			err = watchFrom(ctx, r, o, version, p, changed)
		}
		if err != nil && ctx.Err() == nil {
			if bears := trouble.bears(err); !bears && !away(err) {
				return err
			}
			p.fail(err)
			changed()
		}
		if sleep(ctx, delay) != nil {
			break
		}
		delay = min(2*delay, slowest)
	}
	return nil
}

// list reads the whole selection, and says at which version.
func list(ctx context.Context, r dynamic.ResourceInterface, o metav1.ListOptions, p *picture) (version string, err error) {
	l, err := r.List(ctx, o)
	if err != nil {
		return "", err
	}
	items := make(map[types.UID]*unstructured.Unstructured, len(l.Items))
	for i := range l.Items {
		items[l.Items[i].GetUID()] = &l.Items[i]
	}
	p.set(items)
	return l.GetResourceVersion(), nil
}

// watchFrom follows the changes after version until the connection ends. Nil if it ended in an ordinary way; the API server
// closes each watch after a few minutes, and says "gone" when it no longer knows the version.
func watchFrom(ctx context.Context, r dynamic.ResourceInterface, o metav1.ListOptions, version string, p *picture, changed func()) error {
	o.ResourceVersion, o.AllowWatchBookmarks = version, true
	w, err := r.Watch(ctx, o)
	if apierrors.IsGone(err) || apierrors.IsResourceExpired(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		u, ok := e.Object.(*unstructured.Unstructured)
		if !ok {
			return nil // an error of the watch itself: read afresh
		}
		switch e.Type {
		case watch.Added, watch.Modified:
			p.put(u)
		case watch.Deleted:
			p.drop(u)
		case watch.Error:
			return nil
		default:
			continue // a bookmark changes nothing
		}
		changed()
	}
	return nil
}
