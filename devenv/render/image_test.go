package render

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Putting the services' images into any object touches nothing but images and pull policies, only where the repository is a
// service's, and doing it again changes nothing.
func TestSubstituteProperties(t *testing.T) {
	services := []Service{
		{Name: "a", Repository: "registry.example.com/team/a", Ref: "registry.example.com/team/a:devenv-1"},
		{Name: "b", Repository: "b", Ref: "docker.io/library/b:devenv-2"},
	}
	image := rapid.SampledFrom([]string{
		"registry.example.com/team/a", "registry.example.com/team/a:1", "registry.example.com:443/team/a", "b", "docker.io/library/b:x",
		"index.docker.io/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		"team/a", "registry.example.com/team/a/a", "c", "busybox:latest", "quay.io/b", "", "NOT VALID",
	})
	rapid.Check(t, func(t *rapid.T) {
		object := podObject(t, image)
		before := encode(t, object)
		id, err := identify(object)
		if err != nil {
			t.Fatal(err)
		}
		// Another pod uses both services, so that none is reported as unused.
		other := map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"image": "b"}, map[string]any{"image": "registry.example.com/team/a"}}}}
		run := func() []string {
			r := &rendering{in: Input{Services: services, Present: func(context.Context, []string) (map[string]bool, error) {
				return map[string]bool{"busybox:latest": true}, nil
			}}, drafts: []*draft{{object: object, id: id}, {object: other, id: plan.ID{Kind: "Pod", Name: "other"}}}}
			third, err := r.substitute(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			return third
		}
		first := run()
		once := encode(t, object)
		second := run()
		if diff := cmp.Diff(once, encode(t, object)); diff != "" {
			t.Errorf("the second time changes the object: %s", diff)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("the second time finds others: %s", diff)
		}
		var was, is any
		_ = json.Unmarshal([]byte(before), &was)
		_ = json.Unmarshal([]byte(once), &is)
		onlyImages(t, "", was, is)
	})
}

// onlyImages compares two values and fails on any difference but a container's image that became a service's and a pull
// policy that became IfNotPresent.
func onlyImages(t *rapid.T, path string, was, is any) {
	switch w := was.(type) {
	case map[string]any:
		i, ok := is.(map[string]any)
		if !ok {
			t.Fatalf("%s: %v became %v", path, was, is)
		}
		for key := range i {
			if _, had := w[key]; !had && key != "imagePullPolicy" && key != "pullPolicy" {
				t.Errorf("%s.%s was added", path, key)
			}
		}
		for key := range w {
			if _, has := i[key]; !has {
				t.Errorf("%s.%s was removed", path, key)
			}
			text, isText := w[key].(string)
			switch {
			case isText && (key == "image" || key == "reference") && i[key] != text:
				if !slices.Contains([]any{"registry.example.com/team/a:devenv-1", "docker.io/library/b:devenv-2"}, i[key]) {
					t.Errorf("%s.%s: %v became %v", path, key, w[key], i[key])
				}
			case isText && (key == "imagePullPolicy" || key == "pullPolicy") && i[key] != text:
				if i[key] != "IfNotPresent" {
					t.Errorf("%s.%s: %v became %v", path, key, w[key], i[key])
				}
			default:
				onlyImages(t, path+"."+key, w[key], i[key])
			}
		}
	case []any:
		i, ok := is.([]any)
		if !ok || len(i) != len(w) {
			t.Fatalf("%s: %v became %v", path, was, is)
		}
		for n := range w {
			onlyImages(t, fmt.Sprintf("%s[%d]", path, n), w[n], i[n])
		}
	default:
		if was != is {
			t.Errorf("%s: %v became %v", path, was, is)
		}
	}
}

// podObject draws an object of some kind with containers at some place, and things around them that look alike.
func podObject(t *rapid.T, image *rapid.Generator[string]) map[string]any {
	container := func(label string) map[string]any {
		c := map[string]any{"name": "c", "env": []any{map[string]any{"name": "image", "value": image.Draw(t, label+" env")}}}
		if rapid.Bool().Draw(t, label+" has image") {
			c["image"] = image.Draw(t, label)
		}
		if policy := rapid.SampledFrom([]string{"", "Always", "Never", "IfNotPresent"}).Draw(t, label+" policy"); policy != "" {
			c["imagePullPolicy"] = policy
		}
		return c
	}
	list := func(label string) []any {
		var all []any
		for n := range rapid.IntRange(0, 3).Draw(t, label) {
			all = append(all, container(fmt.Sprintf("%s %d", label, n)))
		}
		return all
	}
	pod := map[string]any{
		"containers": list("containers"), "initContainers": list("initContainers"), "ephemeralContainers": list("ephemeralContainers"),
		"volumes":  []any{map[string]any{"name": "v", "image": map[string]any{"reference": image.Draw(t, "volume")}}},
		"nodeName": image.Draw(t, "elsewhere"),
	}
	spec := map[string]any{"template": map[string]any{"spec": pod}, "image": image.Draw(t, "spec.image")}
	kind := rapid.SampledFrom([]groupKind{
		{"", "Pod"}, {"", "ConfigMap"}, {"apps", "Deployment"}, {"batch", "Job"}, {"batch", "CronJob"}, {"example.com", "Custom"},
	}).Draw(t, "kind")
	apiVersion := "v1"
	if kind.group != "" {
		apiVersion = kind.group + "/v1"
	}
	switch kind.kind {
	case "Pod", "ConfigMap":
		spec = pod
	case "CronJob":
		spec = map[string]any{"jobTemplate": map[string]any{"spec": spec}}
	}
	return map[string]any{"apiVersion": apiVersion, "kind": kind.kind, "metadata": map[string]any{"name": "o"}, "spec": spec}
}

func encode(t *rapid.T, object map[string]any) string {
	data, err := canonicalJSON(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAlwaysPulled(t *testing.T) {
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, tt := range []struct {
		image, policy string
		want          bool
	}{
		{"redis", "", true},
		{"redis:latest", "", true},
		{"redis:7", "", false},
		{"redis" + digest, "", false},
		{"redis:latest" + digest, "", false},
		{"localhost:5000/redis", "", true},
		{"redis:7", "Always", true},
		{"redis", "IfNotPresent", false},
		{"redis", "Never", false},
	} {
		s := slot{map[string]any{"image": tt.image}, "image", "imagePullPolicy", true}
		if tt.policy != "" {
			s.at["imagePullPolicy"] = tt.policy
		}
		if got := s.alwaysPulled(); got != tt.want {
			t.Errorf("%s with policy %q: always pulled is %v, want %v", tt.image, tt.policy, got, tt.want)
		}
	}
}

// Present is asked once, for third-party images only, and its error is passed on.
func TestPresentIsAskedOnce(t *testing.T) {
	in := shop(t)
	var asked [][]string
	in.Present = func(_ context.Context, refs []string) (map[string]bool, error) {
		asked = append(asked, refs)
		return nil, nil
	}
	got, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{got.ThirdParty}, asked); diff != "" {
		t.Error(diff)
	}
	redis := find(t, got, plan.ID{Group: "apps", Kind: "StatefulSet", Namespace: "front", Name: "front-sessions"})
	if want := `"imagePullPolicy":"Always"`; !strings.Contains(string(redis.JSON), want) {
		t.Errorf("an image that the engine does not hold is no longer pulled: %s", redis.JSON)
	}
	failure := errors.New("engine is away")
	in.Present = func(context.Context, []string) (map[string]bool, error) { return nil, failure }
	if _, err := Render(t.Context(), in); !errors.Is(err, failure) {
		t.Errorf("error is %v", err)
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"postgres", "registry.example.com/academy/grades", "registry.example.com/academy/web"}
	for name, want := range map[string]string{
		"registry.example.com/academy/grade": "registry.example.com/academy/grades",
		"registry.example.com/acadmy/web":    "registry.example.com/academy/web",
		"postgre":                            "postgres",
		"mysql":                              "",
	} {
		if got := nearest(name, candidates); got != want {
			t.Errorf("nearest to %s is %q, want %q", name, got, want)
		}
	}
}
