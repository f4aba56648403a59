package kube

import (
	"testing"

	"go.uber.org/goleak"
)

// No method leaves a goroutine behind once it returned and its Cluster is closed.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
