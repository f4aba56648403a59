package watch

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestForeign(t *testing.T) {
	t.Parallel()
	for magic, want := range map[uint32]bool{
		unix.EXT4_SUPER_MAGIC: false, unix.XFS_SUPER_MAGIC: false, unix.BTRFS_SUPER_MAGIC: false, unix.TMPFS_MAGIC: false, unix.OVERLAYFS_SUPER_MAGIC: false,
		unix.NFS_SUPER_MAGIC: true, unix.V9FS_MAGIC: true, unix.FUSE_SUPER_MAGIC: true, unix.SMB2_SUPER_MAGIC: true,
	} {
		if foreignType(magic) != want {
			t.Errorf("%#x: want %t", magic, want)
		}
	}
	if !foreign(t.TempDir() + "/not-there") {
		t.Error("of nothing nobody can tell whose it is")
	}
}
