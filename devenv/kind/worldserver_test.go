package kind

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"
)

// connect is what leads to the API server of the world's cluster.
func (w *world) connect(kubeconfig []byte) (apiServer, error) {
	if !bytes.Contains(kubeconfig, []byte("server: https://")) {
		return nil, errors.New("not a kubeconfig")
	}
	return worldServer{w, kubeconfig}, nil
}

type worldServer struct {
	*world
	kubeconfig []byte
}

func (s worldServer) answers(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.containers {
		if n.running() && n.cluster == testName && n.Endpoint != "" && !s.deaf && bytes.Contains(s.kubeconfig, []byte("server: https://"+n.Endpoint+"\n")) {
			return nil
		}
	}
	return errors.New("connection refused")
}

func (s worldServer) uid(ctx context.Context) (string, error) {
	if s.refusal != nil {
		return "", s.refusal
	}
	return s.uids[testName], s.answers(ctx)
}

func (s worldServer) version(ctx context.Context) (string, error) { return "v1.36.3", s.answers(ctx) }

func (s worldServer) observe(ctx context.Context) (observation, error) {
	if err := s.call("api observe"); err != nil {
		return observation{}, err
	}
	if err := s.answers(ctx); err != nil {
		return observation{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []container
	for _, n := range s.containers {
		if n.running() && n.cluster == testName {
			all = append(all, n.container)
		}
	}
	return healthy(all), nil
}

// healthy is what a cluster of these nodes shows when everything is well.
func healthy(all []container) observation {
	var o observation
	for _, c := range all {
		if !c.isNode() {
			continue
		}
		o.nodes = append(o.nodes, testNode(c.Name, "True", c.Started.Add(time.Second)))
		o.pods = append(o.pods,
			testPod("kube-proxy-"+c.Name, "kube-proxy", c.Name, "DaemonSet", true, c.Started.Add(time.Second)),
			testPod("kindnet-"+c.Name, "kindnet", c.Name, "DaemonSet", true, c.Started.Add(time.Second)))
	}
	if len(all) > 0 {
		o.pods = append(o.pods, testPod("coredns-1", "kube-dns", all[0].Name, "ReplicaSet", true, all[0].Started.Add(time.Second)))
	}
	return o
}

func testNode(name, ready string, heartbeat time.Time) nodeObject {
	var n nodeObject
	n.Metadata.Name = name
	n.Status.Conditions = []condition{{Type: "Ready", Status: ready, LastHeartbeat: heartbeat}}
	return n
}

func testPod(name, app, node, owner string, ready bool, started time.Time) podObject {
	object := map[string]any{
		"metadata": map[string]any{
			"name": name, "labels": map[string]string{"k8s-app": app}, "ownerReferences": []any{map[string]string{"kind": owner}},
		},
		"spec": map[string]any{"nodeName": node},
		"status": map[string]any{
			"conditions":        []any{map[string]string{"type": "Ready", "status": map[bool]string{true: "True", false: "False"}[ready]}},
			"containerStatuses": []any{map[string]any{"state": map[string]any{"running": map[string]any{"startedAt": started}}}},
		},
	}
	data, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	var p podObject
	if err := json.Unmarshal(data, &p); err != nil {
		panic(err)
	}
	return p
}

// adminConf is what kubeadm leaves in a control plane, shortened.
var adminConf = []byte(`apiVersion: v1
kind: Config
current-context: kubernetes-admin@devenv-x
clusters:
- name: devenv-x
  cluster: {server: "https://devenv-x-control-plane:6443"}
contexts:
- name: kubernetes-admin@devenv-x
  context: {cluster: devenv-x, user: kubernetes-admin}
users:
- name: kubernetes-admin
  user: {token: secret}
`)
