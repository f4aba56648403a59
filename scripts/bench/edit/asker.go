package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// interval is how often the service is asked; patience is how long an answer may take.
const (
	interval = 10 * time.Millisecond
	patience = 5 * time.Second
)

// stamp is how the log gives times, to be compared with those of the cluster's logs.
const stamp = "15:04:05.000"

// asker keeps asking an address, every interval with a connection of its own, whether or not those before it have been answered. It is
// client and stopwatch at the same time: what it is not answered somebody else would not have been either.
type asker struct {
	url    string
	client *http.Client
	log    io.Writer // gets a line for each request that fails

	mu       sync.Mutex
	asked    int
	failed   map[string]int // by what went wrong
	lastGood time.Time
	gap      time.Duration // the longest time between two answers
	first    map[string]time.Time
	last     map[string]time.Time
	changed  chan struct{} // closed, and replaced, with each answer
}

func newAsker(url string, log io.Writer) *asker {
	// Without keep-alive every request is a new connection, which is what a rollout can refuse.
	a := &asker{url: url, log: log, client: &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}}
	a.forget()
	return a
}

// forget begins to count anew.
func (a *asker) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked, a.failed, a.gap, a.lastGood = 0, map[string]int{}, 0, time.Time{}
	a.first, a.last = map[string]time.Time{}, map[string]time.Time{}
	if a.changed == nil {
		a.changed = make(chan struct{})
	}
}

// run asks until ctx ends, and returns when the last request has come back.
func (a *asker) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for tick := time.NewTicker(interval); ; {
		select {
		case <-tick.C:
			all.Go(func() { a.ask(ctx) })
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}

func (a *asker) ask(ctx context.Context) {
	began := time.Now()
	answer, err := a.get(ctx)
	now := time.Now()
	if ctx.Err() != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	if err != nil {
		what := err.Error()
		a.failed[what[strings.LastIndex(what, ": ")+len(": "):]]++
		fmt.Fprintf(a.log, "request of %s failed at %s: %s\n", began.Format(stamp), now.Format(stamp), what)
		return
	}
	if !a.lastGood.IsZero() {
		a.gap = max(a.gap, now.Sub(a.lastGood))
	}
	a.lastGood = now
	if a.first[answer].IsZero() {
		a.first[answer] = now
	}
	a.last[answer] = now
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *asker) get(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url, nil)
	if err != nil {
		return "", err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = badStatus(response.Status)
	}
	return strings.TrimSpace(string(body)), err
}

// badStatus is an answer that says that something is wrong.
type badStatus string

func (s badStatus) Error() string { return "answered: " + string(s) }

// served is when an answer came for the first time. It waits for it until ctx ends.
func (a *asker) served(ctx context.Context, answer string) (time.Time, error) {
	for {
		a.mu.Lock()
		first, changed := a.first[answer], a.changed
		a.mu.Unlock()
		if !first.IsZero() {
			return first, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

// alone waits until no other answer than this one has come for a while, and says when the last other one came; zero if none did.
func (a *asker) alone(ctx context.Context, answer string, quiet time.Duration) (time.Time, error) {
	for {
		var other time.Time
		a.mu.Lock()
		for text, at := range a.last {
			if text != answer && at.After(other) {
				other = at
			}
		}
		since, changed := a.lastGood.Sub(other), a.changed
		a.mu.Unlock()
		if since >= quiet && time.Since(other) >= quiet {
			return other, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

// tally is what came of all the requests since it began to count.
type tally struct {
	asked, failed int
	why           map[string]int
	gap           time.Duration // the longest time between two answers
}

func (a *asker) tally() tally {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := tally{asked: a.asked, why: a.failed, gap: a.gap}
	for _, n := range a.failed {
		t.failed += n
	}
	return t
}
