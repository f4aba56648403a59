package watch

import (
	"errors"
	"sync"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// notifier tells of changes in directories, not in what is below them. It is what this package needs of fsnotify, and where a test puts
// limits and losses.
type notifier interface {
	// Add begins to watch the directory at path. One that is watched already stays so. limited tells errors apart.
	Add(path string) error
	// Remove ends it. That a path is not watched, or gone, is no failure worth telling.
	Remove(path string)
	// Events names paths at which something happened.
	Events() <-chan fsnotify.Event
	// Lost receives when events were dropped.
	Lost() <-chan struct{}
	// Close ends everything, and waits for it.
	Close()
}

// buffered is how many events wait in this process, beside the kernel's own queue (16,384 by default).
const buffered = 4096

type watcher struct {
	fs   *fsnotify.Watcher
	lost chan struct{}
	pump sync.WaitGroup
}

func newNotifier() (notifier, error) {
	fs, err := fsnotify.NewBufferedWatcher(buffered)
	if err != nil {
		return nil, err
	}
	w := &watcher{fs: fs, lost: make(chan struct{}, 1)}
	// Errors are taken by a goroutine of their own: fsnotify reports some of them while it holds the lock that Add needs, so a
	// goroutine that both adds and reads errors would wait for itself.
	w.pump.Go(func() {
		for err := range fs.Errors {
			if errors.Is(err, syscall.EINVAL) {
				continue // a directory that was moved was deleted before fsnotify could take its watch away
			}
			select {
			case w.lost <- struct{}{}:
			default:
			}
		}
	})
	return w, nil
}

func (w *watcher) Add(path string) error         { return w.fs.Add(path) }
func (w *watcher) Remove(path string)            { _ = w.fs.Remove(path) } // see notifier
func (w *watcher) Events() <-chan fsnotify.Event { return w.fs.Events }
func (w *watcher) Lost() <-chan struct{}         { return w.lost }
func (w *watcher) Close() {
	_ = w.fs.Close() // it only ever reports that a descriptor was closed
	w.pump.Wait()
}

// silence is the notifier of a machine that has none left. Every directory is polled.
type silence struct{}

func (silence) Add(string) error              { return syscall.ENOSPC }
func (silence) Remove(string)                 {}
func (silence) Events() <-chan fsnotify.Event { return nil }
func (silence) Lost() <-chan struct{}         { return nil }
func (silence) Close()                        {}
