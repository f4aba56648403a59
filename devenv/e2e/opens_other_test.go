//go:build !linux

package e2e

import (
	"fmt"
	"os"
	"testing"
)

// watchOpens compares the files' times and sizes, which is what can be seen here.
func watchOpens(t *testing.T, files ...string) func() []string {
	t.Helper()
	look := func() []string {
		var all []string
		for _, f := range files {
			info, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprint(f, info.ModTime(), info.Size()))
		}
		return all
	}
	before := look()
	return func() []string {
		now := look()
		var changed []string
		for i := range now {
			if now[i] != before[i] {
				changed = append(changed, now[i])
			}
		}
		before = now
		return changed
	}
}
