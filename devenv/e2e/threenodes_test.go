package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestThreeNodes is the same platform on a cluster of three nodes.
func TestThreeNodes(t *testing.T) {
	w := newWorld(t, "e2e3", "three-nodes")

	w.devenv(t, "up").must(t, 0)
	if nodes := containers(t, w.cluster()); len(nodes) != 3 {
		t.Fatalf("nodes: %v", nodes)
	}
	w.smoke(t)
	if r := w.devenv(t, "up").must(t, 0); r.steps(t) != 0 {
		t.Errorf("up again has something to do:\n%s", r.summary())
	}

	for _, app := range []string{"web", "grades", "recommender"} {
		on := strings.Fields(w.kubectl(t, "-n", "academy", "get", "pods", "-l", "app.kubernetes.io/name="+app, "-o", "jsonpath={.items[*].spec.nodeName}"))
		slices.Sort(on)
		if nodes := slices.Compact(slices.Clone(on)); len(on) < 2 || len(nodes) < 2 {
			t.Errorf("the pods of %s are on %v, want them spread", app, on)
		}
	}

	edited := unique("edited")
	stop := w.asking(t, "recommender", "8080", "/version", 4)
	w.edit(t, "services/recommender/academy_recommender/__init__.py", `VERSION = "1.4.2"`, `VERSION = "`+edited+`"`)
	r := w.devenv(t, "up").must(t, 0)
	report := stop()
	if report.Failed > 0 || !report.answers(edited) {
		t.Errorf("%d of %d requests failed: %v; answers %v", report.Failed, report.Requests, report.Errors, report.Bodies)
	}
	if loaded := r.subjects("image.loaded"); !slices.Equal(loaded, []string{"recommender"}) {
		t.Errorf("loaded %v", loaded)
	}
}
