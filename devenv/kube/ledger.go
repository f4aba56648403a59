package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/devenv-run/devenv/devenv/fault"
)

// systemNamespace holds the inventories and revisions of all the environments in a cluster, and nothing else.
const systemNamespace = "devenv-system"

// owned marks what devenv made for itself.
var owned = map[string]string{"app.kubernetes.io/managed-by": "devenv"}

// ledger is the inventory as stored in the cluster: a ConfigMap per environment.
//
// update returns when its change is stored. Changes of concurrent callers share a write: while one write is under way, all
// that arrives waits together for the next, so a hundred objects applied by eight workers cost some twenty-five writes
// instead of two hundred.
type ledger struct {
	core    corev1client.CoreV1Interface
	env     string
	manager string

	writer chan struct{} // held by whoever writes; guards state, version and loaded
	state  inventory
	// version is the stored ConfigMap's resourceVersion; empty where there is none.
	version string
	loaded  bool

	mu    sync.Mutex
	queue []*change
}

type change struct {
	apply func(inventory)
	done  chan struct{}
	err   error
}

func newLedger(core corev1client.CoreV1Interface, env, manager string) *ledger {
	return &ledger{core: core, env: env, manager: manager, writer: make(chan struct{}, 1)}
}

func (l *ledger) name() string { return inventoryPrefix + l.env }

// inventoryPrefix begins the name of every environment's inventory.
const inventoryPrefix = "devenv-inventory-"

// current is the inventory as this process knows it; it asks the cluster only the first time. Nobody else writes it: an
// environment belongs to one devenv at a time.
func (l *ledger) current(ctx context.Context) (inventory, error) { return l.get(ctx, false) }

// fresh reads the inventory from the cluster.
func (l *ledger) fresh(ctx context.Context) (inventory, error) { return l.get(ctx, true) }

func (l *ledger) get(ctx context.Context, again bool) (inventory, error) {
	select {
	case l.writer <- struct{}{}:
	case <-ctx.Done():
		return inventory{}, ctx.Err()
	}
	defer func() { <-l.writer }()
	if again || !l.loaded {
		if err := persist(ctx, readPatience, l.load); err != nil {
			return inventory{}, unanswered(err, "the inventory of environment "+l.env+" could not be read")
		}
	}
	return l.state.clone(), nil
}

// update applies f to the inventory and stores the result. f must not keep the inventory.
func (l *ledger) update(ctx context.Context, f func(inventory)) error {
	mine := &change{apply: f, done: make(chan struct{})}
	l.mu.Lock()
	l.queue = append(l.queue, mine)
	l.mu.Unlock()

	select {
	case <-mine.done:
		return mine.err
	case <-ctx.Done():
		return ctx.Err() // it stays in the queue and goes with the next write
	case l.writer <- struct{}{}:
	}
	defer func() { <-l.writer }()

	l.mu.Lock()
	batch := l.queue
	l.queue = nil
	l.mu.Unlock()
	if len(batch) > 0 {
		err := l.write(ctx, batch)
		for _, c := range batch {
			c.err = err
			close(c.done)
		}
	}
	<-mine.done // closed just now, or by the writer before us
	return mine.err
}

// write stores a batch of changes. It may run for several callers, so an interruption of the one that happens to write must
// not fail the others: the write is short, and finishes.
func (l *ledger) write(ctx context.Context, batch []*change) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changePatience)
	defer cancel()
	err := persist(ctx, changePatience, func(ctx context.Context) error {
		if !l.loaded {
			if err := l.load(ctx); err != nil {
				return err
			}
		}
		next := l.state.clone()
		for _, c := range batch {
			c.apply(next)
		}
		if next.equal(l.state) {
			return nil
		}
		err := l.store(ctx, next)
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
			l.loaded = false // somebody changed or removed it: the changes are made again, on what is there now
			return apierrors.NewConflict(corev1.Resource("configmaps"), l.name(), err)
		}
		return err
	})
	var known *fault.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &fault.Error{Kind: fault.Deploy, What: "the inventory of environment " + l.env + " could not be written", Err: err,
		Next: "Nothing is lost: run devenv up again once the cluster's API server answers."}
}

func (l *ledger) load(ctx context.Context) error {
	m, err := l.core.ConfigMaps(systemNamespace).Get(ctx, l.name(), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		l.state, l.version = newInventory(), ""
	case err != nil:
		return err
	default:
		state, err := decodeInventory(m.Data, m.BinaryData)
		if err != nil {
			return damaged(l.env, err)
		}
		l.state, l.version = state, m.ResourceVersion
	}
	l.loaded = true
	return nil
}

func (l *ledger) store(ctx context.Context, next inventory) error {
	text, packed, err := next.encode()
	if err != nil {
		return err
	}
	m := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: l.name(), Namespace: systemNamespace, Labels: owned, ResourceVersion: l.version},
		Data:       text, BinaryData: packed,
	}
	maps := l.core.ConfigMaps(systemNamespace)
	if l.version == "" {
		if err := l.ensureNamespace(ctx); err != nil {
			return err
		}
		m, err = maps.Create(ctx, m, metav1.CreateOptions{FieldManager: l.manager})
	} else {
		m, err = maps.Update(ctx, m, metav1.UpdateOptions{FieldManager: l.manager})
	}
	if err != nil {
		return err
	}
	l.state, l.version = next, m.ResourceVersion
	return nil
}

func (l *ledger) ensureNamespace(ctx context.Context) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace, Labels: owned}}
	_, err := l.core.Namespaces().Create(ctx, ns, metav1.CreateOptions{FieldManager: l.manager})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// remove deletes the stored inventory. The namespace is not its concern.
func (l *ledger) remove(ctx context.Context) error {
	select {
	case l.writer <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.writer }()
	err := persist(ctx, changePatience, func(ctx context.Context) error {
		return l.core.ConfigMaps(systemNamespace).Delete(ctx, l.name(), metav1.DeleteOptions{})
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	l.state, l.version, l.loaded = newInventory(), "", true
	return nil
}

func damaged(env string, err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	return &fault.Error{Kind: fault.Deploy, What: "the inventory of environment " + env + " is damaged", Err: err,
		Next: fmt.Sprintf("Delete the ConfigMap devenv-inventory-%s in the namespace %s, or the whole cluster with devenv down --cluster, "+
			"and run devenv up.", env, systemNamespace)}
}

// after is the context for what must still be noted when ctx was interrupted: short, and deaf to the interruption.
func after(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
}
