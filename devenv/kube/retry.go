package kube

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/devenv-run/devenv/devenv/fault"
)

// How long an operation goes on trying, at most. Reading is what a person waits for; a change is worth waiting for a
// restarting API server, which takes up to half a minute on a busy laptop.
const (
	readPatience   = 30 * time.Second
	changePatience = time.Minute
)

// persist does f again while its error is one that passes by itself, for as long as such an error may take, and no longer
// than limit. It returns the last error of f, or ctx's when that ends first.
func persist(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	start := time.Now()
	var trouble endurance
	for delay := 50 * time.Millisecond; ; delay = min(2*delay, time.Second) {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !trouble.bears(err) || time.Since(start)+delay > limit {
			return err
		}
		if err := sleep(ctx, delay); err != nil {
			return err
		}
	}
}

// endurance is for how long an operation has met the same sort of error. One may follow another: a server that restarts is
// first away, and then for a moment does not know who may do what.
type endurance struct {
	patience time.Duration
	since    time.Time
}

// bears says whether the error may still pass.
func (e *endurance) bears(err error) bool {
	if p := patience(err); p != e.patience || e.since.IsZero() {
		e.patience, e.since = p, time.Now()
	}
	return time.Since(e.since) < e.patience
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// patience is how long an error may be waited out: the time in which its usual cause passes by itself. Zero for errors that
// stay.
func patience(err error) time.Duration {
	text := err.Error()
	switch {
	case away(err), apierrors.IsServerTimeout(err), apierrors.IsTimeout(err), apierrors.IsTooManyRequests(err),
		apierrors.IsServiceUnavailable(err):
		return time.Minute // the API server restarts, or is overrun
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return time.Minute // the namespace is being deleted; it can be made again once it is gone
	case strings.Contains(text, "failed calling webhook"), strings.Contains(text, "conversion webhook"):
		return time.Minute // an admission controller that was just deployed is not serving yet
	case strings.Contains(text, "failed to create typed patch object"):
		return 0 // sent as an internal error, but the object is what is wrong
	case apierrors.IsInternalError(err), apierrors.IsConflict(err):
		return 10 * time.Second
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err) && strings.Contains(text, "could not find the requested resource"):
		return 15 * time.Second // a definition was accepted, and its kind is not served yet
	case apierrors.IsNotFound(err) && statusKind(err) == "namespaces":
		return 3 * time.Second // just created, and a cache of the API server does not know it yet
	case apierrors.IsForbidden(err) && strings.Contains(text, "error looking up service account"):
		return 15 * time.Second // a new namespace's default account is made a moment later
	case apierrors.IsForbidden(err) && strings.Contains(text, " cannot "):
		return 20 * time.Second // an API server that just started serves before it has read who may do what
	}
	return 0
}

// away says whether the API server was not reached, or lost in the middle of an answer.
func away(err error) bool {
	var op *net.OpError
	return utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsHTTP2ConnectionLost(err) ||
		utilnet.IsProbableEOF(err) || errors.As(err, &op) || utilnet.IsTimeout(err) && !errors.Is(err, context.DeadlineExceeded)
}

// statusKind is the kind of object that a status error is about, in lower-case plural as the server writes it.
func statusKind(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		return status.Status().Details.Kind
	}
	return ""
}

// unanswered makes an error of reading into what a user reads. An interruption stays what it is.
func unanswered(err error, what string) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	if refusal := elsewhere(err); refusal != nil {
		return refusal
	}
	next := "See devenv status for the state of the cluster's nodes; devenv up starts a stopped cluster again."
	if !away(err) && !errors.Is(err, context.DeadlineExceeded) {
		next = "If the cluster cannot be repaired, devenv down --cluster removes it and devenv up makes a new one."
	}
	return &fault.Error{Kind: fault.Machine, What: what, Err: err, Next: next}
}
