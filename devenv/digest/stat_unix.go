//go:build linux || darwin

package digest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// stat is what the file system says of a file. Two equal ones mean that the content is the same, if the first was stable.
type stat struct {
	size, mtime, ctime int64 // bytes; nanoseconds since 1970
	ino                uint64
	mode               uint32 // 07777
	kind               Kind
	socket             bool // a File for BuildKit, and an empty one
	rdev               uint64
}

func (s *stat) device() string {
	return fmt.Sprint(s.rdev) // as this system writes major and minor; device nodes do not travel between systems
}

// lstat and the reader below call the system directly: os would allocate several objects a file and register each descriptor with
// its poller, which together cost more than the calls themselves.
func lstat(path string) (stat, error) {
	var st syscall.Stat_t
	if err := retry(func() error { return syscall.Lstat(path, &st) }); err != nil {
		return stat{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return fromSys(&st), nil
}

func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func fromSys(st *syscall.Stat_t) stat {
	mtime, ctime := times(st)
	s := stat{size: st.Size, mtime: mtime, ctime: ctime, ino: st.Ino, mode: uint32(st.Mode) & 0o7777} //nolint:unconvert // other systems have 16 bits
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		s.kind = Dir
	case syscall.S_IFLNK:
		s.kind = Link
	case syscall.S_IFIFO:
		s.kind = Pipe
	case syscall.S_IFCHR, syscall.S_IFBLK:
		s.kind, s.rdev = Device, uint64(st.Rdev) //nolint:unconvert // other systems have 32 bits, with a sign
	default:
		s.kind, s.socket = File, st.Mode&syscall.S_IFMT == syscall.S_IFSOCK
	}
	return s
}

// coarse and fine are how long a file must have been left alone for its change time to tell a later change apart: file
// systems without fractions of a second keep even seconds at worst, the others the kernel's tick of up to 10 ms.
const (
	coarse = 2 * time.Second
	fine   = 100 * time.Millisecond
)

func stable(s *stat, read time.Time) bool {
	slack := fine
	if s.ctime%int64(time.Second) == 0 {
		slack = coarse
	}
	return s.ctime < read.Add(-slack).UnixNano()
}

// read hashes one file. It neither follows a link nor waits for a pipe that may have taken the file's place.
func (r *reader) read(ctx context.Context, j job) (result, error) {
	start := time.Now()
	fd := -1
	err := retry(func() (err error) {
		fd, err = syscall.Open(j.path, syscall.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		if gone(err) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) {
			return result{job: j, gone: true}, nil
		}
		return result{}, unreadable(j.path, &fs.PathError{Op: "open", Path: j.path, Err: err})
	}
	defer func() { _ = syscall.Close(fd) }() // it was only read
	var st syscall.Stat_t
	if err := retry(func() error { return syscall.Fstat(fd, &st) }); err != nil {
		return result{}, unreadable(j.path, &fs.PathError{Op: "fstat", Path: j.path, Err: err})
	}
	res := result{job: j, seen: fromSys(&st)}
	if res.seen.kind != File {
		res.gone = true
		return res, nil
	}
	r.hash.Reset()
	for {
		n := 0
		err := retry(func() (err error) {
			n, err = syscall.Read(fd, r.buf)
			return err
		})
		if err != nil {
			return result{}, unreadable(j.path, &fs.PathError{Op: "read", Path: j.path, Err: err})
		}
		if n == 0 {
			break
		}
		r.hash.Write(r.buf[:n])
		if res.size += int64(n); n == len(r.buf) && ctx.Err() != nil {
			return result{}, ctx.Err()
		}
	}
	r.hash.Sum(res.hash[:0])
	res.stable = res.size == res.seen.size && stable(&res.seen, start)
	return res, nil
}

func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// readDir lists a directory in no order.
func readDir(path string) ([]fs.DirEntry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}
