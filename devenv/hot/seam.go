package hot

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/devenv-run/devenv/devenv/digest"
)

// File is a path of a container and what it is to be.
type File struct {
	To   string // absolute, clean
	From string // absolute path on this machine of the content; for a regular file
	// Hash is what the content has to be when it is read; zero: whatever it is then.
	Hash [sha256.Size]byte
	Kind digest.Kind // File, Dir or Link
	Mode uint32      // permissions, and the set-user-ID (04000), set-group-ID (02000) and sticky (01000) bits; of no use for a link
	Link string      // where a link leads
	Gone bool        // To is removed, with everything below it; then only To counts
	// Owner is who it belongs to in a layer; nil: 0:0. In containers that run, files keep their owners.
	Owner *Owner
}

// Owner is a user and a group by number.
type Owner struct{ UID, GID int }

// Container is a container that runs on a node.
type Container struct {
	Node string
	ID   string // without a scheme
}

// Inside changes containers that run, whatever is in them: it needs no shell and no program there.
type Inside interface {
	// Write makes the container's files what files say, one after the other. A regular file appears whole: it is written beside and renamed, or written
	// in place where a rename is impossible, as for a file that is mounted. An existing file keeps its owner, a new one gets that of its
	// directory; directories that lack on the way are made with mode 0755. What is of another kind is replaced: a link by a file, a directory, with everything
	// in it, by a link. Only on the way to a file links are followed, and none leads out of the container's root. A file that cannot be written ends it with an
	// error that names the file; what came before is there. One whose content is not what Hash says is such a file, and the error an *OutrunError. The error is ErrGone if the container does not run any more, then or at the end, and ErrNotInside if nothing can be written on its node.
	Write(ctx context.Context, c Container, files []File) error
	// Signal sends the container's first process a signal: HUP, or SIGHUP.
	Signal(ctx context.Context, c Container, signal string) error
	// Kinds says what is at each of the paths (absolute, clean) in the container's root; 0 if nothing. No link is followed: where the path or a directory on the way
	// to it is one, it is digest.Link. Errors as Write's.
	Kinds(ctx context.Context, c Container, paths []string) ([]digest.Kind, error)
}

// Layer is a layer on this machine.
type Layer struct {
	File   string // its archive, not compressed
	DiffID string // sha256:… of it
	Size   int64  // bytes of it
}

// Topper puts layers on images that nodes hold, and has them forget such images.
type Topper interface {
	// Top gives the nodes an image ref: the configuration and layers of base, which they hold, and the layer on top. Only the layer is sent, to all nodes at once, and each
	// checks that the image is complete and unpacked; one that fails does not know ref. A node that holds base incomplete, or not at all, is an error. The error is
	// ErrNoSpace if the disk of a node is full, and ErrNotInside if a node cannot be spoken to in that way. detail says what was sent.
	Top(ctx context.Context, base, ref string, layer Layer, nodes []string) (detail string, err error)
	// Drop has the nodes forget the references that begin with one of the prefixes, but for those that used names and those of which a container runs. Where no node
	// knows any, used is not called. It says how many went.
	Drop(ctx context.Context, nodes, prefixes []string, used func(ctx context.Context) ([]string, error)) (dropped int, err error)
}

var (
	// ErrGone is in every error about a container that does not run any more.
	ErrGone = errors.New("the container does not run any more")
	// ErrNoSpace is in every error about a disk that is full: no other way would get by with less.
	ErrNoSpace = errors.New("no space left on the disk")
	// ErrNotInside is in every error about a node that lacks what it takes to get into its containers. There is always the full way.
	ErrNotInside = errors.New("the node lacks what it takes to change what runs on it")
)
