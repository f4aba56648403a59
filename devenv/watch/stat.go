package watch

import (
	"errors"
	"hash/maphash"
	"os"

	"golang.org/x/sys/unix"
)

// inode is the identity of a file or directory, whatever it is called.
type inode struct{ dev, ino uint64 }

// entry is what is known of a name in a directory.
type entry struct {
	// sum stands for everything that the file system says of the file. Of a directory that is only what it is and who may use it: what
	// is in it is known otherwise.
	sum  uint64
	dir  bool
	link bool
	id   inode
}

// isDir says whether it is the directory of that identity. A file may have the number of a directory that has just gone.
func (e entry) isDir(id inode) bool { return e.dir && e.id == id }

// record is the part of an entry that is kept, 16 bytes for each of 50,000 files.
type record struct {
	sum uint64
	dir bool
}

func (e entry) record() record { return record{e.sum, e.dir} }

// reader looks at files. Sums are comparable only within one reader.
type reader struct{ seed maphash.Seed }

// facts are what a sum is made of. A change of content shows in the change time, which nobody can put back.
type facts struct {
	id           inode
	mode         uint32
	size         int64
	mtime, ctime int64
}

func (r reader) entry(st *unix.Stat_t) entry {
	//nolint:unconvert // other systems have other widths
	fact := facts{id: inode{uint64(st.Dev), uint64(st.Ino)}, mode: uint32(st.Mode)}
	kind := fact.mode & unix.S_IFMT
	if kind != unix.S_IFDIR {
		fact.size, fact.mtime, fact.ctime = st.Size, st.Mtim.Nano(), st.Ctim.Nano()
	}
	return entry{sum: maphash.Comparable(r.seed, fact), dir: kind == unix.S_IFDIR, link: kind == unix.S_IFLNK, id: fact.id}
}

// look is what is at path itself, a link if it is one.
func (r reader) look(path string) (entry, bool) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Lstat(path, &st) }); err != nil {
		return entry{}, false
	}
	return r.entry(&st), true
}

// identify says which file path leads to, through links.
func identify(path string) (id inode, isDir, ok bool) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Stat(path, &st) }); err != nil {
		return inode{}, false, false
	}
	//nolint:unconvert // other systems have other widths
	return inode{uint64(st.Dev), uint64(st.Ino)}, st.Mode&unix.S_IFMT == unix.S_IFDIR, true
}

// list reads a directory; keep says which names. What vanishes meanwhile is not in it.
func (r reader) list(path string, keep func(string) bool) (map[string]entry, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	found := make(map[string]entry, len(names))
	fd := int(f.Fd())
	var st unix.Stat_t
	for _, name := range names {
		if !keep(name) {
			continue
		}
		if err := retry(func() error { return unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) }); err != nil {
			continue
		}
		found[name] = r.entry(&st)
	}
	return found, nil
}

func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
