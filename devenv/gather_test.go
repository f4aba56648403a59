package devenv

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/plan"
)

// up SERVICE leaves out what runs other services only; a pod that a service shares with others stays, with the images of all of them.
func TestRestrict(t *testing.T) {
	object := func(name string, images ...string) plan.Object {
		return plan.Object{ID: plan.ID{Kind: "Deployment", Name: name}, Images: images}
	}
	for _, tt := range []struct{ services, objects, hooks, images string }{
		{"web", "web config postgres", "seed", "web nginx postgres"},
		{"nginx", "web config postgres", "seed", "web nginx postgres"},
		{"grades", "grades config postgres", "migrate seed", "grades postgres"},
		{"web grades", "web grades config postgres", "migrate seed", "web nginx grades postgres"},
	} {
		d := plan.Desired{
			Images: []plan.Image{{Service: "web", Ref: "web"}, {Service: "nginx", Ref: "nginx"}, {Service: "grades", Ref: "grades"}, {Ref: "postgres"}},
			Sources: []plan.Source{{
				Objects: []plan.Object{object("web", "web", "nginx"), object("grades", "grades"), object("config"), object("postgres", "postgres")},
				Hooks:   []plan.Hook{{Object: object("migrate", "grades")}, {Object: object("seed")}},
			}},
		}
		restrict(&d, strings.Fields(tt.services))
		var objects, hooks, images []string
		for _, o := range d.Sources[0].Objects {
			objects = append(objects, o.ID.Name)
		}
		for _, h := range d.Sources[0].Hooks {
			hooks = append(hooks, h.ID.Name)
		}
		for _, i := range d.Images {
			images = append(images, i.Ref)
		}
		got := [3]string{strings.Join(objects, " "), strings.Join(hooks, " "), strings.Join(images, " ")}
		if diff := cmp.Diff([3]string{tt.objects, tt.hooks, tt.images}, got); diff != "" {
			t.Errorf("up %s (-want +got):\n%s", tt.services, diff)
		}
	}
}
