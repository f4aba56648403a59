package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Delete implements engine.Deployer. It deletes only what the inventory lists, and only while it has the UID that is written
// there, and returns when the object and what it owns are gone.
//
// Some things it leaves where they are, says so through r, and strikes from what the environment applies: an object that
// existed before devenv applied it, one that somebody made again, and, unless data says so, one that holds data or others'
// objects (a claim, a namespace that is not empty, a definition with instances). The latter it goes on remembering.
func (c *Cluster) Delete(ctx context.Context, source string, id plan.ID, data bool, r engine.Report) error {
	v, err := c.ledger.current(ctx)
	if err != nil {
		return err
	}
	if !v.lists(id) {
		return &fault.Error{Kind: fault.Refused, What: id.String() + " is not deleted",
			Err:  errors.New("devenv did not apply it to environment " + c.env),
			Next: "If it is not needed, delete it the way it was made."}
	}
	uid, adopted := v.identity(id)
	var claims map[plan.ID]string
	if !adopted {
		if claims, err = c.claims(ctx, id, uid); err != nil {
			return unanswered(err, "the claims of "+id.String()+" could not be read")
		}
	}
	end, err := c.discard(ctx, id, uid, adopted, data, r)
	if err != nil {
		return err
	}
	if end.why != "" {
		r("kept: " + end.why)
	}
	noting, cancel := after(ctx)
	defer cancel()
	return c.ledger.update(noting, func(v inventory) {
		v.settle(id, end)
		for claim, uid := range claims {
			v.note(claim, keptEntry{Source: source, UID: uid})
		}
	})
}

// ending is what became of an object that was to be deleted. It is gone if why is empty.
type ending struct {
	why  string // why it was kept
	ours bool   // it is still devenv's, to be deleted another time
}

// discard deletes one object, or finds a reason not to. data says that data and what others put beside ours may go as well.
func (c *Cluster) discard(ctx context.Context, id plan.ID, uid string, adopted, data bool, r engine.Report) (ending, error) {
	if adopted {
		return ending{why: "it existed before devenv applied it"}, nil
	}
	others, err := c.neighbours(ctx, false)
	if err != nil {
		return ending{}, err
	}
	if env := others[id]; env != "" {
		return ending{why: "it belongs to the environment " + env}, nil
	}
	a, err := c.apis.find(ctx, groupKind(id), "")
	if meta.IsNoMatchError(err) {
		if silent := c.apis.silent(id.Group); silent != nil {
			return ending{}, unreachable(id, silent)
		}
		return ending{}, nil // its definition is gone, and it with that
	}
	var live *unstructured.Unstructured
	if err == nil {
		live, err = c.read(ctx, changePatience, a, id)
	}
	switch {
	case apierrors.IsNotFound(err):
		return ending{}, nil
	case err != nil:
		return ending{}, unanswered(err, id.String()+" could not be read")
	case uid != "" && uid != string(live.GetUID()):
		return ending{why: "somebody deleted it and made another one"}, nil
	case uid == "" && !c.ours(live):
		return ending{why: "devenv did not apply it to this environment"}, nil
	}
	if !data {
		why, err := c.holds(ctx, id, live)
		if err != nil {
			return ending{}, unanswered(err, "what "+id.String()+" holds could not be read")
		}
		if why != "" {
			return ending{why: why, ours: true}, nil
		}
	}

	found := live.GetUID()
	o := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &found}, PropagationPolicy: propagation(id)}
	err = persist(ctx, changePatience, func(ctx context.Context) error { return c.resource(a, id).Delete(ctx, id.Name, o) })
	switch {
	case apierrors.IsNotFound(err):
		return ending{}, nil
	case apierrors.IsConflict(err):
		return ending{why: "somebody deleted it and made another one"}, nil
	case err != nil:
		return ending{}, c.refused(ctx, plan.Object{ID: id}, err)
	}
	return ending{}, c.gone(ctx, a, id, found, r)
}

// unreachable is an object whose API is served by somebody who does not answer: it may well exist.
func unreachable(id plan.ID, err error) error {
	return &fault.Error{Kind: fault.Deploy, What: id.String() + " cannot be deleted: its API does not answer", Err: err,
		Next: "Get the server of the API group " + id.Group + " to run, or delete its APIService if it is gone for good; then run the command again. " +
			"devenv down --cluster removes everything."}
}

// same says whether an object that exists is the one that an entry of the inventory is about, which has this UID.
func (c *Cluster) same(live *unstructured.Unstructured, uid string) bool {
	if uid == "" {
		return c.ours(live)
	}
	return uid == string(live.GetUID())
}

// ours says whether devenv made the object, for an entry without UID: one that was left by a run that was killed between
// noting and sending. Of an object that declares nothing, not even a label, the server keeps no writer at all.
func (c *Cluster) ours(live *unstructured.Unstructured) bool {
	return c.wrote(live) || len(live.GetManagedFields()) == 0
}

// wrote says whether the object has fields that devenv wrote.
func (c *Cluster) wrote(live *unstructured.Unstructured) bool {
	return slices.ContainsFunc(live.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool { return e.Manager == c.manager })
}

// propagation waits for what a workload owns; its pods are then gone with it. Other kinds own nothing that anybody would wait
// for, and are gone at once.
func propagation(id plan.ID) *metav1.DeletionPropagation {
	if id.Group == "" || strings.HasSuffix(id.Group, ".k8s.io") || id.Group == "policy" || id.Group == "autoscaling" {
		p := metav1.DeletePropagationBackground
		return &p
	}
	return foreground()
}

// gone waits until the object with this UID no longer exists, whichever it is for an empty one.
func (c *Cluster) gone(ctx context.Context, a api, id plan.ID, uid types.UID, r engine.Report) error {
	live, err := c.resource(a, id).Get(ctx, id.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && uid != "" && live.GetUID() != uid {
		return nil
	}
	following, stop := context.WithCancel(ctx)
	var p picture
	var lost error
	changed, ended := newPoke(), make(chan struct{})
	byName := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", id.Name).String()}
	go func() {
		defer close(ended)
		lost = follow(following, c.resource(a, id), byName, &p, changed.give)
	}()
	defer func() { stop(); <-ended }()

	limit := time.NewTimer(c.timeout)
	defer limit.Stop()
	said, why := "", "it is being deleted"
	for {
		select {
		case <-changed:
		case <-limit.C:
			return undeleted(id, c.timeout, why)
		case <-ended:
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case meta.IsNoMatchError(lost), apierrors.IsNotFound(lost):
				return nil // its kind is no longer served
			}
			return unanswered(lost, "the deletion of "+id.String()+" could not be followed")
		}
		left, whole := remaining(&p, uid)
		if !whole {
			continue
		}
		if left == nil {
			return nil
		}
		if why = remains(left); why != said {
			r(why)
			said = why
		}
	}
}

// remaining is the object of a picture that has this UID, any for an empty one; nil if there is none.
func remaining(p *picture, uid types.UID) (left *unstructured.Unstructured, whole bool) {
	items, whole := p.look()
	for _, u := range items {
		if uid == "" || u.GetUID() == uid {
			return u, whole
		}
	}
	return nil, whole
}

func undeleted(id plan.ID, limit time.Duration, why string) error {
	return &fault.Error{Kind: fault.Deploy, What: fmt.Sprintf("%s was not gone within %s", id, limit), Err: errors.New(why),
		Next: "What it waits for must run for it to go: run the command again once that is so, or take its finalizers away by hand. " +
			"devenv down --cluster removes everything."}
}

// remains says what an object waits for before it goes.
func remains(u *unstructured.Unstructured) string {
	for _, kind := range []string{
		"NamespaceFinalizersRemaining", "NamespaceContentRemaining", "NamespaceDeletionDiscoveryFailure", "NamespaceDeletionContentFailure",
	} {
		if state, c, _ := conditionOf(u, kind); state == "True" {
			message, _ := c["message"].(string)
			return message
		}
	}
	var others []string
	for _, f := range u.GetFinalizers() {
		if f != metav1.FinalizerDeleteDependents && f != metav1.FinalizerOrphanDependents {
			others = append(others, f)
		}
	}
	if len(others) > 0 {
		return "waiting for its finalizers: " + strings.Join(others, ", ")
	}
	if len(u.GetFinalizers()) > 0 {
		return "waiting for what it owns to go"
	}
	return "stopping"
}
