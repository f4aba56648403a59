package devenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/devenvtest"
	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/kube"
	"github.com/devenv-run/devenv/devenv/plan"
)

const hotBase = "registry.example.com/app:devenv-base"

// hotWorld is a service with running containers, of which everything is in memory but the files of its context.
type hotWorld struct {
	t      *testing.T
	h      *hotpath
	s      *hotService
	inside *devenvtest.Inside
	topper *devenvtest.Topper
	keeper *keeper
	config config.Service
	told   *[]event.Event
	// dockerfile is that of the service, and stages builds its stages.
	dockerfile string
	stages     *fakeStages
}

// keeper is a podKeeper in memory.
type keeper struct {
	inside *devenvtest.Inside
	mu     sync.Mutex
	pods   []kube.Pod
	number int
	out    chan []kube.Pod
	end    <-chan struct{}
	fail   error  // of the next swap
	during func() // the next swap
	marks  []string
}

func (k *keeper) FollowPods(context.Context, kube.Services) <-chan []kube.Pod { return k.out }
func (k *keeper) LearnRound(context.Context, kube.Pod) error                  { return nil }
func (k *keeper) Close()                                                      {}

func (k *keeper) MarkHot(_ context.Context, p kube.Pod, service string, m hot.Mark) error {
	k.mu.Lock()
	k.marks = append(k.marks, p.Name+" "+string(m.Way))
	for i := range k.pods {
		if k.pods[i].UID == p.UID {
			k.pods[i].Hot = map[string]hot.Mark{service: m}
		}
	}
	k.mu.Unlock()
	return nil
}

func (k *keeper) Swap(_ context.Context, s kube.Swap, _ engine.Report) error {
	if during := k.during; during != nil {
		k.during = nil
		during()
	}
	k.mu.Lock()
	if err := k.fail; err != nil {
		k.fail = nil
		k.mu.Unlock()
		return err
	}
	for _, p := range s.Pods {
		for i := range k.pods {
			if k.pods[i].UID == p.UID {
				k.number++
				k.start(i, s.Image)
				k.pods[i].Hot = map[string]hot.Mark{s.Service: s.Mark}
			}
		}
	}
	k.mu.Unlock()
	k.publish()
	return nil
}

// start runs a new container in the i-th pod.
func (k *keeper) start(i int, image string) {
	k.number++
	old := k.pods[i].Containers
	if len(old) > 0 {
		k.inside.Stop(hot.Container{Node: "n1", ID: containerID(old[0])})
	}
	id := fmt.Sprint("c", k.number)
	k.pods[i].Containers = []kube.Container{{Name: "app", Service: "app", Image: image, ID: "containerd://" + id, Running: true, Ready: true}}
	k.inside.Run(hot.Container{Node: "n1", ID: id})
}

func (k *keeper) publish() {
	k.mu.Lock()
	var now []kube.Pod
	for _, p := range k.pods {
		p.Containers = slices.Clone(p.Containers)
		now = append(now, p)
	}
	k.mu.Unlock()
	select {
	case k.out <- now:
	case <-k.end:
	}
}

// pod adds a pod that runs an image.
func (k *keeper) pod(name, image string) {
	k.mu.Lock()
	k.pods = append(k.pods, kube.Pod{
		Namespace: "app", Name: name, UID: name, Node: "n1", Phase: "Running", Ready: true, Services: []string{"app"}, RestartPolicy: "Always",
		Owner: plan.ID{Group: "apps", Kind: "Deployment", Namespace: "app", Name: "app"},
	})
	k.start(len(k.pods)-1, image)
	k.mu.Unlock()
	k.publish()
}

// running are the containers that run, in the order of the pods.
func (k *keeper) running() []hot.Container {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []hot.Container
	for _, p := range k.pods {
		all = append(all, hot.Container{Node: "n1", ID: containerID(p.Containers[0])})
	}
	return all
}

const hotDockerfile = "FROM scratch\nCOPY src /app/src\nCOPY lib /app/lib\n"

func newHotWorld(t *testing.T) *hotWorld {
	t.Helper()
	return newHotWorldOf(t, hotDockerfile)
}

func newHotWorldOf(t *testing.T, dockerfile string) *hotWorld {
	t.Helper()
	w := &hotWorld{t: t, inside: &devenvtest.Inside{}, topper: &devenvtest.Topper{}, told: &[]event.Event{}, dockerfile: dockerfile, stages: &fakeStages{}}
	w.keeper = &keeper{inside: w.inside, out: make(chan []kube.Pod)}
	dir := t.TempDir()
	w.config = config.Service{Name: "app", Image: "registry.example.com/app", Dev: &config.Dev{Sync: []config.Sync{{From: "src", To: "/app/src", Signal: "HUP"}}}}
	var mu sync.Mutex
	p := &Project{config: &config.Config{Dir: dir, Services: []config.Service{w.config}}, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	p.sink = event.SinkFunc(func(e event.Event) {
		mu.Lock()
		defer mu.Unlock()
		*w.told = append(*w.told, e)
	})
	p.state.dir = t.TempDir()
	w.h = &hotpath{
		project: p, inside: w.inside, topper: w.topper, stages: w.stages, pods: w.keeper, names: []string{"n1"}, services: map[string]*hotService{},
		triggers: map[string]string{}, changed: make(chan struct{}), said: map[string]bool{},
	}
	w.h.ctx, w.h.end = context.WithCancel(t.Context())
	w.keeper.end = w.h.ctx.Done()
	followed := make(chan []kube.Pod)
	w.h.work.Go(func() {
		defer close(followed)
		for {
			select {
			case pods := <-w.keeper.out:
				followed <- pods
			case <-w.keeper.end:
				return
			}
		}
	})
	w.h.work.Go(func() { w.h.follow(w.h.ctx, followed) })
	t.Cleanup(func() {
		w.h.end()
		w.h.work.Wait()
	})
	w.write("src/a", "1")
	w.write("lib/b", "1")
	w.topper.Hold("n1", hotBase, "base")
	base := w.look()
	base.ref = hotBase
	w.s = &hotService{name: "app", busy: make(chan struct{}, 1), declared: hotBase, base: base, had: map[string]hot.Held{}, ran: map[string]int{}}
	w.s.aim = aim{image: hotBase, contains: base.context, now: base.context}
	w.h.services["app"] = w.s
	w.keeper.pod("one", hotBase)
	w.until("the pod is seen", func() bool { return len(w.h.podsOf("app")) == 1 })
	return w
}

func (w *hotWorld) until(what string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal(what)
		}
	}
}

func (w *hotWorld) write(file, text string) {
	w.t.Helper()
	full := filepath.Join(w.h.project.config.Dir, "context", file)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// look reads the context as it is.
func (w *hotWorld) look() image {
	w.t.Helper()
	root := filepath.Join(w.h.project.config.Dir, "context")
	m, err := digest.Walk(w.t.Context(), root, nil, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	in := digest.Inputs{Context: m, Dockerfile: []byte(w.dockerfile)}.Summary()
	i := image{service: w.config, ref: "registry.example.com/app:devenv-" + in.Digest[:digestLength], inputs: in, context: m}
	i.build.Context, i.build.Dockerfile = root, []byte(w.dockerfile)
	return i
}

// take has the hot path take the context as it is.
func (w *hotWorld) take() (taken, error) {
	return w.h.take(w.t.Context(), change{service: w.config, now: w.look(), deployed: &w.s.base, started: func(string) {}, since: time.Now()})
}

func (w *hotWorld) must(way hot.Way) {
	w.t.Helper()
	got, err := w.take()
	if err != nil || got.way != string(way) || !got.hot {
		w.t.Fatalf("%+v, %v; want %s", got, err, way)
	}
}

// holds waits until every container has this in a file; empty: no such file.
func (w *hotWorld) holds(to, want string) {
	w.t.Helper()
	w.until(fmt.Sprintf("%s is %q", to, want), func() bool {
		return !slices.ContainsFunc(w.keeper.running(), func(c hot.Container) bool { return w.inside.Look(c, to).From != want })
	})
}

func TestSyncedFilesAreInEveryContainerThatRuns(t *testing.T) {
	w := newHotWorld(t)
	w.write("src/a", "2")
	w.must(hot.Sync)
	w.holds("/app/src/a", "2")
	if heard := w.inside.Heard(w.keeper.running()[0]); !slices.Equal(heard, []string{"HUP"}) {
		t.Errorf("signals: %v", heard)
	}
	w.keeper.mu.Lock()
	if !slices.Contains(w.keeper.marks, "one sync") {
		t.Errorf("marks: %v", w.keeper.marks)
	}
	w.keeper.mu.Unlock()

	w.keeper.pod("two", hotBase) // scaled by hand
	w.holds("/app/src/a", "2")
	w.keeper.mu.Lock()
	w.keeper.start(0, hotBase) // killed
	w.keeper.mu.Unlock()
	w.keeper.publish()
	w.holds("/app/src/a", "2")

	w.write("src/a", "1")
	if _, err := w.take(); err != nil {
		t.Fatal(err)
	}
	w.holds("/app/src/a", "1")
}

// A pod that comes while others are swapped, in the place of one that was deleted, has what is declared.
func TestAPodThatComesDuringASwapIsSwappedToo(t *testing.T) {
	w := newHotWorld(t)
	w.keeper.during = func() { w.keeper.pod("two", hotBase) }
	w.write("lib/b", "2")
	w.must(hot.Image)
	w.until("both pods have the image", func() bool {
		return !slices.ContainsFunc(w.h.podsOf("app"), func(p kube.Pod) bool { return p.Containers[0].Image == hotBase })
	})
	w.write("src/a", "2")
	w.must(hot.Sync)
	w.holds("/app/src/a", "2")
}

// What a newer change has stopped in the middle is not carried on behind its back.
func TestAReplayDoesNotGoOnWithWhatWasStopped(t *testing.T) {
	w := newHotWorld(t)
	w.keeper.pod("two", hotBase)
	w.until("both pods are seen", func() bool { return len(w.h.podsOf("app")) == 2 })
	w.write("lib/b", "2")
	ctx, stop := context.WithCancel(t.Context())
	w.keeper.fail = context.Canceled
	w.keeper.during = func() {
		stop()
		w.keeper.publish()
	}
	c := change{service: w.config, now: w.look(), deployed: &w.s.base, started: func(string) {}, since: time.Now()}
	if _, err := w.h.take(ctx, c); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	for range 3 {
		w.keeper.publish() // by now, what follows from it has been decided
	}
	for _, p := range w.h.podsOf("app") {
		if p.Containers[0].Image != hotBase {
			t.Errorf("pod %s was given %s", p.Name, p.Containers[0].Image)
		}
	}
	w.write("lib/b", "3")
	w.must(hot.Image) // what comes next decides
	w.until("both pods have the image", func() bool {
		return !slices.ContainsFunc(w.h.podsOf("app"), func(p kube.Pod) bool { return p.Containers[0].Image == hotBase })
	})
}

// The pods of a rollout have what is declared, and are not given what those before them had.
func TestWhileACycleWorksOnAServiceItsPodsAreLeftAlone(t *testing.T) {
	w := newHotWorld(t)
	w.write("src/a", "2")
	w.must(hot.Sync)
	resume := w.h.rest(t.Context(), []string{"app"})
	w.keeper.pod("two", hotBase)
	for range 3 {
		w.keeper.publish() // by now, what follows from the new pod has been decided
	}
	if got := w.inside.Look(w.keeper.running()[1], "/app/src/a").From; got != "" {
		t.Errorf("the new pod was given %q", got)
	}
	resume() // of a cycle that did not get as far as deploying
	w.holds("/app/src/a", "2")
}

func TestALayerGoesOntoTheImage(t *testing.T) {
	w := newHotWorld(t)
	w.write("src/a", "2")
	w.must(hot.Sync)
	w.write("lib/b", "2")
	w.must(hot.Image)
	first := w.s.aim.image
	if layers, held := w.topper.Layers("n1", first); !held || len(layers) != 2 {
		t.Errorf("%s has %d layers", first, len(layers))
	}
	w.write("lib/b", "3")
	w.must(hot.Image)
	if layers, held := w.topper.Layers("n1", w.s.aim.image); !held || len(layers) != 2 || w.s.aim.image == first {
		t.Errorf("%s has %d layers: they are on the base, one each", w.s.aim.image, len(layers))
	}
	w.write("src/a", "3")
	w.must(hot.Sync)
	w.holds("/app/src/a", "3")
	w.keeper.pod("two", hotBase)
	w.holds("/app/src/a", "3") // after it was swapped
}

func TestAVersionThatDoesNotRunIsNoAim(t *testing.T) {
	w := newHotWorld(t)
	w.write("src/a", "2")
	w.must(hot.Sync)
	before := w.s.aim.image
	w.keeper.fail = &fault.Error{Kind: fault.Deploy, What: "it crashes"}
	w.write("lib/b", "2")
	if _, err := w.take(); fault.Of(err) != fault.Deploy {
		t.Fatalf("%v", err)
	}
	if w.s.aim.image != before {
		t.Errorf("the aim is %s", w.s.aim.image)
	}
	w.holds("/app/src/a", "2")
}

func TestAContainerThatEndsWhileItIsWrittenInto(t *testing.T) {
	w := newHotWorld(t)
	var once sync.Once
	w.inside.Fail = func(c hot.Container, _ []hot.File) error {
		err := error(nil)
		once.Do(func() {
			err = fmt.Errorf("writing: %w", hot.ErrGone)
			go func() {
				w.keeper.mu.Lock()
				w.keeper.start(0, hotBase)
				w.keeper.mu.Unlock()
				w.keeper.publish()
			}()
		})
		return err
	}
	w.write("src/a", "2")
	w.must(hot.Sync)
	w.holds("/app/src/a", "2")
}

func TestWhereNothingCanBeWrittenTheImageIsChanged(t *testing.T) {
	w := newHotWorld(t)
	w.inside.Fail = func(hot.Container, []hot.File) error { return errors.New("/app is read-only") }
	w.write("src/a", "2")
	got, err := w.take()
	if err != nil || got.way != string(hot.Image) || got.reason != "/app is read-only" {
		t.Errorf("%+v, %v", got, err)
	}
	if layers, held := w.topper.Layers("n1", w.s.aim.image); !held || len(layers) != 2 {
		t.Errorf("%s has %d layers", w.s.aim.image, len(layers))
	}
}

func TestContainersThatGoOnForLongAreNotReplacedInPlace(t *testing.T) {
	w := newHotWorld(t)
	w.keeper.mu.Lock()
	w.keeper.pods[0].Containers[0].Lingers = 5 * time.Second
	w.keeper.mu.Unlock()
	w.keeper.publish()
	w.until("the hook is seen", func() bool { return w.h.lingering(w.s) != "" })
	w.write("src/a", "2")
	w.must(hot.Sync) // nothing is replaced for that
	w.write("lib/b", "2")
	_, err := w.take()
	var full *needsCycle
	if !errors.As(err, &full) || !strings.Contains(full.reason, "sleeps for 5s") {
		t.Errorf("%v", err)
	}
}

func TestWhatNoShortcutIsRightFor(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*hotWorld)
		want   string
	}{
		"mode full": {func(w *hotWorld) { w.config.Dev.Mode = "full" }, "dev.mode is full"},
		"a hook":    {func(w *hotWorld) { w.s.hook = "Job/app/migrate" }, "hook Job/app/migrate runs its image"},
		"no pod": {func(w *hotWorld) {
			w.keeper.mu.Lock()
			w.keeper.pods = nil
			w.keeper.mu.Unlock()
			w.keeper.publish()
		}, "no pod of it runs"},
		"a pod that cannot be swapped": {func(w *hotWorld) {
			w.keeper.mu.Lock()
			w.keeper.pods[0].Owner.Kind = "Job"
			w.keeper.mu.Unlock()
			w.keeper.publish()
		}, "pod one: it belongs to"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHotWorld(t)
			tt.change(w)
			w.until(tt.want, func() bool { return strings.Contains(w.h.unfit(w.s, w.config), tt.want) })
			w.write("src/a", "2")
			_, err := w.take()
			var full *needsCycle
			if !errors.As(err, &full) || !strings.Contains(full.reason, tt.want) {
				t.Errorf("%v", err)
			}
		})
	}
}
