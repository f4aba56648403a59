package watch

// deaf says whether a directory is on a file system that others can change without this machine's kernel knowing, such as NFS: no event tells of
// that.
func (f *forest) deaf() bool {
	for _, d := range f.dirs {
		mute, known := f.mute[d.id.dev]
		if !known {
			mute = foreign(d.path)
			f.mute[d.id.dev] = mute
		}
		if mute {
			return true
		}
	}
	return false
}
