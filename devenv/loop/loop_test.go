package loop_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/loop"
)

// TestCourses plays courses of events. Each line is an event and, after "->", the commands that follow from it.
func TestCourses(t *testing.T) {
	for name, course := range map[string]string{
		"a change that has a shortcut, and settles": `
change a            -> shortcut a; wake 100ms
sync a              -> wake 30s
+20s change a       -> shortcut a; wake 100ms
sync a              -> wake 30s
+30s                -> cycle 1 [a] settle
done a              ->`,
		"a shortcut that falls": `
change a            -> shortcut a; wake 100ms
fell a              -> cycle 1 [a] (no rule)
done a              ->`,
		"one file in the contexts of two services makes one cycle": `
change a b          -> shortcut a; shortcut b; wake 100ms
fell a              -> wake 100ms
fell b              -> cycle 1 [a b] (no rule)
done a b            ->`,
		"a cycle does not wait long for a shortcut that takes its time": `
change a b          -> shortcut a; shortcut b; wake 100ms
fell a              -> wake 100ms
+100ms              -> cycle 1 [a] (no rule)
sync b              ->
done a              -> wake 30s`,
		"a newer change of the service cancels the cycle": `
change a            -> shortcut a; wake 100ms
fell a              -> cycle 1 [a] (no rule)
+2s change a        -> cancel cycle
stopped             -> cycle 2 [a] (no rule)
done a              ->`,
		"a change of another service does not, and takes its shortcut": `
change a            -> shortcut a; wake 100ms
fell a              -> cycle 1 [a] (no rule)
change b            -> shortcut b
sync b              ->
change c            -> shortcut c
fell c              ->
done a              -> cycle 2 [c] (no rule)
done c              -> wake 30s`,
		"who saves without end gets to see something": `
change a            -> shortcut a; wake 100ms
fell a              -> cycle 1 [a] (no rule)
+11s change a       ->
done a              -> shortcut a; wake 100ms`,
		"a failure is tried again by the next change": `
change a            -> shortcut a; wake 100ms
fail a              ->
+60s                ->
change a            -> shortcut a; wake 100ms
sync a              -> wake 30s`,
		"what failed to deploy goes along with the next cycle, what failed to build does not": `
change a b          -> shortcut a; shortcut b; wake 100ms
fell a              -> wake 100ms
fell b              -> cycle 1 [a b] (no rule)
unready a           ->
source              -> cycle 2 [a]
done a              ->
change a            -> shortcut a; wake 100ms
fell a              -> cycle 3 [a] (no rule)
unbuilt a           ->
source              -> cycle 4 []
done                ->`,
		"sources and services that change together go together": `
source a            -> cycle 1 [a] (what is deployed changed with it)
done a              ->`,
		"devenv.yaml takes everything, and cancels what runs": `
change a            -> shortcut a; wake 100ms
fell a              -> cycle 1 [a] (no rule)
config              -> cancel cycle
stopped             -> cycle 2 all reload [a b c] (no rule)
done                ->`,
		"a service that could not be settled waits": `
change a            -> shortcut a; wake 100ms
sync a              -> wake 30s
+30s                -> cycle 1 [a] settle
unbuilt a           ->
+60s                ->
settle              -> cycle 2 [a] settle
done a              ->`,
		"away: nothing begins, and then everything is looked at": `
change a            -> shortcut a; wake 100ms
fell a              -> cycle 1 [a] (no rule)
away                -> await; cancel cycle
stopped             ->
change b            ->
back                -> cycle 2 all [a b c] (no rule)
done                ->`,
		"files that change while they are read are read again, at once at first": `
change a            -> shortcut a; wake 100ms
outrun a            -> shortcut a; wake 100ms
outrun a            -> shortcut a; wake 100ms
outrun a            -> restless a; wake 1s
change a            -> wake 1s
change b            -> shortcut b; wake 100ms
sync b              -> wake 1s
+1s                 -> shortcut a; wake 100ms
outrun a            -> restless a; wake 2s
+2s                 -> shortcut a; wake 100ms
sync a              -> wake 27s
change a            -> shortcut a; wake 100ms
outrun a            -> shortcut a; wake 100ms`,
		"a cycle that is outrun by one service has done its work for the others": `
change a b          -> shortcut a; shortcut b; wake 100ms
fell a              -> wake 100ms
fell b              -> cycle 1 [a b] (no rule)
built-b outran a    -> cycle 2 [a] (no rule)
outran a            -> cycle 3 [a] (no rule)
outran a            -> restless a; wake 1s
change b            -> shortcut b; wake 100ms
fell b              -> cycle 4 [b] (no rule); wake 1s
done b              -> wake 1s
source              -> cycle 5 []; wake 1s
done                -> wake 1s
+1s                 -> cycle 6 [a] (no rule)
outran a            -> restless a; wake 2s
+2s                 -> cycle 7 [a] (no rule)
done a              ->`,
		"what failed for something that passes is tried again, and at once after a change": `
change a            -> shortcut a; wake 100ms
full a              -> wake 3s
+3s                 -> shortcut a again; wake 100ms
full a              -> wake 5s
change a            -> shortcut a; wake 100ms
full a              -> wake 3s
change b            -> shortcut b; wake 100ms
fell b              -> cycle 1 [b] (no rule); wake 3s
done b              -> wake 3s
+3s                 -> shortcut a again; wake 100ms
fell a              -> cycle 2 [a] again (no rule)
full-disk a         -> wake 5s
+5s                 -> cycle 3 [a] again (no rule)
full-disk a         -> wake 10s
away                -> await
back                -> cycle 4 all [a b c] (no rule)
full-disk a         -> wake 20s
rebuild             -> cycle 5 all [a b c] (no rule)
done                ->`,
		"what is to be settled and rests is woken": `
change a            -> shortcut a; wake 100ms
sync a              -> wake 30s
+30s                -> cycle 1 [a] settle
outran a            -> cycle 2 [a] settle (its files changed while they were being read)
outran a            -> cycle 3 [a] settle (its files changed while they were being read)
outran a            -> restless a; wake 1s
+1s                 -> cycle 4 [a] settle (its files changed while they were being read)
done a              ->`,
		"a cycle over everything waits too, and shortcuts do not wait for it; a key ends all waiting": `
back                ->
change a            -> shortcut a; wake 100ms
outrun a            -> shortcut a; wake 100ms
outrun a            -> shortcut a; wake 100ms
outrun a            -> restless a; wake 1s
away                -> await
back                -> wake 1s
change b            -> shortcut b; wake 100ms
sync b              -> wake 1s
rebuild             -> cycle 1 all [a b c]
done                ->`,
		"leaving cancels": `
change a            -> shortcut a; wake 100ms
fell a              -> cycle 1 [a] (no rule)
quit                -> cancel cycle
stopped             -> leave`,
		"leaving with settling": `
exit settles        ->
change a            -> shortcut a; wake 100ms
sync a              -> wake 30s
change b            -> shortcut b; wake 100ms
quit                -> wake 100ms
fell b              -> cycle 1 [a] settle
done a              -> leave`,
		"asked twice, it leaves at once": `
exit settles        ->
change a            -> shortcut a; wake 100ms
sync a              -> wake 30s
quit                -> cycle 1 [a] settle
quit                -> cancel cycle
stopped             -> leave`,
	} {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			now := time.Unix(1_000_000, 0)
			state := loop.New(loop.Defaults(), services)
			for line := range strings.SplitSeq(strings.TrimSpace(course), "\n") {
				event, _, _ := strings.Cut(line, "->")
				words := strings.Fields(event)
				e := loop.Event(loop.Tick{})
				if after, ok := strings.CutPrefix(words[0], "+"); ok {
					d, err := time.ParseDuration(after)
					if err != nil {
						t.Fatal(err)
					}
					now, words = now.Add(d), words[1:]
				}
				if len(words) > 0 && words[0] == "exit" {
					state.Settings.SettleOnExit = true
				} else if len(words) > 0 {
					e = eventOf(t, words[0], words[1:])
				}
				var commands []loop.Command
				state, commands = state.Step(e, now)
				var texts []string
				for _, c := range commands {
					texts = append(texts, text(c, now))
				}
				got.WriteString(strings.TrimRight(event+"-> "+strings.Join(texts, "; "), " ") + "\n")
			}
			if diff := cmp.Diff(strings.TrimSpace(course), strings.TrimSpace(got.String())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func eventOf(t *testing.T, what string, names []string) loop.Event {
	t.Helper()
	wrong := errors.New("wrong")
	outcomes := func(o loop.Outcome) loop.CycleEnded {
		e := loop.CycleEnded{Outcomes: map[string]loop.Outcome{}}
		for _, n := range names {
			e.Outcomes[n] = o
		}
		return e
	}
	changes := map[string][]string{}
	for _, n := range names {
		changes[n] = []string{n + "/f"}
	}
	switch what {
	case "change":
		return loop.Changed{Services: changes}
	case "source":
		return loop.Changed{Services: changes, Sources: []string{"chart"}}
	case "config":
		return loop.Changed{Services: changes, Config: []string{"devenv.yaml"}}
	case "sync":
		return loop.ShortcutEnded{Service: names[0], Way: "sync", Hot: true}
	case "fell":
		return loop.ShortcutEnded{Service: names[0], Fell: true, Full: "no rule"}
	case "outrun":
		return loop.ShortcutEnded{Service: names[0], Stopped: true, Outrun: true}
	case "outran":
		return loop.CycleEnded{Outrun: names}
	case "built-b": // and outran those that follow
		return loop.CycleEnded{Outcomes: map[string]loop.Outcome{"b": {}}, Outrun: names[1:]}
	case "rebuild":
		return loop.Pressed{Key: loop.Rebuild}
	case "full":
		return loop.ShortcutEnded{Service: names[0], Err: wrong, Passes: true}
	case "full-disk":
		return outcomes(loop.Outcome{Err: wrong, Passes: true})
	case "fail":
		return loop.ShortcutEnded{Service: names[0], Err: wrong}
	case "done":
		return outcomes(loop.Outcome{})
	case "unready":
		return outcomes(loop.Outcome{Err: wrong, Joins: true})
	case "unbuilt":
		return outcomes(loop.Outcome{Err: wrong})
	case "stopped":
		return loop.CycleEnded{Stopped: true}
	case "away":
		return loop.Left{Err: wrong}
	case "back":
		return loop.Returned{}
	case "settle":
		return loop.Pressed{Key: loop.Settle}
	case "quit":
		return loop.Pressed{Key: loop.Quit}
	}
	t.Fatalf("no event %q", what)
	return nil
}

func text(c loop.Command, now time.Time) string {
	switch c := c.(type) {
	case loop.TryShortcut:
		if c.Again {
			return "shortcut " + c.Service + " again"
		}
		return "shortcut " + c.Service
	case loop.StartCycle:
		s := fmt.Sprint("cycle ", c.Number)
		if c.All {
			s += " all"
		}
		if c.Reload {
			s += " reload"
		}
		s += fmt.Sprint(" ", c.Services)
		if c.Settle && !c.All {
			s += " settle"
		}
		if c.Again {
			s += " again"
		}
		for _, name := range services {
			if r := c.Reasons[name]; r != "" {
				return s + " (" + r + ")"
			}
		}
		return s
	case loop.CancelShortcut:
		return "cancel " + c.Service
	case loop.CancelCycle:
		return "cancel cycle"
	case loop.AwaitReturn:
		return "await"
	case loop.TellRestless:
		return "restless " + c.Service
	case loop.Wake:
		return "wake " + c.At.Sub(now).String()
	case loop.Leave:
		return "leave"
	}
	return fmt.Sprintf("%T", c)
}
