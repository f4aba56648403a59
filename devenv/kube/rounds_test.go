package kube

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPauseOfAnUnknownNode(t *testing.T) {
	if got := new(rounds).pause("node", time.Now()); got != 0 {
		t.Error(got)
	}
}

// From the image's change until the new container runs there is no round, wherever in the kubelet's beat it is begun; and nobody waits for longer than that takes.
func TestPauseAvoidsRounds(t *testing.T) {
	seen := time.Now()
	r := rounds{seen: map[string]time.Time{"node": seen}}
	rapid.Check(t, func(t *rapid.T) {
		now := seen.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "since")))
		pause := r.pause("node", now)
		if longest := replaceTime + 2*roundSlack; pause < 0 || pause > longest {
			t.Fatalf("waits %s, more than %s", pause, longest)
		}
		changes := now.Add(pause + proxyPatience).Sub(seen)
		if last := changes % roundEvery; last < roundSlack || roundEvery-last < replaceTime {
			t.Fatalf("the image changes %s after a round", last)
		}
	})
}

func TestOneLooksAtARound(t *testing.T) {
	var r rounds
	began := time.Now()
	for _, step := range []struct {
		what string
		at   time.Duration
		want bool
	}{{"the first", 0, true}, {"while that one looks", 0, false}} {
		if got := r.begin("node", began.Add(step.at)); got != step.want {
			t.Errorf("%s: %v", step.what, got)
		}
	}
	r.end("node", time.Time{})
	if !r.begin("node", began) {
		t.Error("nobody looks again after one who saw nothing")
	}
	r.end("node", began)
	if r.begin("node", began.Add(roundAge-1)) || !r.begin("node", began.Add(roundAge)) {
		t.Error("a round is not looked at again after its time")
	}
}
