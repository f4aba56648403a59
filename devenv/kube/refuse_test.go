package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

func invalid(field, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid,
		Message: "x is invalid: " + field + ": " + message,
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Field: field, Message: message}}}}}
}

func terminating() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "namespace is being terminated",
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}}}}
}

func refusedConnection() error {
	return fmt.Errorf("get: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
}

func TestRefused(t *testing.T) {
	deployment := plan.Object{ID: plan.ID{Group: "apps", Kind: "Deployment", Namespace: "academy", Name: "web"}, Origin: "deploy/web.yaml"}
	set := plan.Object{ID: plan.ID{Group: "apps", Kind: "StatefulSet", Namespace: "academy", Name: "db"}}
	secret := plan.Object{ID: plan.ID{Kind: "Secret", Namespace: "academy", Name: "s"}}
	long := `{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"env":[{"name":"PASSWORD","value":"hunter2"}]}],"x":"` + strings.Repeat("y", 200) + `"}}`
	for _, test := range []struct {
		name   string
		object plan.Object
		err    error
		kind   fault.Kind
		want   string // in the one-line form
		not    string
		next   string
	}{
		{"a value", deployment, invalid("spec.replicas", `Invalid value: -1: must be greater than or equal to 0`), fault.Deploy,
			"spec.replicas: Invalid value: -1: must be greater", "", "Correct"},
		{"an immutable field", deployment, invalid("spec.selector", "Invalid value: "+long+": field is immutable"), fault.Deploy,
			"spec.selector: field is immutable", "hunter2", "another name"},
		{"an immutable field of a set", set, invalid("spec", "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden"), fault.Deploy,
			"cannot be changed this way", "", "--data"},
		{"a secret's value", secret, invalid("data.password", `Invalid value: "hunter2": too short`), fault.Deploy, "data.password: too short", "hunter2", ""},
		{"a secret's type", secret, apierrors.NewInternalError(errors.New("failed to create typed patch object (a/s): .data.password: expected string, got &value.valueUnstructured{Value:hunter2}")),
			fault.Config, ".data.password: expected string", "hunter2", ""},
		{"an unknown field", deployment, apierrors.NewInternalError(errors.New("failed to create typed patch object (academy/web; apps/v1, Kind=Deployment): .spec.replica: field not declared in schema")),
			fault.Config, ".spec.replica: field not declared in schema", "", "Correct"},
		{"a kind that is not served", deployment, &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "example.com", Kind: "Widget"}}, fault.Deploy,
			"of a kind that the cluster does not serve", "", "Widget.example.com"},
		{"a missing namespace", deployment, apierrors.NewNotFound(corev1.Resource("namespaces"), "academy"), fault.Deploy, "has no namespace to go to", "", "academy"},
		{"a namespace that goes", deployment, terminating(), fault.Deploy, "being terminated", "", "academy"},
		{"a quota", deployment, apierrors.NewForbidden(corev1.Resource("pods"), "web", errors.New("exceeded quota")), fault.Deploy, "exceeded quota", "", "quota"},
		{"no API server", deployment, refusedConnection(), fault.Machine, "does not answer", "", "devenv status"},
		{"a webhook", deployment, apierrors.NewInternalError(errors.New(`failed calling webhook "check.example.com": connection refused`)), fault.Deploy,
			"check.example.com", "", "webhook"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := (&Cluster{}).refused(t.Context(), test.object, test.err)
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != test.kind || f.Next == "" || f.Where != test.object.Origin {
				t.Fatalf("got %+v", err)
			}
			if got := f.Error(); !strings.Contains(got, test.want) || !strings.Contains(got, test.object.ID.String()) {
				t.Errorf("%s\nlacks %q", got, test.want)
			}
			if test.not != "" && strings.Contains(f.Error(), test.not) {
				t.Errorf("shows a value: %s", f.Error())
			}
			if !strings.Contains(f.Next, test.next) {
				t.Errorf("next %q lacks %q", f.Next, test.next)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&Cluster{}).refused(ctx, deployment, ctx.Err()); fault.Of(err) != fault.Interrupted {
		t.Errorf("an interruption became %v", err)
	}
}

func TestPatience(t *testing.T) {
	notFound := &apierrors.StatusError{ErrStatus: metav1.Status{Code: 404, Reason: metav1.StatusReasonNotFound, Message: "the server could not find the requested resource"}}
	for _, test := range []struct {
		name string
		err  error
		want bool
	}{
		{"connection refused", refusedConnection(), true},
		{"overrun", apierrors.NewTooManyRequests("slow down", 1), true},
		{"not available", apierrors.NewServiceUnavailable("starting"), true},
		{"webhook away", apierrors.NewInternalError(errors.New("failed calling webhook")), true},
		{"kind just defined", notFound, true},
		{"namespace just made", apierrors.NewNotFound(corev1.Resource("namespaces"), "x"), true},
		{"namespace going", terminating(), true},
		{"no such object", apierrors.NewNotFound(corev1.Resource("pods"), "x"), false},
		{"exists", apierrors.NewAlreadyExists(corev1.Resource("pods"), "x"), false},
		{"invalid", invalid("spec", "x"), false},
		{"rights not read yet", apierrors.NewForbidden(corev1.Resource("pods"), "", errors.New(`User "kubernetes-admin" cannot list resource "pods"`)), true},
		{"forbidden", apierrors.NewForbidden(corev1.Resource("pods"), "x", errors.New("no")), false},
		{"wrong field", apierrors.NewInternalError(errors.New("failed to create typed patch object (x): field not declared in schema")), false},
		{"interrupted", context.Canceled, false},
		{"out of time", context.DeadlineExceeded, false},
		{"anything", errors.New("anything"), false},
	} {
		if got := patience(test.err) > 0; got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestPersist(t *testing.T) {
	calls := 0
	err := persist(t.Context(), time.Second, func(context.Context) error {
		if calls++; calls < 3 {
			return refusedConnection()
		}
		return nil
	})
	if err != nil || calls != 3 {
		t.Errorf("%v after %d calls", err, calls)
	}
	calls = 0
	if err := persist(t.Context(), time.Minute, func(context.Context) error { calls++; return errors.New("stays") }); err == nil || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := persist(ctx, time.Minute, func(context.Context) error { cancel(); return refusedConnection() }); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	began := time.Now()
	if err := persist(t.Context(), 100*time.Millisecond, func(context.Context) error { return refusedConnection() }); err == nil || time.Since(began) > time.Second {
		t.Errorf("beyond its limit: %v after %s", err, time.Since(began))
	}
}
