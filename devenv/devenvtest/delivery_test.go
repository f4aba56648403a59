package devenvtest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestDelivery(t *testing.T) {
	DeliverySuite(t, func(t *testing.T) DeliverySubject {
		fake := &Delivery{}
		fake.Lack("registry.example.com/devenvtest/absent:devenv-0")
		made := 0
		return DeliverySubject{
			Delivery: fake,
			Nodes:    []string{"a", "b", "c"},
			NewImage: func(*testing.T) plan.Image {
				made++
				return plan.Image{Ref: fmt.Sprintf("registry.example.com/devenvtest/image:devenv-%d", made)}
			},
			Derive: func(_ *testing.T, i plan.Image) plan.Image {
				made++
				ref := fmt.Sprintf("registry.example.com/devenvtest/image:devenv-%d", made)
				fake.Derive(ref, i.Ref)
				return plan.Image{Ref: ref}
			},
			Lose: func(_ *testing.T, node string, i plan.Image) { fake.Lose(node, i.Ref) },
			Runs: func(_ context.Context, node string, i plan.Image) error {
				if !fake.Held(node, i.Ref) {
					return errors.New("no such image")
				}
				return nil
			},
			Known: func(_ context.Context, node string, i plan.Image) (bool, error) { return fake.Held(node, i.Ref), nil },
			Break: func(_ *testing.T, node string) func() {
				fake.Fail(node, errors.New("broken"))
				return func() { fake.Fail(node, nil) }
			},
			Midway: func(_ *testing.T, do func()) engine.Delivery {
				fake.Midway = do
				return fake
			},
		}
	})
}
