package kind

import (
	"strings"
	"testing"
)

// A node that was killed while its runc had something frozen cannot end by itself.
func TestDeleteThawsWhatKeepsANodeFromEnding(t *testing.T) {
	w := newWorld()
	k := w.clusters(t.TempDir(), testSpec(0))
	mustCreate(t, k)
	removals := 0
	w.hook = func(call string) error {
		if !strings.HasPrefix(call, "docker rm ") {
			return nil
		}
		if removals++; removals == 1 {
			return failed(nil, "Error response from daemon: Could not kill running container abc, cannot remove - tried to kill container, but did not receive an exit event")
		}
		return nil
	}
	if err := k.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked := strings.Join(w.calls, "\n")
	if removals != 2 || !strings.Contains(asked, "docker inspect --format {{.Image}}") {
		t.Errorf("removed %d times:\n%s", removals, asked)
	}
}
