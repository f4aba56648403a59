package measure

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tick is the unit of CPU times in /proc: USER_HZ, which is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// look is how often Spending looks for processes: what one uses after the last look before it ends is missed.
const look = 100 * time.Millisecond

// Spending adds up the processor time of every program on this machine, containers included, from now on until the returned function is called: program →
// time. The program is what /proc/PID/comm says.
func Spending(ctx context.Context) (stop func() map[string]time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	first := processes()
	spent := map[string]time.Duration{}
	last := maps.Clone(first)
	add := func() {
		now := processes()
		for id, t := range now {
			spent[id.program] += t - last[id]
			last[id] = t
		}
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(look):
				add()
			}
		}
	})
	return func() map[string]time.Duration {
		cancel()
		done.Wait()
		add()
		return spent
	}
}

// Spent is the programs that used most, as text.
func Spent(spent map[string]time.Duration, most int) string {
	programs := slices.SortedFunc(maps.Keys(spent), func(a, b string) int { return cmp.Compare(spent[b], spent[a]) })
	var text []string
	for _, p := range programs[:min(most, len(programs))] {
		text = append(text, fmt.Sprintf("%s %.2f", p, spent[p].Seconds()))
	}
	return strings.Join(text, ", ")
}

type process struct{ pid, program string }

// processes are the processor times of all processes so far.
func processes() map[process]time.Duration {
	all := map[process]time.Duration{}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	for _, dir := range dirs {
		data, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue // it has ended
		}
		// See proc_pid_stat(5): pid (comm) state …, of which utime and stime are the 14th and 15th.
		text := string(data)
		open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
		fields := strings.Fields(text[end+1:])
		if open < 0 || end < open || len(fields) < 13 {
			continue
		}
		user, err1 := strconv.ParseInt(fields[11], 10, 64)
		system, err2 := strconv.ParseInt(fields[12], 10, 64)
		if err1 != nil || err2 != nil {
			continue
		}
		all[process{filepath.Base(dir), text[open+1 : end]}] = time.Duration(user+system) * tick
	}
	return all
}
