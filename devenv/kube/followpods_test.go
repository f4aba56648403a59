package kube

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// Where there are many pods, and the kubelet has something new to say of each of them, describing all of them each time is most of what an
// idle devenv does.
func TestAPodIsDescribedOncePerVersion(t *testing.T) {
	pod := func(name, image string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"name": name, "uid": name},
			"spec":     map[string]any{"containers": []any{map[string]any{"name": "main", "image": image}}},
		}}
	}
	services := Services{"app": {"registry.example.com/app"}}
	items := map[types.UID]*unstructured.Unstructured{"a": pod("a", "registry.example.com/app:1"), "b": pod("b", "registry.example.com/app:1"), "c": pod("c", "other")}
	var s sight
	s.describe(items, services)
	a, b := &s.pods["a"].pod.Containers[0], &s.pods["b"].pod.Containers[0]

	items["b"] = pod("b", "registry.example.com/app:2")
	delete(items, "c")
	s.describe(items, services)
	if &s.pods["a"].pod.Containers[0] != a {
		t.Error("a was described again")
	}
	if now := s.pods["b"].pod.Containers; &now[0] == b || now[0].Image != "registry.example.com/app:2" || now[0].Service != "app" {
		t.Errorf("b is a new one, and described as %+v", now)
	}
	if len(s.pods) != 2 {
		t.Errorf("one of three is gone, and there are %d", len(s.pods))
	}
}
