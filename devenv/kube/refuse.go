package kube

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// refused makes the server's answer to an object into what a user reads.
func (c *Cluster) refused(ctx context.Context, o plan.Object, err error) error {
	var known *fault.Error
	var missing *meta.NoKindMatchError
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) || errors.As(err, &known) {
		return err
	}
	f := &fault.Error{Kind: fault.Deploy, What: o.ID.String() + " was refused by the API server", Where: o.Origin, Err: err,
		Next: "Correct the object, and run devenv up again."}
	switch {
	case away(err):
		f.Kind, f.What = fault.Machine, o.ID.String()+" could not be applied: the cluster's API server does not answer"
		f.Next = "Run devenv up again; devenv status shows the state of the cluster's nodes."
	case errors.As(err, &missing):
		f.What = o.ID.String() + " is of a kind that the cluster does not serve"
		f.Next = "Declare the CustomResourceDefinition of " + missing.GroupKind.String() +
			" in the same source or in one before it, or correct apiVersion."
	case apierrors.IsNotFound(err) && statusKind(err) == "namespaces":
		f.What = o.ID.String() + " has no namespace to go to"
		f.Next = "Declare the Namespace " + o.ID.Namespace + ", or name it as the namespace of the deploy source."
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		f.Next = "Wait until the namespace " + o.ID.Namespace + " is gone, and run devenv up again."
	case apierrors.IsInvalid(err):
		f.Err = errors.New(causes(o.ID, err))
		if unchangeable(err) {
			f.What = o.ID.String() + " cannot be changed this way while it exists"
			f.Next = remedy(o.ID)
		}
	case strings.Contains(err.Error(), "failed to create typed patch object"), apierrors.IsBadRequest(err):
		f.Kind, f.What = fault.Config, o.ID.String()+" does not fit its kind's schema"
		if o.ID.Kind == "Secret" {
			text, _, _ := strings.Cut(err.Error(), ", got ") // what follows is the value
			f.Err = errors.New(text)
		}
		f.Next = "Correct the field that is named, and run devenv up again."
	case apierrors.IsForbidden(err):
		f.Next = "Correct the object, or what forbids it (quota, pod security, an admission policy), and run devenv up again."
	case strings.Contains(err.Error(), "failed calling webhook"):
		f.Next = "The admission webhook that is named does not answer: see devenv status for the pods behind it."
	}
	return f
}

func withoutNamespace(o plan.Object) error {
	return &fault.Error{Kind: fault.Config, What: o.ID.String() + " has no namespace", Where: o.Origin,
		Next: "Set its metadata.namespace, or the namespace of its deploy source in devenv.yaml."}
}

// unchangeable says whether the server refused to change a field that can only be set when an object is made. There is no
// error code for it, only the wording that its validation uses.
func unchangeable(err error) bool {
	if err == nil || !apierrors.IsInvalid(err) {
		return false
	}
	for _, c := range statusCauses(err) {
		for _, sign := range []string{
			"immutable", "updates to statefulset spec for fields other than", "may not change fields other than", "cannot change roleRef",
			"may not be changed", "cannot be changed", "may not change once set",
		} {
			if strings.Contains(c.Message, sign) {
				return true
			}
		}
	}
	return false
}

// remakeable kinds hold nothing that their declaration does not bring back.
func remakeable(id plan.ID) bool {
	switch groupKind(id) {
	case schema.GroupKind{Group: "batch", Kind: "Job"}, schema.GroupKind{Kind: "Pod"}:
		return true
	}
	return false
}

// remedy says how an object comes to have a field that cannot be changed in place.
func remedy(id plan.ID) string {
	switch groupKind(id) {
	case schema.GroupKind{Group: "apps", Kind: "StatefulSet"}, schema.GroupKind{Kind: "PersistentVolumeClaim"}:
		return "Undo the change. If it is wanted: devenv down --data removes the environment with its data, and devenv up makes it anew."
	}
	return "Undo the change, give the object another name, or run devenv down (persistent data stays) and devenv up."
}

// causes lists what the server found wrong, by field. The values that it quotes are left out where they are long or secret: a
// refused pod template would be quoted whole, with the environment of its containers.
func causes(id plan.ID, err error) string {
	var lines []string
	for _, c := range statusCauses(err) {
		lines = append(lines, strings.TrimPrefix(c.Field+": ", ": ")+withoutValue(c.Message, id.Kind == "Secret"))
	}
	if len(lines) == 0 {
		if id.Kind == "Secret" {
			return "it is invalid"
		}
		return err.Error()
	}
	return strings.Join(lines, "; ")
}

// withoutValue takes the value out of `Invalid value: {…}: field is immutable` if it is long or secret.
func withoutValue(message string, secret bool) string {
	const long = 120
	rest, ok := strings.CutPrefix(message, "Invalid value: ")
	if !ok || len(message) <= long && !secret {
		return message
	}
	var value json.RawMessage
	if quoted, err := strconv.QuotedPrefix(rest); err == nil {
		rest = rest[len(quoted):]
	} else if d := json.NewDecoder(strings.NewReader(rest)); d.Decode(&value) == nil {
		rest = rest[d.InputOffset():]
	} else if i := strings.LastIndex(rest, "}: "); i >= 0 { // a Go value
		rest = rest[i+1:]
	} else {
		return "invalid value"
	}
	return strings.TrimPrefix(rest, ": ")
}

func statusCauses(err error) []metav1.StatusCause {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		return status.Status().Details.Causes
	}
	return nil
}
