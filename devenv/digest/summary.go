package digest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Summary is what Diff needs to know of Inputs. Kept as JSON beside the environment's state, it lets the next run say what changed.
// It holds hashes only: neither contents nor the values of arguments can be read from it. Names that are not UTF-8 lose a
// byte or two in JSON, which at worst makes a cause imprecise.
type Summary struct {
	Digest         string            `json:"digest"` // Inputs.Digest
	Dir            string            `json:"dir,omitempty"`
	DockerfilePath string            `json:"dockerfilePath,omitempty"`
	Dockerfile     string            `json:"dockerfile"`
	Args           map[string]string `json:"args,omitempty"`
	Target         string            `json:"target,omitempty"`
	Platform       string            `json:"platform,omitempty"`
	Bases          map[string]string `json:"bases,omitempty"`
	Secrets        []string          `json:"secrets,omitempty"`
	// Files has the facts of every entry by path: kind, mode in octal, a colon and the beginning of the content's hash.
	Files map[string]string `json:"files"`
}

// Summary summarises in.
func (in Inputs) Summary() Summary {
	s := Summary{
		Digest: in.Digest(), Dir: in.Dir, DockerfilePath: in.DockerfilePath, Dockerfile: short(in.Dockerfile),
		Target: in.Target, Platform: in.Platform, Bases: maps.Clone(in.Bases), Secrets: slices.Compact(slices.Sorted(slices.Values(in.Secrets))),
		Args: make(map[string]string, len(in.Args)), Files: make(map[string]string, len(in.Context)),
	}
	for name, value := range in.Args {
		s.Args[name] = short([]byte(value))
	}
	var buf []byte
	for i := range in.Context {
		f := &in.Context[i]
		buf = append(buf[:0], byte(f.Kind))
		buf = append(strconv.AppendUint(buf, uint64(f.Mode), 8), ':')
		switch f.Kind {
		case File:
			buf = hex.AppendEncode(buf, f.Hash[:8])
		case Link, Device:
			buf = append(buf, short([]byte(f.Link))...)
		}
		s.Files[f.Path] = string(buf)
	}
	return s
}

// short is enough of a hash to tell two versions of a thing apart.
func short(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// Diff says what changed from before to now, as lower-case phrases: "services/grades/main.go changed", "argument VERSION
// added", "base image debian:bookworm-slim changed". Changed files come first, then added and removed ones, each sorted, then the
// rest. It is empty if and only if nothing changed.
func Diff(before, now Summary) []string {
	if before.Digest == now.Digest {
		return nil
	}
	files, dockerfileSeen := diffFiles(before, now)
	var other []string
	if before.Dockerfile != now.Dockerfile && !dockerfileSeen {
		other = append(other, cmp.Or(now.DockerfilePath, "Dockerfile")+" changed")
	}
	other = append(other, diffMaps("argument ", before.Args, now.Args)...)
	other = append(other, diffMaps("base image ", before.Bases, now.Bases)...)
	if before.Target != now.Target {
		other = append(other, "target changed from "+cmp.Or(before.Target, "the last stage")+" to "+cmp.Or(now.Target, "the last stage"))
	}
	if before.Platform != now.Platform {
		other = append(other, "platform changed from "+cmp.Or(before.Platform, "none")+" to "+cmp.Or(now.Platform, "none"))
	}
	if !slices.Equal(before.Secrets, now.Secrets) {
		other = append(other, "build secrets changed")
	}
	changes := append(files, other...)
	if len(changes) == 0 {
		changes = append(changes, "inputs changed") // what differs got lost on the way through JSON
	}
	return changes
}

// Since is Diff from a summary that was stored as JSON. Where nothing changed, as in most runs, it does not even decode it.
func Since(stored []byte, now Summary) ([]string, error) {
	if bytes.HasPrefix(stored, []byte(`{"digest":"`+now.Digest+`"`)) {
		return nil, nil
	}
	var before Summary
	if err := json.Unmarshal(stored, &before); err != nil {
		return nil, err
	}
	return Diff(before, now), nil
}

// diffFiles says, too, whether the Dockerfile is one of the files that it names.
func diffFiles(before, now Summary) (phrases []string, dockerfile bool) {
	var changed, added, removed []string
	for name, fact := range now.Files {
		old, was := before.Files[name]
		shown := path.Join(now.Dir, name)
		switch {
		case !was:
			added = append(added, shown+" added")
		case old != fact:
			changed = append(changed, shown+how(old, fact))
		default:
			continue
		}
		dockerfile = dockerfile || shown == now.DockerfilePath
	}
	for name := range before.Files {
		if _, is := now.Files[name]; !is {
			removed = append(removed, path.Join(now.Dir, name)+" removed")
		}
	}
	for _, list := range [][]string{changed, added, removed} {
		slices.Sort(list)
		phrases = append(phrases, list...)
	}
	return phrases, dockerfile
}

// how tells a change of mode from one of content.
func how(before, now string) string {
	was, contentBefore, _ := strings.Cut(before, ":")
	is, contentNow, _ := strings.Cut(now, ":")
	if was == "" || is == "" || was[0] != is[0] || contentBefore != contentNow {
		return " changed"
	}
	return " mode changed from " + was[1:] + " to " + is[1:]
}

func diffMaps(what string, before, now map[string]string) []string {
	var phrases []string
	for name, value := range now {
		if old, was := before[name]; !was {
			phrases = append(phrases, what+name+" added")
		} else if old != value {
			phrases = append(phrases, what+name+" changed")
		}
	}
	for name := range before {
		if _, is := now[name]; !is {
			phrases = append(phrases, what+name+" removed")
		}
	}
	slices.Sort(phrases)
	return phrases
}

// Cause is a list of changes in one phrase: the first one, and how many more there are.
func Cause(changes []string) string {
	switch len(changes) {
	case 0:
		return ""
	case 1:
		return changes[0]
	}
	return fmt.Sprintf("%s and %d more", changes[0], len(changes)-1)
}
