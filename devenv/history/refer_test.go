package history_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/history"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestReferences(t *testing.T) {
	const pod = `{
		"initContainers": [{"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "init", "key": "a"}}}, {"name": "B", "value": "b"}]}],
		"containers": [
			{"envFrom": [{"configMapRef": {"name": "all"}}, {"secretRef": {"name": "password"}}]},
			{"env": [{"name": "C", "valueFrom": {"secretKeyRef": {"name": "token", "key": "c"}}}, {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]},
			{"envFrom": [{"configMapRef": {"name": "all"}}]}
		],
		"volumes": [
			{"name": "v1", "configMap": {"name": "files"}},
			{"name": "v2", "secret": {"secretName": "certificate"}},
			{"name": "v3", "projected": {"sources": [{"configMap": {"name": "part"}}, {"secret": {"name": "key"}}, {"serviceAccountToken": {"path": "t"}}]}},
			{"name": "v4", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "mount"}}},
			{"name": "v5", "emptyDir": {}}
		],
		"imagePullSecrets": [{"name": "registry"}]
	}`
	all := []string{
		"ConfigMap/n/init", "ConfigMap/n/all", "Secret/n/password", "Secret/n/token", "ConfigMap/n/files", "Secret/n/certificate",
		"ConfigMap/n/part", "Secret/n/key", "Secret/n/mount", "Secret/n/registry",
	}
	for _, tt := range []struct {
		name, kind, manifest string
		images               []string
		want                 []string
	}{
		{"a Deployment", "Deployment", `{"spec": {"template": {"spec": ` + pod + `}}}`, []string{"i"}, all},
		{"a CronJob", "CronJob", `{"spec": {"jobTemplate": {"spec": {"template": {"spec": ` + pod + `}}}}}`, []string{"i"}, all},
		{"no references", "Deployment", `{"spec": {"template": {"spec": {"containers": [{"image": "i"}]}}}}`, []string{"i"}, nil},
		{"not what it seems", "Deployment", `{"spec": {"template": {"spec": {"containers": "x", "volumes": [3, {"secret": "s"}]}}}}`, []string{"i"}, nil},
		{"no pods", "ConfigMap", `{"data": {"configMapRef": "x"}}`, nil, nil},
	} {
		o := plan.Object{ID: plan.ID{Kind: tt.kind, Namespace: "n", Name: "x"}, JSON: []byte(tt.manifest), Images: tt.images}
		ids, err := history.References(o)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		var got []string
		for _, id := range ids {
			got = append(got, id.String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if _, err := history.References(plan.Object{JSON: []byte("{"), Images: []string{"i"}}); err == nil {
		t.Error("no error for what is not JSON")
	}
}
