package kube

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/devenv-run/devenv/devenv/fault"
)

// Lookup reads for the lookup function of charts, with Helm's rules: the object of that name, or for an empty name the list
// of all objects in the namespace, of all namespaces if that is empty too. What does not exist is an empty map and no error; a kind
// that the cluster does not serve, a refusal, and an API server that does not answer are errors. It never writes.
func (c *Cluster) Lookup(ctx context.Context, apiVersion, kind, namespace, name string) (map[string]any, error) {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return nil, unserved(apiVersion, kind, err)
	}
	var content map[string]any
	var missing *meta.NoKindMatchError
	err = persist(ctx, readPatience, func(ctx context.Context) error {
		a, err := c.apis.find(ctx, gv.WithKind(kind).GroupKind(), gv.Version)
		if errors.As(err, &missing) {
			return nil // nobody is about to define it, so waiting is in vain
		} else if err != nil {
			return err
		}
		var from dynamic.ResourceInterface = c.dynamic.Resource(a.GVR)
		if a.Namespaced && namespace != "" {
			from = c.dynamic.Resource(a.GVR).Namespace(namespace)
		}
		content, err = read(ctx, from, name)
		return err
	})
	switch {
	case missing != nil:
		return nil, unserved(apiVersion, kind, nil)
	case err == nil:
		return content, nil
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return nil, &fault.Error{Kind: fault.Machine, What: fmt.Sprintf("the cluster refuses to show %s", of(kind, namespace, name)), Err: err,
			Next: "Give the user of devenv's kubeconfig the right to read it, or take the lookup out of the chart."}
	}
	return nil, unanswered(err, of(kind, namespace, name)+" could not be read")
}

// read gets an object, or lists them all for an empty name; nil where there is nothing.
func read(ctx context.Context, from dynamic.ResourceInterface, name string) (map[string]any, error) {
	if name == "" {
		list, err := from.List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, absent(err)
		}
		return list.UnstructuredContent(), nil
	}
	o, err := from.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, absent(err)
	}
	return o.UnstructuredContent(), nil
}

// absent is nil for what is simply not there.
func absent(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func unserved(apiVersion, kind string, err error) error {
	return &fault.Error{Kind: fault.Config, What: fmt.Sprintf("the cluster does not serve %s of %s", kind, apiVersion), Err: err,
		Next: fmt.Sprintf("Let the chart ask first: if .Capabilities.APIVersions.Has %q.", apiVersion+"/"+kind)}
}

// of names an object, or all of a kind, for people.
func of(kind, namespace, name string) string {
	if name == "" {
		name = "*"
	}
	if namespace == "" {
		return kind + "/" + name
	}
	return kind + "/" + namespace + "/" + name
}
