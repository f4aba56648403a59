package digest

import (
	"context"
	"crypto/sha256"
	"hash"
	"runtime"
	"sync"
)

// hashers read and hash files on as many goroutines as there are processors. They start with the first file, so that
// a walk that needs none costs none.
type hashers struct {
	ctx     context.Context
	jobs    chan job
	done    sync.WaitGroup
	results [][]result // by hasher
	errs    []error    // by hasher; the first
}

// job is a file to hash.
type job struct {
	path  string
	index int // of its entry
}

// result is what became of a job.
type result struct {
	job
	hash [sha256.Size]byte
	size int64
	seen stat // before the first byte was read
	gone bool
	// stable says that the file was old enough when it was read for any later change of it to change what stat says of it.
	stable bool
}

func newHashers(ctx context.Context) *hashers { return &hashers{ctx: ctx} }

func (h *hashers) add(path string, index int) {
	if h.jobs == nil {
		h.start()
	}
	h.jobs <- job{path, index}
}

func (h *hashers) start() {
	n := runtime.NumCPU()
	h.jobs = make(chan job, 1024)
	h.results, h.errs = make([][]result, n), make([]error, n)
	for i := range n {
		h.done.Go(func() {
			reader := reader{buf: make([]byte, 128<<10), hash: sha256.New()}
			for j := range h.jobs {
				if h.errs[i] != nil || h.ctx.Err() != nil {
					continue // only so that add does not block
				}
				r, err := reader.read(h.ctx, j)
				if h.errs[i] = err; err == nil {
					h.results[i] = append(h.results[i], r)
				}
			}
		})
	}
}

// wait ends the hashers and gives all their results.
func (h *hashers) wait() ([]result, error) {
	if h.jobs == nil {
		return nil, nil
	}
	close(h.jobs)
	h.done.Wait()
	var all []result
	for i, results := range h.results {
		if h.errs[i] != nil {
			return nil, h.errs[i]
		}
		all = append(all, results...)
	}
	return all, nil
}

// reader holds what one hasher uses again for every file.
type reader struct {
	buf  []byte
	hash hash.Hash
}
