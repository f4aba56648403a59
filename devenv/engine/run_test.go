package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world performs every step by a function, and records in which order steps began and ended.
type world struct {
	mu      sync.Mutex
	log     []string
	current map[plan.Action]int
	most    map[plan.Action]int
	step    func(ctx context.Context, a plan.Action, name string) error
}

func (w *world) do(ctx context.Context, a plan.Action, name string) error {
	w.mu.Lock()
	w.log = append(w.log, "begin "+name)
	if w.current == nil {
		w.current, w.most = map[plan.Action]int{}, map[plan.Action]int{}
	}
	w.current[a]++
	w.most[a] = max(w.most[a], w.current[a])
	w.mu.Unlock()
	var err error
	if w.step != nil {
		err = w.step(ctx, a, name)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current[a]--
	w.log = append(w.log, "end "+name)
	return err
}

func (w *world) Create(ctx context.Context, c plan.Cluster, _ engine.Report) error {
	return w.do(ctx, plan.Create, c.Name)
}
func (w *world) Start(ctx context.Context, c plan.Cluster, _ engine.Report) error {
	return w.do(ctx, plan.Start, c.Name)
}
func (w *world) Build(ctx context.Context, i plan.Image, _ engine.Report) error {
	return w.do(ctx, plan.Build, "build "+i.Ref)
}
func (w *world) Deliver(ctx context.Context, i plan.Image, _ []string, _ engine.Report) (string, error) {
	return "sent", w.do(ctx, plan.Load, "load "+i.Ref)
}
func (w *world) Apply(ctx context.Context, _ string, o plan.Object) (string, error) {
	return "", w.do(ctx, plan.Apply, "apply "+o.ID.Name)
}
func (w *world) Await(ctx context.Context, _ string, o plan.Object, _ engine.Report) error {
	return w.do(ctx, plan.Await, "await "+o.ID.Name)
}
func (w *world) Restart(ctx context.Context, _ string, o plan.Object, _ engine.Report) error {
	return w.do(ctx, plan.Restart, "restart "+o.ID.Name)
}
func (w *world) Run(ctx context.Context, _ string, h plan.Hook, _ engine.Report) error {
	return w.do(ctx, plan.Run, "run "+h.ID.Name)
}
func (w *world) Delete(ctx context.Context, _ string, id plan.ID, _ bool, _ engine.Report) error {
	return w.do(ctx, plan.Delete, "delete "+id.Name)
}

func newEngine(w *world, s event.Sink) *engine.Engine {
	return &engine.Engine{Clusters: w, Builder: w, Delivery: w, Deployer: w, Sink: s}
}

// collect is a sink that keeps one line an event.
type collect struct {
	mu    sync.Mutex
	lines []string
}

func (c *collect) Emit(e event.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := e.(type) {
	case event.StepSkipped:
		c.lines = append(c.lines, fmt.Sprintf("skipped #%d because #%d", e.Step.Number, e.Because.Number))
	case event.StepFailed:
		c.lines = append(c.lines, fmt.Sprintf("failed #%d: %v", e.Step.Number, e.Err))
	}
}

func build(n int, needs ...int) plan.Step {
	return plan.Step{Number: n, Needs: needs, Action: plan.Build, Image: &plan.Image{Ref: fmt.Sprint(n)}}
}

func apply(n int, needs ...int) plan.Step {
	return plan.Step{Number: n, Needs: needs, Action: plan.Apply, Object: &plan.Object{ID: plan.ID{Name: fmt.Sprint(n)}}}
}

func TestAFailedBuildDoesNotStopTheOthers(t *testing.T) {
	broken := &fault.Error{Kind: fault.Build, What: "build of service b"}
	w := &world{step: func(_ context.Context, _ plan.Action, name string) error {
		if name == "build 2" {
			return broken
		}
		return nil
	}}
	sink := &collect{}
	p := plan.Plan{Steps: []plan.Step{build(1), build(2), apply(3, 1), apply(4, 2), apply(5, 4), apply(6, 3)}}
	p.Steps[2].Source, p.Steps[3].Source = "data", "academy"
	got, err := newEngine(w, sink).Run(t.Context(), p)
	if !errors.Is(err, broken) || fault.Of(err) != fault.Build {
		t.Errorf("error = %v, want that of the build", err)
	}
	want := engine.Result{Done: 3, Failed: 1, Skipped: 2, Incomplete: map[string]bool{"": true, "academy": true},
		Ended: map[int]error{1: nil, 2: broken, 3: nil, 6: nil}}
	want.Plan = p
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	events := []string{"failed #2: build of service b", "skipped #4 because #2", "skipped #5 because #2"}
	if diff := cmp.Diff(events, sink.lines); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if !slices.Contains(w.log, "end apply 6") {
		t.Errorf("what does not need the broken build was not done: %v", w.log)
	}
}

func TestClusterAndBuildsRunAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{step: func(context.Context, plan.Action, string) error { time.Sleep(time.Minute); return nil }}
		p := plan.Plan{Steps: []plan.Step{
			{Number: 1, Action: plan.Create, Cluster: &plan.Cluster{Name: "c"}},
			build(2), build(3), apply(4, 1, 2, 3),
		}}
		began := time.Now()
		if _, err := newEngine(w, event.Discard).Run(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 2*time.Minute {
			t.Errorf("took %v, want the length of the longest path, 2m", took)
		}
	})
}

func created(n int) plan.Step {
	return plan.Step{Number: n, Action: plan.Create, Cluster: &plan.Cluster{Name: "c"}}
}

func TestWhatIsDeployedIsPlannedWhenTheClusterRunsAndBeginsBeforeTheBuildsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{step: func(_ context.Context, a plan.Action, _ string) error {
			if a == plan.Build {
				time.Sleep(time.Hour)
			}
			time.Sleep(time.Minute)
			return nil
		}}
		p := plan.Plan{Steps: []plan.Step{created(1), build(2)}}
		e := newEngine(w, event.Discard)
		e.Deployer = nil
		e.Extend = func(context.Context) (plan.Plan, engine.Deployer, error) {
			return plan.Plan{Steps: append(slices.Clone(p.Steps), apply(3), apply(4, 2), apply(5, 3))}, w, nil
		}
		got, err := e.Run(t.Context(), p)
		if err != nil || got.Done != 5 || len(got.Plan.Steps) != 5 {
			t.Fatalf("%+v, %v", got, err)
		}
		if slices.Index(w.log, "end apply 5") > slices.Index(w.log, "end build 2") || slices.Index(w.log, "begin apply 4") < slices.Index(w.log, "end build 2") {
			t.Errorf("not in the order that the needs allow: %v", w.log)
		}
	})
}

func TestAnExtensionThatFailsStopsNothingThatRuns(t *testing.T) {
	for _, test := range []struct {
		name   string
		extend func(context.Context) (plan.Plan, engine.Deployer, error)
		want   fault.Kind
	}{
		{"error", func(context.Context) (plan.Plan, engine.Deployer, error) {
			return plan.Plan{}, nil, &fault.Error{Kind: fault.Config, What: "chart"}
		}, fault.Config},
		{"panic", func(context.Context) (plan.Plan, engine.Deployer, error) { panic("broken") }, fault.Internal},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEngine(&world{}, event.Discard)
			e.Deployer, e.Extend = nil, test.extend
			got, err := e.Run(t.Context(), plan.Plan{Steps: []plan.Step{created(1), build(2), build(3, 1)}})
			if fault.Of(err) != test.want || got.Done != 3 || e.Deployer != nil {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestWithoutAClusterNothingIsExtended(t *testing.T) {
	w := &world{step: func(_ context.Context, a plan.Action, _ string) error {
		if a == plan.Create {
			return errors.New("no room")
		}
		return nil
	}}
	e := newEngine(w, event.Discard)
	e.Extend = func(context.Context) (plan.Plan, engine.Deployer, error) {
		t.Error("called for a cluster that does not run")
		return plan.Plan{}, nil, nil
	}
	if got, err := e.Run(t.Context(), plan.Plan{Steps: []plan.Step{created(1), build(2)}}); err == nil || got.Done != 1 || got.Failed != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{step: func(context.Context, plan.Action, string) error { time.Sleep(time.Second); return nil }}
		e := newEngine(w, event.Discard)
		e.Limits = engine.Limits{Builds: 2}
		if _, err := e.Run(t.Context(), plan.Plan{Steps: []plan.Step{build(1), build(2), build(3), build(4), apply(5), apply(6), apply(7)}}); err != nil {
			t.Fatal(err)
		}
		if w.most[plan.Build] != 2 || w.most[plan.Apply] != 3 {
			t.Errorf("at once: %v, want 2 builds and 3 applies", w.most)
		}
	})
}

func TestAStoppedRunWaitsForWhatIsRunning(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	cleaned := false
	w := &world{step: func(ctx context.Context, _ plan.Action, _ string) error {
		stop()
		<-ctx.Done()
		cleaned = true
		return ctx.Err()
	}}
	got, err := newEngine(w, event.Discard).Run(ctx, plan.Plan{Steps: []plan.Step{build(1), apply(2, 1)}})
	if !cleaned || !errors.Is(err, context.Canceled) || fault.Of(err) != fault.Interrupted {
		t.Errorf("cleaned up: %v, error: %v", cleaned, err)
	}
	if got.Done != 0 || got.Failed != 1 || got.Skipped != 1 {
		t.Errorf("result = %+v", got)
	}
}

func TestAPanicIsTheStepsError(t *testing.T) {
	w := &world{step: func(context.Context, plan.Action, string) error { panic("broken adapter") }}
	_, err := newEngine(w, event.Discard).Run(t.Context(), plan.Plan{Steps: []plan.Step{build(1)}})
	if err == nil || fault.Of(err) != fault.Internal || !strings.Contains(err.Error(), "broken adapter") {
		t.Errorf("error = %v", err)
	}
}

// For every graph and every set of failing steps: a step begins only after all that it needs has ended well, runs at most once, and
// every step is done, failed or skipped.
func TestRunProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "steps")
		fails := map[string]bool{}
		var p plan.Plan
		for i := 1; i <= n; i++ {
			var needs []int
			for j := 1; j < i; j++ {
				if rapid.Bool().Draw(t, "needs") {
					needs = append(needs, j)
				}
			}
			p.Steps = append(p.Steps, build(i, needs...))
			fails[fmt.Sprintf("build %d", i)] = rapid.IntRange(0, 4).Draw(t, "fails") == 0
		}
		w := &world{step: func(_ context.Context, _ plan.Action, name string) error {
			if fails[name] {
				return errors.New(name)
			}
			return nil
		}}
		e := newEngine(w, event.Discard)
		e.Limits.Builds = rapid.IntRange(0, 3).Draw(t, "limit")
		got, _ := e.Run(context.Background(), p)
		if got.Done+got.Failed+got.Skipped != n {
			t.Fatalf("%+v of %d steps", got, n)
		}
		at := map[string]int{}
		for i, line := range w.log {
			if _, twice := at[line]; twice {
				t.Fatalf("%q twice in %v", line, w.log)
			}
			at[line] = i
		}
		for _, s := range p.Steps {
			began, ran := at[fmt.Sprintf("begin build %d", s.Number)]
			for _, m := range s.Needs {
				ended, ok := at[fmt.Sprintf("end build %d", m)]
				if ran && (!ok || fails[fmt.Sprintf("build %d", m)] || ended > began) {
					t.Fatalf("#%d ran without #%d: %v", s.Number, m, w.log)
				}
			}
		}
	})
}
