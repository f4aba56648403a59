package devenv

import (
	"context"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/dockerfile"
	"github.com/devenv-run/devenv/devenv/hot"
)

// hotService is what the hot path knows of a service. Whoever holds its lock may read and change it.
type hotService struct {
	name string
	busy chan struct{} // its lock, which can be waited for until a context ends

	declared string // the image that its workloads name
	hook     string // a hook that runs its image; empty: none
	base     image  // that was built last and that the nodes hold
	rules    hot.Service
	aim      aim
	had      map[string]hot.Held // by container: what was written into it
	marked   map[string]bool     // pods, by UID, that bear a mark of this session
	lost     bool                // that it has no pod was told
	resting  bool                // a cycle works on it
	missed   atomic.Bool         // pods changed while somebody had the lock
	// undecided says that the last change was stopped in the middle: what comes next says what pods are to have.
	undecided bool
	interrupt atomic.Pointer[context.CancelFunc] // of the replay that has the lock
	ran       map[string]int                     // how often pods were given an image
	litter    bool                               // nodes may hold images with a layer on top that nothing needs any more
	outputs   outputs
}

// aim is what the containers of a service are to have.
type aim struct {
	way      hot.Way         // that led to image; empty: what is declared
	image    string          // to run
	layer    string          // of image: the digest of what is on top of the image that was built last; empty: nothing, or it is not known
	contains digest.Manifest // the context as that image has it
	wanted   []hot.Wanted    // beside it
	now      digest.Manifest // the context that wanted is from
	since    time.Time       // when the service became hot
}

// lock waits for the service's lock; false if ctx ended before.
func (s *hotService) lock(ctx context.Context) bool {
	select {
	case s.busy <- struct{}{}:
		return true
	default:
	}
	select {
	case s.busy <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *hotService) tryLock() bool {
	select {
	case s.busy <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *hotService) unlock() { <-s.busy }

// isHot says whether containers are to have something else than their workloads declare.
func (s *hotService) isHot() bool { return s.aim.image != s.declared || len(s.aim.wanted) > 0 }

// stale says whether pods had an image so often that it needs another reference. The kubelet puts off the start of a container whose image it had
// in that pod before, the longer the more often it had it; the first return is at once.
func (s *hotService) stale(ref string) bool {
	if s.aim.image == ref {
		return false
	}
	s.ran[ref]++
	return s.ran[ref] > 2
}

// mark is what pods are marked with.
func (s *hotService) mark() hot.Mark {
	if s.aim.since.IsZero() {
		s.aim.since = time.Now().UTC().Truncate(time.Second)
	}
	m := hot.Mark{Way: hot.Sync, Files: len(s.aim.wanted), Since: s.aim.since}
	if s.aim.image != s.declared {
		m.Way, m.Image = s.aim.way, s.aim.image
	}
	return m
}

// decide names the way of what the tree is now.
func (s *hotService) decide(now image) hot.Decision {
	if why := recipe(s.base.inputs, now.inputs); why != "" {
		return hot.Decision{Way: hot.Full, Reason: why, Since: hot.Changes(s.aim.contains, now.context)}
	}
	return hot.Decide(s.rules, s.base.context, s.aim.contains, now.context)
}

// recipe says what changed of all that a build takes beside its context; empty if nothing did.
func recipe(before, now digest.Summary) string {
	before.Files, now.Files, before.Digest, now.Digest = nil, nil, "", ""
	if reflect.DeepEqual(before, now) {
		return ""
	}
	before.Digest = "before"
	return digest.Cause(digest.Diff(before, now))
}

// rules are those of a service's devenv.yaml and of its Dockerfile. What a Dockerfile makes of a path is the same for base and now wherever
// that counts, because another Dockerfile is another recipe.
func (h *hotpath) rules(ctx context.Context, base, now image) hot.Service {
	s := now.service
	rules := hot.Service{Root: now.build.Context}
	if s.Dev != nil {
		rules.Sync, rules.Compile = syncRules(s.Dev.Sync), s.Dev.Compile != nil
	}
	copies, err := dockerfile.ReadCopies(now.build.Dockerfile, now.build.Target, now.build.Args)
	opaque := ""
	if err != nil {
		opaque = err.Error()
	}
	for _, b := range base.bases {
		if why := h.triggersOf(ctx, b.Name); why != "" && opaque == "" {
			opaque = why
		}
	}
	links := linksOf()
	rules.Use = func(p string, tree digest.Manifest) hot.Use {
		if opaque != "" {
			return hot.Use{Why: opaque, Final: true}
		}
		u := copies.Of(p, treeOf(tree, links))
		use := hot.Use{Why: u.Why, Final: u.Final}
		for _, place := range u.Places {
			o := &hot.Owner{UID: place.UID, GID: place.GID}
			if *o == (hot.Owner{}) {
				o = nil
			}
			use.Places = append(use.Places, hot.Place{To: place.To, Mode: place.Mode, Owner: o, Only: place.Only})
		}
		return use
	}
	rules.Outputs = func(paths []string, tree digest.Manifest) string {
		_, why := copies.Outputs(paths, treeOf(tree, links)) // of an opaque Dockerfile nothing is asked
		return why
	}
	return rules
}

// treeOf is a context as package dockerfile takes it.
func treeOf(tree digest.Manifest, links func(digest.Manifest) []string) dockerfile.Tree {
	return dockerfile.Tree{Links: links(tree), Kind: func(p string) digest.Kind {
		if e := hot.Find(tree, p); e != nil {
			return e.Kind
		}
		return 0
	}}
}

// linksOf lists the links of a tree. The result remembers the trees that it was asked about last: it is asked for every path.
func linksOf() func(digest.Manifest) []string {
	type asked struct {
		first *digest.Entry
		links []string
	}
	var last [2]asked
	return func(tree digest.Manifest) []string {
		if len(tree) == 0 {
			return nil
		}
		for _, a := range last {
			if a.first == &tree[0] {
				return a.links
			}
		}
		now := asked{first: &tree[0]}
		for i := range tree {
			if tree[i].Kind == digest.Link {
				now.links = append(now.links, tree[i].Path)
			}
		}
		last[0], last[1] = last[1], now
		return now.links
	}
}

// syncRules are those of devenv.yaml as package hot takes them.
func syncRules(rules []config.Sync) []hot.Rule {
	all := make([]hot.Rule, len(rules))
	for i, r := range rules {
		all[i] = hot.Rule{From: path.Clean(filepath.ToSlash(r.From)), To: path.Clean(r.To), Signal: r.Signal}
		if strings.HasSuffix(r.To, "/") && all[i].To != "/" {
			all[i].To += "/"
		}
	}
	return all
}

// triggersOf says why the triggers (ONBUILD) of a base image stand against a proof; empty if it has none.
func (h *hotpath) triggersOf(ctx context.Context, ref string) string {
	h.mu.Lock()
	why, known := h.triggers[ref]
	h.mu.Unlock()
	if known {
		return why
	}
	triggers, held, err := h.docker.Triggers(ctx, ref)
	switch {
	case err != nil:
		return "the engine does not say what triggers " + ref + " has: " + err.Error()
	case !held:
		return "the engine does not hold " + ref + ", so its triggers (ONBUILD) are not known; `docker pull` it"
	case len(triggers) > 0:
		why = ref + " has triggers (ONBUILD)"
	}
	h.mu.Lock()
	h.triggers[ref] = why
	h.mu.Unlock()
	return why
}
