package kube

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/history"
)

var _ history.Store = (*Cluster)(nil)

// A revision is stored as a Secret beside the inventory, because it holds the values of Secrets. What is told of it stands in labels and
// annotations, so that a list of revisions needs no values. It never changes once it is made.
const (
	revisionType = "devenv.run/revision.v1"
	revisionKey  = "revision.json.gz"

	environmentLabel = "devenv.run/environment"
	serviceLabel     = "devenv.run/service"
	numberLabel      = "devenv.run/revision"

	imageNote   = "devenv.run/image"
	causeNote   = "devenv.run/cause"
	timeNote    = "devenv.run/recorded-at"
	contentNote = "devenv.run/content"
)

// revisionName names the Secret. Neither name has a dot in it, so no two revisions have one name.
func (c *Cluster) revisionName(service string, number int) string {
	return fmt.Sprintf("devenv-revision.%s.%s.%d", c.env, service, number)
}

func (c *Cluster) revisionLabels(service string) labels.Set {
	set := labels.Set{environmentLabel: c.env}
	if service != "" {
		set[serviceLabel] = service
	}
	return set
}

// Heads implements history.Store.
func (c *Cluster) Heads(ctx context.Context) ([]history.Head, error) { return c.heads(ctx, "") }

// heads reads metadata only.
func (c *Cluster) heads(ctx context.Context, service string) ([]history.Head, error) {
	o := metav1.ListOptions{LabelSelector: labels.SelectorFromSet(c.revisionLabels(service)).String()}
	var list *metav1.PartialObjectMetadataList
	err := persist(ctx, readPatience, func(ctx context.Context) (err error) {
		list, err = c.metadata.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(systemNamespace).List(ctx, o)
		return err
	})
	if err != nil {
		return nil, unanswered(err, "the revisions of environment "+c.env+" could not be read")
	}
	var heads []history.Head
	for i := range list.Items {
		m := &list.Items[i]
		number, err := strconv.Atoi(m.Labels[numberLabel])
		if err != nil || number < 1 || m.Name != c.revisionName(m.Labels[serviceLabel], number) {
			continue // not one of ours, whatever its labels say
		}
		at, _ := time.Parse(time.RFC3339, m.Annotations[timeNote]) // one without a time is still a revision
		heads = append(heads, history.Head{Service: m.Labels[serviceLabel], Number: number, At: at.UTC(),
			Image: m.Annotations[imageNote], Cause: m.Annotations[causeNote], Content: m.Annotations[contentNote]})
	}
	slices.SortFunc(heads, func(a, b history.Head) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Number, b.Number))
	})
	return heads, nil
}

// Revision implements history.Store.
func (c *Cluster) Revision(ctx context.Context, service string, number int) (history.Revision, error) {
	what := fmt.Sprintf("revision %d of %s", number, service)
	var stored *corev1.Secret
	err := persist(ctx, readPatience, func(ctx context.Context) (err error) {
		stored, err = c.core.Secrets(systemNamespace).Get(ctx, c.revisionName(service, number), metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return history.Revision{}, &fault.Error{Kind: fault.Config, What: "there is no " + what, Next: "`devenv history " + service + "` lists those that are kept."}
	}
	if err != nil {
		return history.Revision{}, unanswered(err, what+" could not be read")
	}
	r, err := history.Decode(stored.Data[revisionKey])
	if err != nil {
		return history.Revision{}, &fault.Error{Kind: fault.Deploy, What: what + " is damaged", Err: err,
			Next: fmt.Sprintf("Delete the Secret %s in the namespace %s; the others can still be returned to.", stored.Name, systemNamespace)}
	}
	return r, nil
}

// Record implements history.Store.
func (c *Cluster) Record(ctx context.Context, r history.Revision) (history.Revision, error) {
	heads, err := c.heads(ctx, r.Service)
	if err != nil {
		return r, err
	}
	newest := history.Newest(heads)[r.Service]
	if newest.Number > 0 && newest.Content == r.Content {
		r.Head = newest
		return r, nil
	}
	r.Number = newest.Number + 1
	packed, err := history.Encode(r)
	if err != nil {
		return r, err
	}
	what := fmt.Sprintf("revision %d of %s", r.Number, r.Service)
	if len(packed) > storedLimit {
		return r, &fault.Error{Kind: fault.Deploy, What: what + " does not fit into the cluster",
			Err:  fmt.Errorf("%d bytes packed, at most %d", len(packed), storedLimit),
			Next: "Nothing is wrong with what runs, but it cannot be returned to. Make the ConfigMaps of the service smaller."}
	}
	if err := c.storeRevision(ctx, r, packed); err != nil {
		return r, unanswered(err, what+" could not be stored")
	}
	for _, old := range history.Old(append(heads, r.Head)) {
		err := c.core.Secrets(systemNamespace).Delete(ctx, c.revisionName(old.Service, old.Number), metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return r, unanswered(err, fmt.Sprintf("revision %d of %s could not be removed", old.Number, old.Service))
		}
	}
	return r, nil
}

func (c *Cluster) storeRevision(ctx context.Context, r history.Revision, packed []byte) error {
	always := true
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: c.revisionName(r.Service, r.Number), Namespace: systemNamespace,
			Labels: labels.Merge(owned, labels.Merge(c.revisionLabels(r.Service), labels.Set{numberLabel: strconv.Itoa(r.Number)})),
			Annotations: map[string]string{
				imageNote: r.Image, causeNote: r.Cause, timeNote: r.At.UTC().Format(time.RFC3339), contentNote: r.Content,
			},
		},
		Type: revisionType, Immutable: &always, Data: map[string][]byte{revisionKey: packed},
	}
	secrets := c.core.Secrets(systemNamespace)
	return persist(ctx, changePatience, func(ctx context.Context) error {
		_, err := secrets.Create(ctx, s, metav1.CreateOptions{FieldManager: c.manager})
		if apierrors.IsNotFound(err) {
			return cmp.Or(c.ledger.ensureNamespace(ctx), err)
		}
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		// Either the answer to an earlier try was lost, or there is another one of this name that nobody listed.
		there, getErr := secrets.Get(ctx, s.Name, metav1.GetOptions{})
		if getErr == nil && bytes.Equal(there.Data[revisionKey], packed) {
			return nil
		}
		return err
	})
}

// forgetRevisions removes all the revisions of the environment.
func (c *Cluster) forgetRevisions(ctx context.Context) error {
	o := metav1.ListOptions{LabelSelector: labels.SelectorFromSet(c.revisionLabels("")).String()}
	err := persist(ctx, changePatience, func(ctx context.Context) error {
		return c.core.Secrets(systemNamespace).DeleteCollection(ctx, metav1.DeleteOptions{}, o)
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return unanswered(err, "the revisions of environment "+c.env+" could not be removed")
	}
	return nil
}
