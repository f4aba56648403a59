package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/distribution/reference"

	"github.com/devenv-run/devenv/devenv/image"
)

// exports are the exports of images that are asked for or under way. An export costs what all the layers of an image cost, but an archive of several images
// holds a layer that they share once. So images that share layers do not go side by side: whoever comes while one of them goes waits for its end, and
// goes together with all others that wait. Images that share nothing with others never wait for them.
type exports struct {
	mu  sync.Mutex
	all []*exporting // that did not end yet
}

// gathering is how long an export waits for others to come, as those do that were waiting for the same layers on a node.
const gathering = 10 * time.Millisecond

// exporting is one archive, and the images that are taken from it. The lock of exports is for everything up to done.
type exporting struct {
	wants  []image.Want // of those who still want something
	begun  bool         // too late to join
	before []*exporting // have to end first
	stop   context.CancelFunc
	ended  bool
	users  int          // of the spool: those who want something, and the export itself
	spool  *image.Spool // holds what came; nil before

	done   chan struct{}    // closed when it has ended
	images []image.Tagged   // what came
	errs   map[string]error // why some did not, by reference
}

// shares says whether an image has a layer of those that are wanted here.
func (x *exporting) shares(layers []string) bool {
	return slices.ContainsFunc(x.wants, func(w image.Want) bool {
		return slices.ContainsFunc(w.Layers, func(id string) bool { return slices.Contains(layers, id) })
	})
}

// join finds the export that an image goes with. It is new if run was called for it, which has to run it.
func (e *exports) join(ctx context.Context, w image.Want, run func(ctx context.Context, x *exporting)) *exporting {
	e.mu.Lock()
	defer e.mu.Unlock()
	var before []*exporting
	for _, x := range e.all {
		if !x.shares(w.Layers) {
			continue
		}
		if !x.begun && len(x.wants) > 0 {
			x.wants, x.users = append(x.wants, w), x.users+1
			return x
		}
		before = append(before, x)
	}
	ctx, stop := context.WithCancel(ctx)
	x := &exporting{wants: []image.Want{w}, before: before, stop: stop, users: 2, done: make(chan struct{})}
	e.all = append(e.all, x)
	run(ctx, x)
	return x
}

// leave says that an image is not waited for any more. An export that nobody waits for ends.
func (e *exports) leave(x *exporting, ref string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := slices.IndexFunc(x.wants, func(w image.Want) bool { return w.Ref == ref }); n >= 0 && !x.ended {
		x.wants = slices.Delete(slices.Clone(x.wants), n, n+1)
	}
	if len(x.wants) == 0 {
		x.stop()
	}
	x.unused()
}

// unused ends a use of the spool; it needs the lock.
func (x *exporting) unused() {
	if x.users--; x.users == 0 && x.spool != nil {
		_ = x.spool.Close() // what it leaves goes when its place does
	}
}

// begin waits until the export may run, and says what is wanted then.
func (e *exports) begin(ctx context.Context, x *exporting) ([]image.Want, error) {
	for _, other := range x.before {
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select {
	case <-time.After(gathering):
	case <-ctx.Done():
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	x.begun = true
	return slices.Clone(x.wants), ctx.Err()
}

// end says that an export has ended, and where what came is.
func (e *exports) end(x *exporting, s *image.Spool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x.ended, x.spool = true, s
	x.stop()
	x.unused()
	e.all = slices.DeleteFunc(e.all, func(o *exporting) bool { return o == x })
	close(x.done)
}

// export is Fetch by an export of the whole image, together with others of which it shares layers.
func (e *Engine) export(ctx context.Context, w image.Want) (*image.Image, error) {
	x := e.exports.join(e.background, w, func(ctx context.Context, x *exporting) {
		e.beside.Go(func() { e.runExport(ctx, x) })
	})
	defer e.exports.leave(x, w.Ref)
	select {
	case <-x.done:
	case <-ctx.Done():
		return nil, e.fault(ctx, "exporting "+w.Ref, ctx.Err())
	}
	i, err := x.find(w)
	if err == nil {
		i, err = w.Spool.Adopt(i, w.Wants)
	}
	if err != nil {
		return nil, e.fault(ctx, "exporting "+w.Ref, err)
	}
	return i, nil
}

// runExport exports what is wanted. If that fails and it was more than one image, each is exported by itself, because one of them may be what is wrong.
func (e *Engine) runExport(ctx context.Context, x *exporting) {
	var spool *image.Spool
	defer func() { e.exports.end(x, spool) }()
	wants, err := e.exports.begin(ctx, x)
	if err == nil {
		spool, err = wants[0].Spool.Beside()
	}
	if err == nil {
		x.images, err = e.read(ctx, wants, spool)
	}
	x.errs = map[string]error{}
	for _, w := range wants {
		if err == nil {
			break
		}
		x.errs[w.Ref] = err
		if len(wants) > 1 && ctx.Err() == nil && spool != nil {
			var one []image.Tagged
			one, x.errs[w.Ref] = e.read(ctx, []image.Want{w}, spool)
			x.images = append(x.images, one...)
		}
	}
}

// read exports images into a spool. What nobody wants does not go into it, as far as the archive tells in advance.
func (e *Engine) read(ctx context.Context, wants []image.Want, spool *image.Spool) ([]image.Tagged, error) {
	var refs []string
	for _, w := range wants {
		if !slices.Contains(refs, w.Ref) {
			refs = append(refs, w.Ref)
		}
	}
	archive, out := io.Pipe()
	var exported sync.WaitGroup
	exported.Go(func() { out.CloseWithError(e.Export(ctx, refs, out)) })
	images, err := image.Read(archive, spool, func(digest string) bool { return unwanted(wants, digest) })
	archive.CloseWithError(errors.New("the archive is not read any further")) // ends Export
	exported.Wait()
	return images, err
}

// unwanted says whether a blob holds a layer that is there already for all who asked.
func unwanted(wants []image.Want, digest string) bool {
	for _, w := range wants {
		l, named := w.Named(digest)
		if named {
			return !slices.ContainsFunc(wants, func(o image.Want) bool { return o.Wants(l.DiffID) })
		}
	}
	return false
}

// find is the image that is wanted among those that came.
func (x *exporting) find(w image.Want) (*image.Image, error) {
	for _, i := range x.images {
		if len(x.images) == 1 && len(i.Tags) == 0 || slices.ContainsFunc(i.Tags, func(tag string) bool { return same(tag, w.Ref) }) {
			if !w.Met(i.Image) {
				return nil, fmt.Errorf("%w: it is another one than a moment ago", image.ErrDamaged)
			}
			return i.Image, nil
		}
	}
	if err := x.errs[w.Ref]; err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: it did not come", image.ErrDamaged)
}

// same says whether two references are the same one, whatever is left out of them.
func same(a, b string) bool {
	if a == b {
		return true
	}
	one, err1 := reference.ParseDockerRef(a)
	two, err2 := reference.ParseDockerRef(b)
	return err1 == nil && err2 == nil && one.String() == two.String()
}
