package devenv

import (
	"testing"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/kube"
)

// A service is current where its pods run what the working tree declares, and nothing beside it.
func TestWhatIsHotIsNotCurrent(t *testing.T) {
	const ref = "registry.example.com/academy/web:devenv-1"
	pod := func(image string, marks map[string]hot.Mark) kube.Pod {
		return kube.Pod{Name: "web-1", Services: []string{"web"}, Phase: "Running", Hot: marks, Containers: []kube.Container{{Service: "web", Image: image}}}
	}
	synced := map[string]hot.Mark{"web": {Way: hot.Sync, Files: 3}}
	for name, c := range map[string]struct {
		pods    []kube.Pod
		current bool
		way     string
	}{
		"as declared":          {[]kube.Pod{pod(ref, nil)}, true, ""},
		"files synced":         {[]kube.Pod{pod(ref, synced)}, false, "sync"},
		"another service's":    {[]kube.Pod{pod(ref, map[string]hot.Mark{"grades": {Way: hot.Sync}})}, true, ""},
		"another image":        {[]kube.Pod{pod("registry.example.com/academy/web:devenv-0", nil)}, false, ""},
		"one of two is synced": {[]kube.Pod{pod(ref, synced), pod(ref, nil)}, false, "sync"},
	} {
		t.Run(name, func(t *testing.T) {
			s := event.Service{Name: "web", Image: ref}
			describe(&s, nil, c.pods)
			if s.Current != c.current {
				t.Errorf("current: %v", s.Current)
			}
			if h := s.Pods[0].Hot; h == nil && c.way != "" || h != nil && h.Way != c.way {
				t.Errorf("hot: %+v", h)
			}
		})
	}
}
