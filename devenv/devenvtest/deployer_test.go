package devenvtest_test

import (
	"context"
	"testing"

	"github.com/devenv-run/devenv/devenv/devenvtest"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestDeployer(t *testing.T) {
	devenvtest.DeployerSuite(t, func(*testing.T) devenvtest.DeployerSubject {
		fake := &devenvtest.Deployer{Images: []string{"debian:*"}}
		return devenvtest.DeployerSubject{
			Deployer: fake, Namespace: "suite", Image: "debian:bookworm-slim",
			Get:     func(_ context.Context, id plan.ID) ([]byte, error) { return fake.Get(id), nil },
			Make:    func(_ context.Context, o plan.Object) error { fake.Make(o); return nil },
			Unmake:  func(_ context.Context, id plan.ID) error { fake.Unmake(id); return nil },
			Pods:    func(_ context.Context, id plan.ID) ([]string, error) { return fake.Pods(id), nil },
			Applied: func(context.Context) (map[plan.ID]plan.AppliedRef, error) { return fake.Applied(), nil },
			Succeeded: func(_ context.Context, h plan.Hook) (string, error) {
				return fake.Succeeded()[h.ID], nil
			},
			Refresh: func() engine.Deployer { return fake },
		}
	})
}
