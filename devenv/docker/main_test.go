package docker

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain: whatever a call started has ended when the engine is closed.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
