package watch

import (
	"slices"

	"golang.org/x/sys/unix"
)

// foreign says whether the directory at path is on a file system that is another machine's, or a program's. One of which that cannot be told is.
func foreign(path string) bool {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(path, &st) }); err != nil {
		return true
	}
	return foreignType(uint32(st.Type)) //nolint:gosec // the numbers have 32 bits, whatever an architecture keeps them in
}

func foreignType(magic uint32) bool {
	const vboxsf, vmhgfs, prlfs, lustre = 0x786f4256, 0xbacbacbc, 0x7c7c6673, 0x0bd00bd0 // as statfs(2) and the drivers have them
	return slices.Contains([]uint32{
		unix.NFS_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.V9FS_MAGIC, unix.FUSE_SUPER_MAGIC,
		unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC, unix.CEPH_SUPER_MAGIC, unix.CODA_SUPER_MAGIC, unix.NCP_SUPER_MAGIC, unix.OCFS2_SUPER_MAGIC,
		unix.HOSTFS_SUPER_MAGIC, vboxsf, vmhgfs, prlfs, lustre,
	}, magic)
}
