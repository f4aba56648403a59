package watch

import "golang.org/x/sys/unix"

// foreign says whether the directory at path is on a file system that is not this machine's own. One of which that cannot be told is.
func foreign(path string) bool {
	var st unix.Statfs_t
	err := retry(func() error { return unix.Statfs(path, &st) })
	return err != nil || st.Flags&unix.MNT_LOCAL == 0
}
