package hot

import (
	"path"
	"strings"

	"github.com/devenv-run/devenv/devenv/digest"
)

// Rule is a sync rule: what is at From in the context may be written to To in containers that run. Of several rules that cover a path, those with
// the longest From count.
type Rule struct {
	From   string // file or directory of the context, clean; "." for all of it
	To     string // absolute; with a slash at its end, a file goes into that directory
	Signal string // for the container's first process afterwards; empty: none
}

// covers says whether the rule is about a path of the context.
func (r Rule) covers(p string) bool {
	return r.From == "." || p == r.From || strings.HasPrefix(p, r.From+"/")
}

// top is where the rule's From itself goes, in a tree where it is a directory or not.
func (r Rule) top(dir bool) string {
	if strings.HasSuffix(r.To, "/") && !dir && r.From != "." {
		return path.Join(r.To, path.Base(r.From))
	}
	return path.Clean(r.To)
}

// target is where a path that the rule covers goes; before and now are the context's trees. It is false where the two disagree.
func (r Rule) target(p string, before, now digest.Manifest) (string, bool) {
	if r.From == "." {
		return path.Join(r.To, p), true
	}
	was, is := Find(before, r.From), Find(now, r.From)
	dirWas, dirIs := was != nil && was.Kind == digest.Dir, is != nil && is.Kind == digest.Dir
	if was == nil {
		dirWas = dirIs
	}
	if is == nil {
		dirIs = dirWas
	}
	top := r.top(dirIs)
	if r.top(dirWas) != top {
		return "", false
	}
	return path.Join(top, strings.TrimPrefix(p, r.From)), true
}

// source is the path of the context that the rule writes to target, if there is one.
func (r Rule) source(target string, now digest.Manifest) (string, bool) {
	e := Find(now, r.From)
	top := r.top(r.From == "." || e != nil && e.Kind == digest.Dir)
	switch {
	case target == top:
		return r.From, r.From != "."
	case top == "/":
		return path.Join(r.From, target[1:]), true
	case strings.HasPrefix(target, top+"/"):
		return path.Join(r.From, target[len(top)+1:]), true
	}
	return "", false
}

// governing are the rules that count for a path.
func governing(rules []Rule, p string) []Rule {
	var best []Rule
	length := -1
	for _, r := range rules {
		n := len(r.From)
		if r.From == "." {
			n = 0
		}
		if !r.covers(p) || n < length {
			continue
		}
		if n > length {
			best, length = nil, n
		}
		best = append(best, r)
	}
	return best
}

// below says whether p is inside the directory dir; both are absolute and clean.
func below(p, dir string) bool {
	return dir == "/" && p != "/" || strings.HasPrefix(p, dir+"/")
}
