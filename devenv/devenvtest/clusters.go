package devenvtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// ClustersSubject is an implementation of engine.Clusters under test, with what a test needs to see and do behind its back.
type ClustersSubject struct {
	engine.Clusters
	Cluster plan.Cluster // what to create; nothing of it exists
	// ReadyNodes asks the cluster itself which of its nodes are ready; an error if it does not answer.
	ReadyNodes func(ctx context.Context) ([]string, error)
	// Remains lists what there is of the cluster, running or not.
	Remains func(ctx context.Context) ([]string, error)
	// Stop stops the cluster, as a reboot of the machine would.
	Stop func(ctx context.Context) error
	// Refresh returns a new instance that looks after the same cluster, as the next run of devenv would.
	Refresh func() engine.Clusters
}

// ClustersSuite holds an implementation against the contract of engine.Clusters. Fresh is called for each test, and registers the removal
// of whatever the test creates.
func ClustersSuite(t *testing.T, fresh func(t *testing.T) ClustersSubject) {
	t.Run("a created cluster has all its nodes ready, restarts, and is not created twice", func(t *testing.T) {
		s, ctx := fresh(t), t.Context()
		var said lines
		if err := s.Create(ctx, s.Cluster, said.report); err != nil {
			t.Fatal(err)
		}
		s.requireReady(t)
		if said.count() == 0 {
			t.Error("creation reported no progress")
		}

		if err := s.Refresh().Create(ctx, s.Cluster, discard); err == nil {
			t.Error("creating a cluster that exists succeeded")
		}
		s.requireReady(t)

		if err := s.Refresh().Start(ctx, s.Cluster, discard); err != nil {
			t.Errorf("starting a cluster that runs: %v", err)
		}
		if err := s.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if nodes, err := s.ReadyNodes(ctx); err == nil {
			t.Fatalf("a stopped cluster answers: %v", nodes)
		}
		if err := s.Refresh().Start(ctx, s.Cluster, said.report); err != nil {
			t.Fatalf("starting a stopped cluster: %v", err)
		}
		s.requireReady(t)
	})

	t.Run("a creation that is stopped leaves nothing and can be repeated", func(t *testing.T) {
		s := fresh(t)
		for n := 1; ; n++ { // stop at its first line of progress, at its third, at its sixth, …
			ctx, cancel := context.WithCancel(t.Context())
			var said lines
			at := n * (n + 1) / 2
			err := s.Refresh().Create(ctx, s.Cluster, func(text string) {
				if said.report(text); said.count() == at {
					cancel()
				}
			})
			cancel()
			if err == nil {
				break // it has fewer lines
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("stopped at line %d (%q): %v", at, said.line(at), err)
			}
			if rest, err := s.Remains(t.Context()); err != nil || len(rest) > 0 {
				t.Fatalf("stopped at line %d (%q): %v remains, %v", at, said.line(at), rest, err)
			}
		}
		s.requireReady(t)
	})

	t.Run("starting what does not exist fails and creates nothing", func(t *testing.T) {
		s := fresh(t)
		if err := s.Start(t.Context(), s.Cluster, discard); err == nil {
			t.Error("it succeeded")
		} else if fault.Of(err) == fault.Internal {
			t.Errorf("not a fault for the user: %v", err)
		}
		if rest, err := s.Remains(t.Context()); err != nil || len(rest) > 0 {
			t.Errorf("%v remains, %v", rest, err)
		}
	})
}

func (s ClustersSubject) requireReady(t *testing.T) {
	t.Helper()
	nodes, err := s.ReadyNodes(t.Context())
	if err != nil {
		t.Fatalf("the cluster does not answer: %v", err)
	}
	slices.Sort(nodes)
	if want := slices.Sorted(slices.Values(s.Cluster.Nodes)); !slices.Equal(nodes, want) {
		t.Fatalf("nodes ready: %v, want %v", nodes, want)
	}
}

// Clusters is an engine.Clusters in memory.
type Clusters struct {
	mu      sync.Mutex
	present bool
	running bool
	cluster plan.Cluster
	// Failure is what the next Create or Start returns instead of doing anything. It is used up.
	Failure error
	// Delay is how long Create and Start take.
	Delay time.Duration
}

var _ engine.Clusters = (*Clusters)(nil)

// Create implements engine.Clusters.
func (c *Clusters) Create(ctx context.Context, want plan.Cluster, r engine.Report) error {
	if err := c.work(ctx, r, "creating "+want.Name); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.present {
		return &fault.Error{Kind: fault.Machine, What: "cluster " + want.Name + " exists already", Next: "Use it."}
	}
	c.present, c.running, c.cluster = true, true, want
	return nil
}

// Start implements engine.Clusters.
func (c *Clusters) Start(ctx context.Context, want plan.Cluster, r engine.Report) error {
	if err := c.work(ctx, r, "starting "+want.Name); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.present {
		return &fault.Error{Kind: fault.Machine, What: "cluster " + want.Name + " does not exist", Next: "Create it."}
	}
	c.running = true
	return nil
}

func (c *Clusters) work(ctx context.Context, r engine.Report, text string) error {
	c.mu.Lock()
	failure := c.Failure
	c.Failure = nil
	c.mu.Unlock()
	if failure != nil {
		return failure
	}
	r(text)
	select {
	case <-time.After(c.Delay):
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// State is what Observed says of the cluster; nodes hold no images.
func (c *Clusters) State() plan.ClusterState {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.present:
		return plan.ClusterState{Status: plan.Absent}
	case !c.running:
		return plan.ClusterState{Status: plan.Stopped}
	}
	s := plan.ClusterState{Status: plan.Running}
	for _, name := range c.cluster.Nodes {
		s.Nodes = append(s.Nodes, plan.Node{Name: name})
	}
	return s
}

// Stop stops the cluster.
func (c *Clusters) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = false
}

// Delete removes the cluster.
func (c *Clusters) Delete() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.present, c.running = false, false
}

// discard is a Report that drops what it gets.
func discard(string) {}

// lines is a Report that keeps what it gets.
type lines struct {
	mu   sync.Mutex
	said []string
}

func (l *lines) report(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, text)
}

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.said)
}

// line is the n-th line, from 1.
func (l *lines) line(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > len(l.said) {
		return ""
	}
	return l.said[n-1]
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.said, "\n")
}
