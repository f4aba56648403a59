package devenv

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/history"
	"github.com/devenv-run/devenv/devenv/plan"
)

// This file reads revisions. One that is damaged stands in the way of nothing but a return to itself.

// readRevision reads a revision that is kept, as history.Store has it.
type readRevision func(ctx context.Context, service string, number int) (history.Revision, error)

// reader reads revisions. The values of their Secrets are not to be seen either.
func (p *Project) reader(g *gathered) readRevision {
	return func(ctx context.Context, service string, number int) (history.Revision, error) {
		r, err := g.cluster.Revision(ctx, service, number)
		p.allowObjects(history.Sources(r.Objects, nil))
		for _, o := range r.Objects {
			if isSecret(o.ID) {
				p.secrets.AddJSON(o.JSON)
			}
		}
		return r, err
	}
}

// passOver says of a damaged revision that things go on without it.
func (p *Project) passOver(err error) {
	text := "passed over: " + err.Error()
	if f := (*fault.Error)(nil); errors.As(err, &f) && f.Next != "" {
		text += ". " + f.Next
	}
	p.sink.Emit(event.Warning{Text: text})
}

// readNewest reads the newest revision of each service. Of one that is damaged the error is in damaged, by service.
func readNewest(ctx context.Context, heads []history.Head, read readRevision) (newest map[string]history.Revision, damaged map[string]error, err error) {
	newest, damaged = map[string]history.Revision{}, map[string]error{}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, h := range history.Newest(heads) {
		group.Go(func() error {
			r, err := read(ctx, h.Service, h.Number)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				newest[h.Service] = r
			case errors.Is(err, history.ErrDamaged):
				damaged[h.Service] = err
			default:
				return err
			}
			return nil
		})
	}
	err = group.Wait()
	return newest, damaged, err
}

// stranded gives workloads that stay as they are the right reason where that is a damaged revision, by service in damaged, and lists the
// services whose revisions would have been needed.
func stranded(left []history.Left, damaged map[string]error, now map[string]history.Revision) (told []history.Left, wanted []string) {
	for _, l := range left {
		for _, service := range slices.Sorted(maps.Keys(damaged)) {
			if _, runs := now[service].Find(l.ID); runs {
				l.Reason = "the newest revision of " + service + " is damaged"
				wanted = append(wanted, service)
			}
		}
		told = append(told, l)
	}
	slices.Sort(wanted)
	return told, slices.Compact(wanted)
}

// given is the hash under which each of the objects that exists was applied last.
func given(ctx context.Context, g *gathered, objects []history.Object) (map[plan.ID]string, error) {
	seen, err := g.cluster.Observe(ctx, history.Sources(objects, nil))
	if err != nil {
		return nil, err
	}
	there := map[plan.ID]string{}
	for id, live := range seen.Live {
		if live.Exists {
			there[id] = live.Hash
		}
	}
	return there, nil
}

// current is the youngest of one service's revisions that is what the cluster was last given, or one without a number if none is; and sound
// are the heads without those that turned out damaged on the way, of which it says so.
func (p *Project) current(ctx context.Context, g *gathered, heads []history.Head) (running history.Revision, sound []history.Head, err error) {
	there := func(ctx context.Context, objects []history.Object) (map[plan.ID]string, error) {
		return given(ctx, g, objects)
	}
	return findCurrent(ctx, heads, p.reader(g), there, p.passOver)
}

func findCurrent(ctx context.Context, heads []history.Head, read readRevision,
	given func(context.Context, []history.Object) (map[plan.ID]string, error), passOver func(error),
) (running history.Revision, sound []history.Head, err error) {
	sound = slices.Clone(heads)
	for _, h := range slices.Backward(heads) {
		r, err := read(ctx, h.Service, h.Number)
		if errors.Is(err, history.ErrDamaged) {
			passOver(err)
			sound = without(sound, h.Number)
			continue
		}
		if err != nil {
			return history.Revision{}, nil, err
		}
		there, err := given(ctx, r.Objects)
		if err != nil {
			return history.Revision{}, nil, err
		}
		differs := func(o history.Object) bool { hash, exists := there[o.ID]; return !exists || hash != o.Hash }
		if !slices.ContainsFunc(r.Objects, differs) {
			return r, sound, nil
		}
	}
	return history.Revision{}, sound, nil
}

// pick chooses the revision to return to and reads it. One that is asked for by its number has to be readable; for 0 those that are
// damaged are passed over.
func pick(ctx context.Context, service string, heads []history.Head, number int, running string, read readRevision, passOver func(error)) (history.Revision, error) {
	for {
		head, err := choose(service, heads, number, running)
		if err != nil {
			return history.Revision{}, err
		}
		r, err := read(ctx, service, head.Number)
		if number != 0 || !errors.Is(err, history.ErrDamaged) {
			return r, err
		}
		passOver(err)
		heads = without(heads, head.Number)
	}
}

// without is one service's heads but for one.
func without(heads []history.Head, number int) []history.Head {
	return slices.DeleteFunc(slices.Clone(heads), func(h history.Head) bool { return h.Number == number })
}

// causeOf says what changed from a service's newest revision, which may be none, to now. image is why its image is new.
func causeOf(ctx context.Context, newest history.Head, now history.Revision, image string, read readRevision) (string, error) {
	if newest.Number == 0 {
		return history.Cause(nil, now, image), nil
	}
	before, err := read(ctx, newest.Service, newest.Number)
	if errors.Is(err, history.ErrDamaged) {
		return fmt.Sprintf("not known what changed, revision %d is damaged", newest.Number), nil
	}
	return history.Cause(&before, now, image), err
}
