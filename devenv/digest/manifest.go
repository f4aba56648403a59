// Package digest gives an image the name of what it is made from. Walk reads a build context once, as BuildKit would receive it,
// into a Manifest; Inputs adds what else a build depends on (Dockerfile, arguments, target, platform, base
// images), and its Digest is the same on every machine that has the same inputs, whatever the order, the times or the place of the
// files. Two equal digests mean that nothing has to be built; of two different ones, Diff of their summaries says what
// changed, as the cause that a plan shows.
//
// Reading 50,000 files again and again would be slow, so a Cache keeps their hashes by what the file system says of them,
// under the rules that git applies to its index. A cache can make a Walk fast, never different.
package digest

import "crypto/sha256"

// Kind is what an entry of a context is.
type Kind byte

// The kinds. Values are part of the digest's encoding and never change.
const (
	File   Kind = 'f'
	Dir    Kind = 'd'
	Link   Kind = 'l' // a symbolic link, never followed
	Pipe   Kind = 'p'
	Device Kind = 'v'
)

// Entry is one file of a context.
//
// Mode holds the Unix permission bits with set-user-ID, set-group-ID and sticky (07777), for a BuildKit client sends all of
// these and COPY keeps them; it is 0 for links, which have none of their own. Owners and times do not count: a context's files
// belong to root in an image, and no time of a file takes part in BuildKit's own cache keys either. Extended attributes do not
// count. Files with several hard links count as files of their own.
type Entry struct {
	Path string            // relative to the context, with slashes
	Kind Kind              //
	Mode uint32            // 07777 as above
	Size int64             // bytes, for a File
	Hash [sha256.Size]byte // of a File's content
	Link string            // a Link's target as it is written, or a Device's numbers
}

// Manifest is a context: its entries sorted by Path as bytes, each path once. The context's root itself is not among them.
type Manifest []Entry

// Ignore is an ignore file's judgement. Match says whether the entry at path, relative to the context and with slashes, is left out;
// for a directory, inside judges what is in it, and nil means that nothing in it can be part of the context, so that nobody needs
// to look. Walk calls it from one goroutine, a directory before what is in it.
type Ignore interface {
	Match(path string, dir bool) (ignored bool, inside Ignore)
}

// everything is the Ignore that leaves nothing out.
type everything struct{}

func (everything) Match(string, bool) (bool, Ignore) { return false, everything{} }
