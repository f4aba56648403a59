package watch

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// gitDir is the directory in which git keeps the index of the working tree that path is in; empty if there is none. In a linked
// working tree and in a submodule, .git is a file that names it.
func gitDir(path string) string {
	for {
		git := filepath.Join(path, ".git")
		if info, err := os.Lstat(git); err == nil {
			if info.IsDir() {
				return git
			}
			data, err := os.ReadFile(git)
			if dir, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "gitdir: "); err == nil && ok {
				if !filepath.IsAbs(dir) {
					dir = filepath.Join(path, dir)
				}
				return dir
			}
		}
		up := filepath.Dir(path)
		if up == path {
			return ""
		}
		path = up
	}
}

// gitBusy says whether git is changing the working tree of one of the roots: it holds the index's lock from the first file to the last.
// A lock older than hold was left behind by a git that crashed.
func (f *forest) gitBusy(now time.Time, hold time.Duration) bool {
	for dir := range f.gitDirs {
		if info, err := os.Lstat(filepath.Join(dir, "index.lock")); err == nil && now.Sub(info.ModTime()) < hold {
			return true
		}
	}
	return false
}
