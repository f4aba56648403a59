package lock

import (
	"bytes"
	"fmt"

	"gopkg.in/yaml.v3"
)

// header is the comment at the top of every lock.
const header = "# Made by `devenv lock`: what this project takes from elsewhere, pinned by digest. Do not edit it; commit it.\n" +
	"# `devenv up --locked` fails where something else is found. What it holds: docs/lock.md of devenv.\n"

// Text is the file's content. The same File gives the same bytes, and Parse gives the File back.
func (f *File) Text() []byte {
	f.sort()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%sversion: %d\n", header, Version)
	images := func(key string, list []Image) {
		section(&b, key, list, func(i Image) []pair {
			return []pair{{"image", i.Name}, {"default", i.Default}, {"digest", i.Digest}, {"local", i.Local}, {"platform", i.Platform}}
		})
	}
	images("nodeImages", f.NodeImages)
	images("baseImages", f.BaseImages)
	images("images", f.Images)
	section(&b, "charts", f.Charts, func(c Chart) []pair {
		return []pair{{"chart", c.Chart}, {"name", c.Name}, {"version", c.Version}, {"repository", c.Repository}, {"digest", c.Digest}}
	})
	section(&b, "chartLocks", f.ChartLocks, func(c ChartLock) []pair {
		return []pair{{"chart", c.Chart}, {"digest", c.Digest}}
	})
	return b.Bytes()
}

// pair is a key with a text or a truth; an empty text and false are left out.
type pair struct {
	key   string
	value any
}

// section writes a list, an entry a line.
func section[E any](b *bytes.Buffer, key string, list []E, pairs func(E) []pair) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "%s:\n", key)
	for _, e := range list {
		entry := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, p := range pairs(e) {
			if p.value == "" || p.value == false {
				continue
			}
			var value yaml.Node
			if err := value.Encode(p.value); err != nil {
				panic(err) // a text or a truth
			}
			entry.Content = append(entry.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: p.key}, &value)
		}
		line, err := yaml.Marshal(entry)
		if err != nil {
			panic(err) // nothing but scalars
		}
		fmt.Fprintf(b, "  - %s", line)
	}
}
