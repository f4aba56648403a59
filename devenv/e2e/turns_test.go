package e2e

import (
	"flag"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// turns let a few scenarios run at a time, the longest first: in the order in which testing resumes parallel tests the longest of all may begin
// last, and run alone. All scenarios are in line before the first has its turn, because testing resumes none before each has called t.Parallel.
type turns struct {
	mu      sync.Mutex
	atOnce  int
	running int
	waiting []*turn
}

// turn is a scenario that waits.
type turn struct {
	takes time.Duration // roughly
	comes chan struct{} // closed when it is its turn
}

var scenarios turns

// TestMain has as many scenarios run at a time as -parallel says, in the order of their turns. So testing itself has to let all of them go on.
func TestMain(m *testing.M) {
	flag.Parse()
	parallel := flag.Lookup("test.parallel")
	scenarios.atOnce = parallel.Value.(flag.Getter).Get().(int)
	if err := parallel.Value.Set("1000"); err != nil {
		panic(err) // it is a number
	}
	os.Exit(m.Run())
}

// parallel has a scenario run beside others, when it is its turn. takes is about how long that takes, which decides only about the order.
func parallel(t *testing.T, takes time.Duration) {
	t.Helper()
	mine := scenarios.queue(takes)
	t.Parallel()
	scenarios.next(0)
	<-mine.comes
	t.Cleanup(func() { scenarios.next(1) }) // after those that the scenario registers
}

func (s *turns) queue(takes time.Duration) *turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := &turn{takes: takes, comes: make(chan struct{})}
	s.waiting = append(s.waiting, mine)
	return mine
}

// next gives the turns that are free, after so many scenarios have ended.
func (s *turns) next(ended int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running -= ended
	slices.SortStableFunc(s.waiting, func(a, b *turn) int { return int(b.takes - a.takes) })
	for s.running < s.atOnce && len(s.waiting) > 0 {
		s.running++
		close(s.waiting[0].comes)
		s.waiting = s.waiting[1:]
	}
}

func TestTurns(t *testing.T) {
	s := turns{atOnce: 2}
	var all []*turn
	for _, minutes := range []time.Duration{1, 3, 2, 3} {
		all = append(all, s.queue(minutes*time.Minute))
	}
	have := func(want ...int) {
		t.Helper()
		var got []int
		for i, one := range all {
			select {
			case <-one.comes:
				got = append(got, i)
			default:
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v have had their turn, want %v", got, want)
		}
	}
	have()
	s.next(0)
	have(1, 3)
	s.next(1)
	have(1, 2, 3)
	s.next(2)
	have(0, 1, 2, 3)
}
