package kube

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What Helm's GetVersionSet makes of the same answer.
func TestVersions(t *testing.T) {
	got := versions([]*metav1.APIResourceList{
		{GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "pods", Kind: "Pod"}, {Name: "pods/log", Kind: "Pod"}, {Name: "pods/eviction", Kind: "Eviction", Group: "policy", Version: "v1"},
		}},
		{GroupVersion: "apps/v1", APIResources: []metav1.APIResource{
			{Name: "deployments", Kind: "Deployment"}, {Name: "deployments/scale", Kind: "Scale", Group: "autoscaling", Version: "v1"},
		}},
	})
	want := []string{"apps/v1", "apps/v1/Deployment", "apps/v1/Scale", "v1", "v1/Eviction", "v1/Pod"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
