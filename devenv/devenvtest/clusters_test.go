package devenvtest

import (
	"context"
	"errors"
	"testing"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestClusters(t *testing.T) {
	ClustersSuite(t, func(t *testing.T) ClustersSubject {
		fake := &Clusters{}
		return ClustersSubject{
			Clusters: fake,
			Cluster:  plan.Cluster{Name: "devenv-x", Nodes: []string{"devenv-x-control-plane", "devenv-x-worker"}},
			ReadyNodes: func(context.Context) ([]string, error) {
				var names []string
				s := fake.State()
				for _, n := range s.Nodes {
					names = append(names, n.Name)
				}
				if s.Status != plan.Running {
					return nil, errors.New("connection refused")
				}
				return names, nil
			},
			Remains: func(context.Context) ([]string, error) {
				if fake.State().Status == plan.Absent {
					return nil, nil
				}
				return []string{"devenv-x"}, nil
			},
			Stop:    func(context.Context) error { fake.Stop(); return nil },
			Refresh: func() engine.Clusters { return fake },
		}
	})
}
