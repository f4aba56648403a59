package docker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/buildkit/session/filesync"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"

	"github.com/devenv-run/devenv/devenv/fault"
)

// dockerfileName is the name under which BuildKit gets the Dockerfile. It is not that of the user's file, which may be anywhere.
const dockerfileName = "Dockerfile"

// files are the two directories that a build asks for: the context, and one that holds only the Dockerfile.
//
// BuildKit would read an ignore file from either and apply it. Here the caller has read it already, so that the same patterns decide what
// the image's digest covers; a Dockerfile's own ignore file without a pattern keeps BuildKit from looking further.
func (b Build) files() (filesync.StaticDirSource, error) {
	root, err := filepath.EvalSymlinks(b.Context)
	if err == nil {
		err = isDir(root)
	}
	if err != nil {
		return nil, &fault.Error{
			Kind: fault.Config, What: fmt.Sprintf("%s: context %s", b.what(), b.Context), Err: err,
			Next: "build.context in devenv.yaml must name a directory.",
		}
	}
	disk, err := fsutil.NewFS(root)
	if err != nil {
		return nil, err
	}
	src, err := fsutil.NewFilterFS(disk, &fsutil.FilterOpt{ExcludePatterns: b.Ignore, Map: rootOwned})
	if err != nil {
		return nil, &fault.Error{
			Kind: fault.Config, What: b.what() + ": the ignore file", Err: errors.Unwrap(err), Next: "Correct the pattern in the ignore file.",
		}
	}
	return filesync.StaticDirSource{
		"context": src,
		"dockerfile": memoryFS{
			{name: dockerfileName, data: b.Dockerfile},
			{name: dockerfileName + ".dockerignore", data: []byte("# applied by devenv\n")},
		},
	}, nil
}

func isDir(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = errors.New("is not a directory")
	}
	return err
}

// rootOwned makes root the owner of every file, as the docker command does: who the files belong to here means nothing in an image.
func rootOwned(_ string, st *types.Stat) fsutil.MapResult {
	st.Uid, st.Gid = 0, 0
	return fsutil.MapResultKeep
}

// sharedKey is the name under which BuildKit keeps the files of this build, to be sent only what changed. A service has its own even
// where it shares the directory with others: BuildKit asks each for the part that its Dockerfile uses, and one key for all would
// make them throw each other's files away.
func (b Build) sharedKey() string {
	dir, err := filepath.Abs(b.Context)
	if err != nil {
		dir = b.Context
	}
	host, _ := os.Hostname() // engines are shared between machines; without a name, their keys may only collide
	sum := sha256.Sum256([]byte(strings.Join([]string{host, dir, b.Service}, "\x00")))
	return "devenv-" + hex.EncodeToString(sum[:16])
}

// memoryFS is a directory of small files in memory, in the order of their names.
type memoryFS []memoryFile

type memoryFile struct {
	name string
	data []byte
}

// Walk implements fsutil.FS.
func (m memoryFS) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	for _, f := range m {
		if target != "" && target != "/" && target != "." && target != f.name {
			continue
		}
		st := &types.Stat{Path: f.name, Mode: 0o644, Size: int64(len(f.data)), ModTime: contentTime(f.data)}
		if err := fn(f.name, &fsutil.DirEntryInfo{Stat: st}, nil); err != nil {
			if errors.Is(err, fs.SkipDir) || errors.Is(err, fs.SkipAll) {
				return nil
			}
			return err
		}
	}
	return ctx.Err()
}

// Open implements fsutil.FS.
func (m memoryFS) Open(name string) (io.ReadCloser, error) {
	for _, f := range m {
		if f.name == name {
			return io.NopCloser(bytes.NewReader(f.data)), nil
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// contentTime is a modification time (in nanoseconds) that differs when the content does: BuildKit takes a file for unchanged when its
// time and size are.
func contentTime(data []byte) int64 {
	sum := sha256.Sum256(data)
	var t int64
	for _, c := range sum[:7] {
		t = t<<8 | int64(c)
	}
	return t
}
