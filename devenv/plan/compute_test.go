package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/plan"
)

const ref = "registry.example.com/academy/grades:devenv-3f2a9c0011"

func object(kind, name, hash string, images ...string) plan.Object {
	ns := "academy"
	if kind == "Namespace" || kind == "CustomResourceDefinition" {
		ns = ""
	}
	waits := len(images) > 0 || kind == "CustomResourceDefinition" || kind == "Namespace"
	return plan.Object{ID: plan.ID{Kind: kind, Namespace: ns, Name: name}, Hash: hash, Images: images, Waits: waits}
}

func hook(name, hash string, weight int, events ...string) plan.Hook {
	return plan.Hook{Object: object("Job", name, hash, ref), Events: events, Weight: weight}
}

// academy is a small platform: data first, then a chart with a namespace, configuration, a workload and a migration.
func academy() plan.Desired {
	return plan.Desired{
		Cluster: plan.Cluster{Name: "devenv-academy", Nodes: []string{"academy-control-plane", "academy-worker"}},
		Images: []plan.Image{
			{Service: "grades", Ref: ref, Cause: "services/grades/main.go changed"},
			{Ref: "docker.io/library/redis:7"},
		},
		Sources: []plan.Source{
			{Name: "data", Objects: []plan.Object{object("StatefulSet", "redis", "r1", "docker.io/library/redis:7")}},
			{
				Name: "academy",
				Objects: []plan.Object{
					object("Namespace", "academy", "n1"),
					object("ConfigMap", "settings", "c1"),
					object("Deployment", "grades", "d1", ref),
					object("HorizontalPodAutoscaler", "grades", "h1"),
				},
				Hooks: []plan.Hook{
					hook("seed", "s1", 5, "post-install"),
					hook("migrate", "m1", 0, "pre-install", "pre-upgrade"),
					hook("check", "k1", -5, "pre-install"),
					hook("smoke", "t1", 0, "test"),
				},
			},
		},
	}
}

// settled is what is observed once everything in d is there.
func settled(d plan.Desired) plan.Observed {
	images := map[string]bool{}
	for _, i := range d.Images {
		images[i.Ref] = true
	}
	o := plan.Observed{
		Cluster: plan.ClusterState{Status: plan.Running},
		Engine:  images,
		Live:    map[plan.ID]plan.Live{},
		Hooks:   map[plan.ID]string{},
		Sources: map[string]bool{},
		Applied: map[plan.ID]plan.AppliedRef{},
	}
	for _, n := range d.Cluster.Nodes {
		o.Cluster.Nodes = append(o.Cluster.Nodes, plan.Node{Name: n, Images: images})
	}
	for _, s := range d.Sources {
		o.Sources[s.Name] = true
		for _, obj := range s.Objects {
			o.Live[obj.ID] = plan.Live{Exists: true, Hash: obj.Hash, Ready: true, Images: obj.Images}
			o.Applied[obj.ID] = plan.AppliedRef{Source: s.Name}
		}
		for _, h := range s.Hooks {
			o.Hooks[h.ID] = h.Hash
		}
	}
	return o
}

func id(kind, name string) plan.ID { return object(kind, name, "").ID }

func TestCompute(t *testing.T) {
	tests := []struct {
		name   string
		change func(*plan.Desired, *plan.Observed)
		want   string
	}{
		{
			name:   "nothing to do",
			change: func(*plan.Desired, *plan.Observed) {},
			want:   ``,
		},
		{
			name: "hot pods are replaced",
			change: func(_ *plan.Desired, o *plan.Observed) {
				o.Hot = map[plan.ID]string{id("Deployment", "grades"): "2 pods hot: 3 files synced"}
			},
			want: `
[] -> #1 Deployment/academy/grades, Restart, 2 pods hot: 3 files synced
[1] -> #2 Deployment/academy/grades, Await, was restarted
`,
		},
		{
			name: "hot pods whose image is gone from a node are replaced once it is back",
			change: func(_ *plan.Desired, o *plan.Observed) {
				o.Hot = map[plan.ID]string{id("Deployment", "grades"): "1 pod hot"}
				o.Cluster.Nodes[1].Images = nil
			},
			want: `
[] -> #1 node academy-worker, Load redis:7, not on the node
[] -> #2 node academy-worker, Load grades:devenv-3f2a9c, not on the node
[2] -> #3 Deployment/academy/grades, Restart, 1 pod hot
[3] -> #4 Deployment/academy/grades, Await, was restarted
`,
		},
		{
			name: "a rollout of another image replaces hot pods by itself",
			change: func(_ *plan.Desired, o *plan.Observed) {
				o.Hot = map[plan.ID]string{id("Deployment", "grades"): "2 pods hot: 3 files synced"}
				live := o.Live[id("Deployment", "grades")]
				live.Hash, live.Images = "d0", []string{"registry.example.com/academy/grades:devenv-000000"}
				o.Live[id("Deployment", "grades")] = live
			},
			want: `
[] -> #1 Deployment/academy/grades, Apply, image changed
[1] -> #2 Deployment/academy/grades, Await, was applied
`,
		},
		{
			name: "a change that may leave the template alone does not replace hot pods",
			change: func(_ *plan.Desired, o *plan.Observed) {
				o.Hot = map[plan.ID]string{id("Deployment", "grades"): "2 pods hot: 3 files synced"}
				live := o.Live[id("Deployment", "grades")]
				live.Hash = "d0"
				o.Live[id("Deployment", "grades")] = live
			},
			want: `
[] -> #1 Deployment/academy/grades, Apply, declaration changed
[1] -> #2 Deployment/academy/grades, Restart, 2 pods hot: 3 files synced
[2] -> #3 Deployment/academy/grades, Await, was restarted
`,
		},
		{
			name: "what is hot and no longer there is made anew",
			change: func(_ *plan.Desired, o *plan.Observed) {
				o.Hot = map[plan.ID]string{id("Deployment", "grades"): "2 pods hot: 3 files synced"}
				o.Live[id("Deployment", "grades")] = plan.Live{}
			},
			want: `
[] -> #1 Deployment/academy/grades, Apply, does not exist
[1] -> #2 Deployment/academy/grades, Await, was applied
`,
		},
		{
			name: "fresh machine",
			change: func(_ *plan.Desired, o *plan.Observed) {
				*o = plan.Observed{Cluster: plan.ClusterState{Status: plan.Absent}, Engine: map[string]bool{"docker.io/library/redis:7": true}}
			},
			want: `
[] -> #1 cluster devenv-academy, Create, does not exist
[1] -> #2 nodes academy-control-plane academy-worker, Load redis:7, not on the nodes
[] -> #3 image grades:devenv-3f2a9c, Build, services/grades/main.go changed
[1 3] -> #4 nodes academy-control-plane academy-worker, Load grades:devenv-3f2a9c, not on the nodes
[1 2] -> #5 StatefulSet/academy/redis, Apply, does not exist
[5] -> #6 StatefulSet/academy/redis, Await, was applied
[1 6] -> #7 Namespace/academy, Apply, does not exist
[7] -> #8 Namespace/academy, Await, was applied
[1 4 6 8] -> #9 hook Job/academy/check, Run, pre-install hook has not run yet
[4 9] -> #10 hook Job/academy/migrate, Run, pre-install hook has not run yet
[10] -> #11 ConfigMap/academy/settings, Apply, does not exist
[4 10 11] -> #12 Deployment/academy/grades, Apply, does not exist
[12] -> #13 Deployment/academy/grades, Await, was applied
[10 11] -> #14 HorizontalPodAutoscaler/academy/grades, Apply, does not exist
[4 8 9 10 11 13 14] -> #15 hook Job/academy/seed, Run, post-install hook has not run yet
`,
		},
		{
			name: "a source aside waits for no other, and none waits for it",
			change: func(d *plan.Desired, o *plan.Observed) {
				aside := plan.Source{Name: "metrics-server", Aside: true, Objects: []plan.Object{
					object("ServiceAccount", "metrics-server", "a1"), object("Deployment", "metrics-server", "m1", "docker.io/library/metrics:1"),
				}}
				redis := d.Sources[0].Objects[0]
				delete(o.Live, redis.ID)
				academy := &d.Sources[1]
				academy.Objects[1].Hash = "c2"
				d.Sources = []plan.Source{d.Sources[0], aside, *academy}
			},
			want: `
[] -> #1 StatefulSet/academy/redis, Apply, does not exist
[1] -> #2 StatefulSet/academy/redis, Await, was applied
[] -> #3 ServiceAccount/academy/metrics-server, Apply, does not exist
[3] -> #4 Deployment/academy/metrics-server, Apply, does not exist
[4] -> #5 Deployment/academy/metrics-server, Await, was applied
[2] -> #6 ConfigMap/academy/settings, Apply, declaration changed
`,
		},
		{
			name: "one service edited: its migration runs, then the rollout",
			change: func(d *plan.Desired, o *plan.Observed) {
				edited := strings.Replace(ref, "3f2a9c", "77bb00", 1)
				d.Images[0].Ref = edited
				academy := &d.Sources[1]
				academy.Objects[2].Hash, academy.Objects[2].Images = "d2", []string{edited}
				academy.Hooks[1].Hash, academy.Hooks[1].Images = "m2", []string{edited}
			},
			want: `
[] -> #1 image grades:devenv-77bb00, Build, services/grades/main.go changed
[1] -> #2 nodes academy-control-plane academy-worker, Load grades:devenv-77bb00, not on the nodes
[2] -> #3 hook Job/academy/migrate, Run, pre-upgrade hook changed
[2 3] -> #4 Deployment/academy/grades, Apply, image changed
[4] -> #5 Deployment/academy/grades, Await, was applied
`,
		},
		{
			name: "hooks of a moment run together: one may need what another makes",
			change: func(d *plan.Desired, o *plan.Observed) {
				academy := &d.Sources[1]
				academy.Hooks[2].Events = append(academy.Hooks[2].Events, "pre-upgrade")
				academy.Hooks[1].Hash = "m2"
			},
			want: `
[] -> #1 hook Job/academy/check, Run, another pre-upgrade hook changed
[1] -> #2 hook Job/academy/migrate, Run, pre-upgrade hook changed
`,
		},
		{
			name: "what waits for a pod of its own source does not keep the pod from being repaired",
			change: func(d *plan.Desired, o *plan.Observed) {
				academy := &d.Sources[1]
				claim := object("PersistentVolumeClaim", "data", "p1")
				claim.Waits = true
				academy.Objects = append(academy.Objects, claim)
				o.Live[claim.ID] = plan.Live{Exists: true, Hash: "p1", Message: "waiting for its provisioner"}
				o.Applied[claim.ID] = plan.AppliedRef{Source: "academy"}
				academy.Objects[2].Hash = "d2"
			},
			want: `
[] -> #1 PersistentVolumeClaim/academy/data, Await, waiting for its provisioner
[] -> #2 Deployment/academy/grades, Apply, declaration changed
[2] -> #3 Deployment/academy/grades, Await, was applied
`,
		},
		{
			name: "image gone from one node, still in the engine",
			change: func(_ *plan.Desired, o *plan.Observed) {
				o.Cluster.Nodes[1].Images = map[string]bool{"docker.io/library/redis:7": true}
			},
			want: `
[] -> #1 node academy-worker, Load grades:devenv-3f2a9c, not on the node
`,
		},
		{
			name:   "image gone from the engine but on every node",
			change: func(_ *plan.Desired, o *plan.Observed) { o.Engine = nil },
			want:   ``,
		},
		{
			name: "stopped cluster is started before anything can be known",
			change: func(_ *plan.Desired, o *plan.Observed) {
				o.Cluster = plan.ClusterState{Status: plan.Stopped}
			},
			want: `
[] -> #1 cluster devenv-academy, Start, is stopped
`,
		},
		{
			name: "changed by hand, and unready",
			change: func(_ *plan.Desired, o *plan.Observed) {
				l := o.Live[id("Deployment", "grades")]
				l.Drift = "spec.replicas changed by kubectl-edit"
				o.Live[id("Deployment", "grades")] = l
				o.Live[id("StatefulSet", "redis")] = plan.Live{Exists: true, Hash: "r1", Message: "0 of 1 replicas ready"}
			},
			want: `
[] -> #1 StatefulSet/academy/redis, Await, 0 of 1 replicas ready
[1] -> #2 Deployment/academy/grades, Apply, changed in the cluster: spec.replicas changed by kubectl-edit
[2] -> #3 Deployment/academy/grades, Await, was applied
`,
		},
		{
			name: "no longer declared; data stays",
			change: func(_ *plan.Desired, o *plan.Observed) {
				o.Applied[id("Service", "old")] = plan.AppliedRef{Source: "academy"}
				o.Applied[id("PersistentVolumeClaim", "old")] = plan.AppliedRef{Source: "academy"}
			},
			want: `
[] -> #1 Service/academy/old, Delete, no longer declared
`,
		},
		{
			name: "somebody else's object of the same name",
			change: func(_ *plan.Desired, o *plan.Observed) {
				o.Live[id("ConfigMap", "settings")] = plan.Live{Exists: true, Ready: true}
			},
			want: `
[] -> #1 ConfigMap/academy/settings, Apply, exists, but devenv has not applied it yet
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := academy()
			o := settled(d)
			tt.change(&d, &o)
			got := plan.Compute(d, o).String()
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInfrastructure(t *testing.T) {
	d := academy()
	got := plan.Compute(d, plan.Observed{Cluster: plan.ClusterState{Status: plan.Absent}}).Infrastructure().String()
	want := `[] -> #1 cluster devenv-academy, Create, does not exist
[1] -> #2 nodes academy-control-plane academy-worker, Load redis:7, not on the nodes
[] -> #3 image grades:devenv-3f2a9c, Build, services/grades/main.go changed
[1 3] -> #4 nodes academy-control-plane academy-worker, Load grades:devenv-3f2a9c, not on the nodes
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("infrastructure (-want +got):\n%s", diff)
	}
}

func TestExtend(t *testing.T) {
	d := academy()
	begun := plan.Compute(d, plan.Observed{Cluster: plan.ClusterState{Status: plan.Absent}}).Infrastructure()
	running := settled(d)
	running.Live, running.Hooks, running.Sources, running.Engine, running.Applied = nil, nil, nil, nil, nil
	for i := range running.Cluster.Nodes {
		running.Cluster.Nodes[i].Images = nil
	}
	d.Sources = d.Sources[:1]
	d.Images = append(d.Images, plan.Image{Ref: "docker.io/library/late:1"})
	got := begun.Extend(plan.Compute(d, running))
	want := `
[] -> #1 cluster devenv-academy, Create, does not exist
[1] -> #2 nodes academy-control-plane academy-worker, Load redis:7, not on the nodes
[] -> #3 image grades:devenv-3f2a9c, Build, services/grades/main.go changed
[1 3] -> #4 nodes academy-control-plane academy-worker, Load grades:devenv-3f2a9c, not on the nodes
[] -> #5 nodes academy-control-plane academy-worker, Load late:1, not on the nodes
[2] -> #6 StatefulSet/academy/redis, Apply, does not exist
[6] -> #7 StatefulSet/academy/redis, Await, was applied
`
	if diff := cmp.Diff(want, "\n"+got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
