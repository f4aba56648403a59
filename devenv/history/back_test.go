package history_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/history"
	"github.com/devenv-run/devenv/devenv/plan"
)

// What was ready: two services that share a ConfigMap, one pod of two services, one service by itself.
var ready = []string{
	"ConfigMap/settings@1", "ConfigMap/rules@1",
	"Deployment/web@1 runs web nginx uses settings",
	"Deployment/worker@1 runs web",
	"Deployment/grades@1 runs grades uses settings",
	"Deployment/forecast@1 runs forecast uses rules",
}

func TestBack(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  map[string]string // of the declaration, by object; applied unless said otherwise
		refused string            // objects that did not get into the cluster
		trouble string
		never   bool // nothing has been ready before
		want    string
	}{
		{
			name:    "a new image that crashes",
			change:  map[string]string{"Deployment/forecast": "Deployment/forecast@2 runs forecast uses rules"},
			trouble: "Deployment/forecast",
			want:    "apply Deployment/forecast@1\nkept Deployment/forecast: forecast 3\n",
		},
		{
			name: "its configuration goes back with it",
			change: map[string]string{
				"Deployment/forecast": "Deployment/forecast@2 runs forecast uses rules", "ConfigMap/rules": "ConfigMap/rules@2",
			},
			trouble: "Deployment/forecast",
			want:    "apply ConfigMap/rules@1\napply Deployment/forecast@1\nkept Deployment/forecast: forecast 3\n",
		},
		{
			name: "configuration that the new version does not use any more is put back for the old one",
			change: map[string]string{
				"Deployment/forecast": "Deployment/forecast@2 runs forecast", "ConfigMap/rules": "",
			},
			trouble: "Deployment/forecast",
			want:    "apply ConfigMap/rules@1\napply Deployment/forecast@1\nkept Deployment/forecast: forecast 3\n",
		},
		{
			name: "refused after its configuration went in",
			change: map[string]string{
				"Deployment/forecast": "Deployment/forecast@2 runs forecast uses rules", "ConfigMap/rules": "ConfigMap/rules@2",
			},
			refused: "Deployment/forecast",
			trouble: "Deployment/forecast",
			want:    "apply ConfigMap/rules@1\napply Deployment/forecast@1\nkept Deployment/forecast: forecast 3\n",
		},
		{
			name: "what shares configuration that goes back goes with it, if it moved",
			change: map[string]string{
				"ConfigMap/settings": "ConfigMap/settings@2", "Deployment/grades": "Deployment/grades@2 runs grades uses settings",
				"Deployment/web": "Deployment/web@2 runs web nginx uses settings",
			},
			trouble: "Deployment/grades",
			want: "apply ConfigMap/settings@1\napply Deployment/grades@1\napply Deployment/web@1\n" +
				"kept Deployment/grades: grades 3\nkept Deployment/web: nginx 3, shares ConfigMap/settings\n",
		},
		{
			name: "what shares configuration and did not move stays",
			change: map[string]string{
				"ConfigMap/settings": "ConfigMap/settings@2", "Deployment/grades": "Deployment/grades@2 runs grades uses settings",
			},
			trouble: "Deployment/grades",
			want:    "apply ConfigMap/settings@1\napply Deployment/grades@1\nkept Deployment/grades: grades 3\n",
		},
		{
			name: "a pod of two services goes back as a whole, and all that is of either",
			change: map[string]string{
				"Deployment/web": "Deployment/web@2 runs web nginx uses settings", "Deployment/worker": "Deployment/worker@2 runs web",
			},
			trouble: "Deployment/web",
			want:    "apply Deployment/web@1\napply Deployment/worker@1\nkept Deployment/web: nginx 3\nkept Deployment/worker: web 3\n",
		},
		{
			name: "another service's new version stays",
			change: map[string]string{
				"Deployment/forecast": "Deployment/forecast@2 runs forecast uses rules", "Deployment/grades": "Deployment/grades@2 runs grades uses settings",
			},
			trouble: "Deployment/forecast",
			want:    "apply Deployment/forecast@1\nkept Deployment/forecast: forecast 3\n",
		},
		{
			name:    "an old version that is no longer ready has nothing to return to",
			trouble: "Deployment/forecast",
			want:    "apply Deployment/forecast@1\n", // of which the plan then says that nothing is to be done
		},
		{
			name:    "the first deployment",
			change:  map[string]string{"Deployment/forecast": "Deployment/forecast@2 runs forecast uses rules"},
			trouble: "Deployment/forecast",
			never:   true,
			want:    "left Deployment/forecast: it has not been ready before\n",
		},
		{
			name:    "a workload that is new in a service that served: the service goes back, the workload stays",
			change:  map[string]string{"Deployment/grades": "Deployment/grades@2 runs grades uses settings", "Deployment/new": "Deployment/new@2 runs grades"},
			trouble: "Deployment/new",
			want: "apply Deployment/grades@1\nkept Deployment/grades: grades 3\n" +
				"left Deployment/new: it has not been ready before\n",
		},
		{
			name:    "third-party workloads",
			change:  map[string]string{"Deployment/redis": "Deployment/redis@2 runs redis:7"},
			trouble: "Deployment/redis",
			want:    "left Deployment/redis: it runs no image of a service, so there are no revisions of it\n",
		},
		{
			name: "interrupted while returning: what is there already is not applied again",
			change: map[string]string{
				"Deployment/forecast": "Deployment/forecast@2 runs forecast uses rules", "ConfigMap/rules": "ConfigMap/rules@2",
			},
			refused: "ConfigMap/rules",
			trouble: "Deployment/forecast",
			want:    "apply Deployment/forecast@1\nkept Deployment/forecast: forecast 3\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := func(line string) string { name, _, _ := strings.Cut(line, "@"); return name }
			before, now := map[string]string{}, map[string]string{}
			var lines []string
			for _, line := range ready {
				before[key(line)], now[key(line)] = line, line
			}
			for name, line := range tt.change {
				now[name] = line
			}
			there := map[plan.ID]string{}
			for name, line := range now {
				if line == "" {
					continue // no longer declared, and pruned
				}
				lines = append(lines, line)
				o := object(t, line)
				there[o.ID] = o.Hash
				if old, ok := before[name]; ok && strings.Contains(tt.refused, name) {
					there[o.ID] = object(t, old).Hash
				}
			}
			f := history.Failure{Now: take(t, lines...), Newest: map[string]history.Revision{}, There: there}
			for name, r := range take(t, ready...) {
				r.Number, r.At = 3, time.Unix(1000, 0)
				if !tt.never {
					f.Newest[name] = r
				}
			}
			f.Trouble = []plan.ID{object(t, tt.trouble).ID}
			if diff := cmp.Diff(tt.want, told(f.Back())); diff != "" {
				t.Errorf("return (-want +got):\n%s", diff)
			}
		})
	}
}

// Of a pod that two services run, the younger of their revisions is the one that served last.
func TestBackTakesTheYoungerRevision(t *testing.T) {
	older, younger := take(t, "Deployment/web@1 runs web nginx")["web"], take(t, "Deployment/web@2 runs web nginx")["nginx"]
	older.Number, older.At, younger.Number, younger.At = 7, time.Unix(1000, 0), 4, time.Unix(2000, 0)
	now := take(t, "Deployment/web@3 runs web nginx")
	id := object(t, "Deployment/web@3").ID
	got := told(history.Failure{
		Now: now, Newest: map[string]history.Revision{"web": older, "nginx": younger}, Trouble: []plan.ID{id}, There: map[plan.ID]string{id: "3"},
	}.Back())
	if want := "apply Deployment/web@2\nkept Deployment/web: nginx 4\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func told(r history.Return) string {
	var b strings.Builder
	for _, o := range r.Objects {
		fmt.Fprintf(&b, "apply %s@%s\n", o.ID, o.Hash)
		if of := r.Of[o.ID]; of.Number == 0 {
			fmt.Fprintf(&b, "of no revision\n")
		}
	}
	for _, k := range r.Kept {
		fmt.Fprintf(&b, "kept %s: %s %d", k.ID, k.Revision.Service, k.Revision.Number)
		if k.Shares != (plan.ID{}) {
			fmt.Fprintf(&b, ", shares %s", k.Shares)
		}
		b.WriteByte('\n')
	}
	for _, l := range r.Left {
		fmt.Fprintf(&b, "left %s: %s\n", l.ID, l.Reason)
	}
	return strings.ReplaceAll(b.String(), "/academy/", "/")
}
