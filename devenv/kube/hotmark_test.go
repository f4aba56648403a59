package kube

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

func TestAPatchOfImagesKeepsTheContainersInTheirOrder(t *testing.T) {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Name: "nginx", Image: "n:1"}, {Name: "php-fpm", Image: "web:1"}, {Name: "worker", Image: "web:1"}, {Name: "log-forwarder", Image: "web:1"},
	}}}
	images := map[string]string{"log-forwarder": "web:2", "php-fpm": "web:2", "worker": "web:2"}
	before, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"containers": renamed(p, images)}})
	if err != nil {
		t.Fatal(err)
	}
	merged, err := strategicpatch.StrategicMergePatch(before, patch, corev1.Pod{}) // as the API server merges
	if err != nil {
		t.Fatal(err)
	}
	var after corev1.Pod
	if err := json.Unmarshal(merged, &after); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range after.Spec.Containers {
		got = append(got, k.Name+"="+k.Image)
	}
	if got := strings.Join(got, " "); got != "nginx=n:1 php-fpm=web:2 worker=web:2 log-forwarder=web:2" {
		t.Error(got)
	}
}
