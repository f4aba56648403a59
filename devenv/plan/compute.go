package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Compute says what to do so that what is observed becomes what is desired. It is deterministic: equal arguments give
// equal plans, and a desired state that is already there gives an empty one.
//
// The order it guarantees: an image is built before it is loaded, and loaded before anything that uses it is applied; the
// cluster is there before anything is loaded or applied; images come in the order in which the sources first need them; a source is complete and ready before the next one begins, unless it is
// one aside; inside a source come namespaces and definitions, hooks that run before, configuration, workloads, and hooks that run after;
// what is no longer declared goes last. Of a stopped cluster nothing is known but that it has to be started, so that is the whole plan.
func Compute(d Desired, o Observed) Plan {
	b := builder{observed: o, loads: map[string]int{}}
	b.cluster(d.Cluster)
	if o.Cluster.Status == Stopped {
		// What its nodes hold and its objects are cannot be asked; it is planned once the cluster runs.
		return Plan{Steps: b.steps}
	}
	b.images(d)
	for _, s := range d.Sources {
		b.source(s)
	}
	kept := b.prune(d)
	return Plan{Steps: b.steps, Kept: kept}
}

type builder struct {
	observed Observed
	steps    []Step
	ready    []int          // the steps after which the cluster can be used; empty if it can be already
	loads    map[string]int // by image reference: the step after which it is on every node
	barrier  []int          // the steps that end the previous source
}

// add numbers s, and puts its needs in order.
func (b *builder) add(s Step, needs ...[]int) int {
	s.Number = len(b.steps) + 1
	s.Needs = union(needs...)
	b.steps = append(b.steps, s)
	return s.Number
}

func union(sets ...[]int) []int {
	all := slices.Concat(sets...)
	slices.Sort(all)
	return slices.Compact(all)
}

func (b *builder) cluster(c Cluster) {
	step := Step{Subject: "cluster " + c.Name, Cluster: &c}
	switch b.observed.Cluster.Status {
	case Absent:
		step.Action, step.Cause = Create, "does not exist"
	case Stopped:
		step.Action, step.Cause = Start, "is stopped"
	default:
		return
	}
	b.ready = []int{b.add(step)}
}

func (b *builder) images(d Desired) {
	for _, image := range byNeed(d) {
		lacking := b.lacking(d.Cluster, image.Ref)
		if len(lacking) == 0 {
			continue
		}
		var built []int
		if image.Service != "" && !b.observed.Engine[image.Ref] {
			cause := image.Cause
			if cause == "" {
				cause = "not built yet"
			}
			built = []int{b.add(Step{Action: Build, Subject: "image " + image.Short(), Cause: cause, Image: &image})}
		}
		b.loads[image.Ref] = b.add(Step{
			Action: Load, Subject: nodes(lacking), Cause: lackingCause(lacking), Image: &image, Nodes: lacking,
		}, b.ready, built)
	}
}

// lacking names the nodes on which the image is not: all of them where there is no cluster yet.
func (b *builder) lacking(c Cluster, ref string) []string {
	if b.observed.Cluster.Status != Running {
		return c.Nodes
	}
	var lacking []string
	for _, n := range b.observed.Cluster.Nodes {
		if !n.Images[ref] {
			lacking = append(lacking, n.Name)
		}
	}
	return lacking
}

func nodes(names []string) string {
	if len(names) == 1 {
		return "node " + names[0]
	}
	return "nodes " + strings.Join(names, " ")
}

func lackingCause(names []string) string {
	if len(names) == 1 {
		return "not on the node"
	}
	return "not on the nodes"
}

// source plans one deploy source. Each of its groups waits for the group before it; barrier carries that on.
func (b *builder) source(s Source) {
	first := union(b.ready, b.barrier)
	if s.Aside {
		first = b.ready
	}
	var ends []int // steps of this source that a following source waits for

	// apply plans an object. It returns the step after which it is declared and the one after which it is ready; 0 where it is so already.
	apply := func(o Object, needs []int) (declared, ready int) {
		live := b.observed.Live[o.ID]
		step := Step{Source: s.Name, Subject: o.ID.String(), Object: &o}
		if cause := changed(o, live); cause != "" {
			step.Action, step.Cause = Apply, cause
			declared = b.add(step, needs, b.loaded(o.Images))
			needs = []int{declared}
			live.Ready, live.Message = false, "was applied"
		}
		ready = declared
		if hot := b.observed.Hot[o.ID]; hot != "" && live.Exists && slices.Equal(live.Images, o.Images) {
			// With other images its pods are made anew in any case.
			step.Action, step.Cause = Restart, hot
			ready = b.add(step, needs, b.loaded(o.Images))
			needs = []int{ready}
			live.Ready, live.Message = false, "was restarted"
		}
		if o.Waits && !live.Ready {
			step.Action, step.Cause = Await, live.Message
			ready = b.add(step, needs)
		}
		if ready != 0 {
			ends = append(ends, ready)
		}
		return declared, ready
	}

	definitions, rest := split(s.Objects, func(o Object) bool { return isDefinition(o.ID) })
	before := first
	for _, o := range definitions {
		if _, n := apply(o, first); n != 0 {
			before = union(before, []int{n})
		}
	}
	before, hookEnds := b.hooks(s, "pre", before)
	ends = append(ends, hookEnds...)

	// A pod that starts before its configuration exists only fails and waits, so pods come after what they may refer to.
	pods, config := split(rest, func(o Object) bool { return len(o.Images) > 0 })
	configured := before
	var later []Object
	for _, o := range config {
		if refersToPods(o.ID) {
			later = append(later, o)
			continue
		}
		// Only declared: what they wait for may be one of the pods.
		if n, _ := apply(o, before); n != 0 {
			configured = union(configured, []int{n})
		}
	}
	for _, o := range pods {
		apply(o, configured)
	}
	for _, o := range later {
		apply(o, configured)
	}

	_, hookEnds = b.hooks(s, "post", union(before, ends))
	ends = append(ends, hookEnds...)
	if len(ends) > 0 && !s.Aside {
		b.barrier = b.sinks(union(b.barrier, ends))
	}
}

// sinks drops the steps that another of them already waits for, so that what a plan prints stays short.
func (b *builder) sinks(steps []int) []int {
	needed := map[int]bool{}
	for _, n := range steps {
		for _, m := range b.steps[n-1].Needs {
			needed[m] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(steps), func(n int) bool { return needed[n] })
}

// due are the source's hooks that have an event for which at is true, in the order in which they run.
func (s Source) due(at func(event string) bool) []Hook {
	due := slices.DeleteFunc(slices.Clone(s.Hooks), func(h Hook) bool { return !slices.ContainsFunc(h.Events, at) })
	slices.SortStableFunc(due, func(x, y Hook) int { return cmp.Compare(x.Weight, y.Weight) })
	return due
}

// hooks plans the hooks of a source that run before ("pre") or after ("post") everything else, each after the one before it.
//
// The hooks of a moment run when one of them has not yet succeeded as it is declared now; then all of them do, because they may need each
// other (an account and the job that uses it). Helm runs them at each upgrade; devenv upgrades at every saved file, so
// hooks whose declarations and images are as they were when they last succeeded are not run again.
func (b *builder) hooks(s Source, when string, needs []int) (after, ran []int) {
	moment := when + "-install"
	if b.observed.Sources[s.Name] {
		moment = when + "-upgrade"
	}
	due := s.due(func(event string) bool { return event == moment })
	if !slices.ContainsFunc(due, func(h Hook) bool { return b.observed.Hooks[h.ID] != h.Hash }) {
		return needs, nil
	}
	for _, h := range due {
		cause := moment + " hook changed"
		switch b.observed.Hooks[h.ID] {
		case "":
			cause = moment + " hook has not run yet"
		case h.Hash:
			cause = "another " + moment + " hook changed"
		}
		n := b.add(Step{Action: Run, Source: s.Name, Subject: "hook " + h.ID.String(), Cause: cause, Hook: &h}, needs, b.loaded(h.Images))
		needs = []int{n}
		ran = append(ran, n)
	}
	return needs, ran
}

func (b *builder) loaded(images []string) []int {
	var steps []int
	for _, ref := range images {
		if n, ok := b.loads[ref]; ok {
			steps = append(steps, n)
		}
	}
	return steps
}

func isDefinition(id ID) bool {
	return id.Kind == "Namespace" || id.Kind == "CustomResourceDefinition"
}

// refersToPods says whether an object only makes sense once the workloads that it names exist. Everything else without a pod
// template may be referred to by pods.
func refersToPods(id ID) bool {
	switch id.Kind {
	case "HorizontalPodAutoscaler", "APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
		return true
	}
	return false
}

// changed is the cause for which an object must be applied, or "" if it need not be.
func changed(o Object, live Live) string {
	switch {
	case !live.Exists:
		return "does not exist"
	case live.Hash == "":
		return "exists, but devenv has not applied it yet"
	case live.Hash != o.Hash && live.Images != nil && !slices.Equal(live.Images, o.Images):
		return "image changed"
	case live.Hash != o.Hash:
		return "declaration changed"
	case live.Drift != "":
		return fmt.Sprintf("changed in the cluster: %s", live.Drift)
	}
	return ""
}

func split[T any](all []T, first func(T) bool) (yes, no []T) {
	for _, x := range all {
		if first(x) {
			yes = append(yes, x)
		} else {
			no = append(no, x)
		}
	}
	return yes, no
}

// Extend is p with the steps of more behind its own. more was computed later, while p was being carried out: builds and loads that p has
// already are not repeated, and what needs them in more needs those of p.
func (p Plan) Extend(more Plan) Plan {
	type work struct {
		action Action
		ref    string
	}
	known := map[work]int{}
	for _, s := range p.Steps {
		if s.Image != nil {
			known[work{s.Action, s.Image.Ref}] = s.Number
		}
	}
	steps := slices.Clone(p.Steps)
	number := make([]int, len(more.Steps)+1) // in the longer plan, by number in more
	for _, s := range more.Steps {
		if s.Image != nil {
			if n, ok := known[work{s.Action, s.Image.Ref}]; ok {
				number[s.Number] = n
				continue
			}
		}
		needs := make([]int, len(s.Needs))
		for i, n := range s.Needs {
			needs[i] = number[n]
		}
		number[s.Number] = len(steps) + 1
		s.Number, s.Needs = number[s.Number], union(needs)
		steps = append(steps, s)
	}
	return Plan{Steps: steps, Kept: more.Kept}
}

// Infrastructure is the part of a plan that needs no rendering: cluster, builds and loads. It is what can run before a
// cluster runs and has said which APIs it has.
func (p Plan) Infrastructure() Plan {
	keep := map[int]int{}
	var steps []Step
	for _, s := range p.Steps {
		switch s.Action {
		case Create, Start, Build, Load:
			keep[s.Number] = len(steps) + 1
			needs := make([]int, len(s.Needs))
			for i, n := range s.Needs {
				needs[i] = keep[n]
			}
			s.Number, s.Needs = len(steps)+1, needs
			steps = append(steps, s)
		}
	}
	return Plan{Steps: steps}
}
