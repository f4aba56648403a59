// Package measure holds what the benchmarks of devenv share: running a command (Run), a plain kind cluster to measure others on (Kind), the spread
// of what was measured (Times), whose processor time it took (Spending), and how busy the machine was meanwhile (Load), without which no figure means anything.
package measure

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Run runs a command in a directory ("" is the current one) and gives what it printed on stdout. The error holds all that it printed. When ctx ends
// it is interrupted, so that it can clear up, and killed half a minute later.
func Run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// Docker is a docker client that can build with BuildKit: Debian's stands in /usr/bin, whatever is earlier on the PATH.
func Docker() string {
	const debian = "/usr/bin/docker"
	if _, err := os.Stat(debian); err == nil {
		return debian
	}
	return "docker"
}

// Load is the machine's load average over one, five and fifteen minutes, as text; "unknown" where the machine does not say.
func Load() string {
	data, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(data))
	if err != nil || len(fields) < 3 {
		return "unknown"
	}
	return strings.Join(fields[:3], " ")
}

// Times are measurements of the same thing.
type Times []time.Duration

// Median is the middle one, the higher one of two; zero where there are none.
func (t Times) Median() time.Duration {
	if len(t) == 0 {
		return 0
	}
	return t.sorted()[len(t)/2]
}

// String is "min / median / max" in seconds, "–" where there are none.
func (t Times) String() string {
	if len(t) == 0 {
		return "–"
	}
	s := t.sorted()
	return Seconds(s[0]) + " / " + Seconds(t.Median()) + " / " + Seconds(s[len(s)-1])
}

func (t Times) sorted() Times {
	t = slices.Clone(t)
	slices.Sort(t)
	return t
}

// Seconds writes a duration in seconds with the digits that mean something.
func Seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.2f", d.Seconds())
	}
	return fmt.Sprintf("%.1f", d.Seconds())
}
