package kube

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// inventory is what devenv knows about its own doings in a cluster, for one environment. It holds names, hashes and UIDs,
// never anything of an object's content.
type inventory struct {
	Objects map[plan.ID]entry     // applied, and declared when they were
	Hooks   map[plan.ID]hookEntry // hooks that ran; their objects are nobody's to prune, and go with the environment
	Kept    map[plan.ID]keptEntry // ours, no longer declared, and left because they hold data
	Sources map[string]bool       // deployed to their end at least once
}

// entry is one applied object. It is written in two halves: Source and Adopted before the object is sent, the rest after. An
// entry without Hash therefore is one of which nobody knows whether the server got it.
type entry struct {
	Source   string `json:"source"`
	Hash     string `json:"hash,omitempty"`     // plan.Object.Hash of what was sent last
	UID      string `json:"uid,omitempty"`      // of the object that the server answered with
	Holdings string `json:"holdings,omitempty"` // see holdings
	Adopted  bool   `json:"adopted,omitempty"`  // existed before, made by somebody else: changed, but never deleted
	Finished bool   `json:"finished,omitempty"` // a Job that was seen to complete
}

// hookEntry is one hook.
type hookEntry struct {
	Source string `json:"source"`
	Hash   string `json:"hash,omitempty"`  // of its last run, if that succeeded
	UID    string `json:"uid,omitempty"`   // of the object that the last run made
	Made   bool   `json:"made,omitempty"`  // that object may still exist
	Sweep  bool   `json:"sweep,omitempty"` // delete it when the source is deployed
}

// keptEntry is an object that was left where it is.
type keptEntry struct {
	Source string `json:"source"`
	UID    string `json:"uid,omitempty"`
}

func newInventory() inventory {
	return inventory{Objects: map[plan.ID]entry{}, Hooks: map[plan.ID]hookEntry{}, Kept: map[plan.ID]keptEntry{}, Sources: map[string]bool{}}
}

func (v inventory) clone() inventory {
	return inventory{Objects: maps.Clone(v.Objects), Hooks: maps.Clone(v.Hooks), Kept: maps.Clone(v.Kept), Sources: maps.Clone(v.Sources)}
}

func (v inventory) equal(w inventory) bool {
	return maps.Equal(v.Objects, w.Objects) && maps.Equal(v.Hooks, w.Hooks) && maps.Equal(v.Kept, w.Kept) && maps.Equal(v.Sources, w.Sources)
}

func (v inventory) empty() bool {
	return len(v.Objects)+len(v.Hooks)+len(v.Kept)+len(v.Sources) == 0
}

// forget removes an object, and with a source's last object what was known about the source.
func (v inventory) forget(id plan.ID) {
	e, ok := v.Objects[id]
	if !ok {
		return
	}
	delete(v.Objects, id)
	for _, other := range v.Objects {
		if other.Source == e.Source {
			return
		}
	}
	delete(v.Sources, e.Source)
}

// keep moves an object from the applied ones to those that are left where they are.
func (v inventory) keep(id plan.ID) {
	e := v.Objects[id]
	v.forget(id)
	v.Kept[id] = keptEntry{Source: e.Source, UID: e.UID}
}

// namespaces lists where the environment has objects.
func (v inventory) namespaces() []string {
	seen := map[string]bool{}
	for id := range v.Objects {
		if id.Namespace != "" {
			seen[id.Namespace] = true
		}
	}
	for id := range v.Hooks {
		if id.Namespace != "" {
			seen[id.Namespace] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// The stored form: JSON while it is small enough for a person to read in the cluster, gzipped above that. Two thousand
// objects are about 150 kB, an object of the API server may have 1 MiB.
const (
	inventoryVersion = 1
	plainKey         = "inventory.json"
	packedKey        = "inventory.json.gz"
	plainLimit       = 64 << 10
	storedLimit      = 1000 << 10
)

type document struct {
	Version int      `json:"version"`
	Objects []object `json:"objects,omitempty"`
	Hooks   []hook   `json:"hooks,omitempty"`
	Kept    []kept   `json:"kept,omitempty"`
	Sources []string `json:"sources,omitempty"`
}

type (
	object struct {
		plan.ID
		entry
	}
	hook struct {
		plan.ID
		hookEntry
	}
	kept struct {
		plan.ID
		keptEntry
	}
)

// encode gives the stored form: exactly one of the two keys.
func (v inventory) encode() (text map[string]string, packed map[string][]byte, err error) {
	d := document{Version: inventoryVersion, Sources: slices.Sorted(maps.Keys(v.Sources))}
	for _, id := range sorted(v.Objects) {
		d.Objects = append(d.Objects, object{id, v.Objects[id]})
	}
	for _, id := range sorted(v.Hooks) {
		d.Hooks = append(d.Hooks, hook{id, v.Hooks[id]})
	}
	for _, id := range sorted(v.Kept) {
		d.Kept = append(d.Kept, kept{id, v.Kept[id]})
	}
	plain, err := json.Marshal(d)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the inventory: %w", err)
	}
	if len(plain) <= plainLimit {
		return map[string]string{plainKey: string(plain)}, nil, nil
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(plain); err != nil {
		return nil, nil, fmt.Errorf("pack the inventory: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, nil, fmt.Errorf("pack the inventory: %w", err)
	}
	if b.Len() > storedLimit {
		return nil, nil, &fault.Error{Kind: fault.Deploy,
			What: fmt.Sprintf("the inventory of %d objects does not fit into the cluster", len(d.Objects)),
			Err:  fmt.Errorf("%d bytes packed, at most %d", b.Len(), storedLimit), Next: "Split the environment into several with --env."}
	}
	return nil, map[string][]byte{packedKey: b.Bytes()}, nil
}

// decodeInventory reads the stored form. A missing document is an empty inventory.
func decodeInventory(text map[string]string, packed map[string][]byte) (inventory, error) {
	plain := []byte(text[plainKey])
	if z, ok := packed[packedKey]; ok {
		r, err := gzip.NewReader(bytes.NewReader(z))
		if err != nil {
			return inventory{}, fmt.Errorf("unpack the inventory: %w", err)
		}
		if plain, err = io.ReadAll(io.LimitReader(r, 256<<20)); err != nil {
			return inventory{}, fmt.Errorf("unpack the inventory: %w", err)
		}
	}
	v := newInventory()
	if len(plain) == 0 {
		return v, nil
	}
	var d document
	if err := json.Unmarshal(plain, &d); err != nil {
		return inventory{}, fmt.Errorf("decode the inventory: %w", err)
	}
	if d.Version > inventoryVersion {
		return inventory{}, &fault.Error{Kind: fault.Refused, What: "the cluster was used by a newer devenv",
			Err: fmt.Errorf("its inventory has version %d, this devenv knows %d", d.Version, inventoryVersion), Next: "Update devenv."}
	}
	for _, o := range d.Objects {
		v.Objects[o.ID] = o.entry
	}
	for _, h := range d.Hooks {
		v.Hooks[h.ID] = h.hookEntry
	}
	for _, k := range d.Kept {
		v.Kept[k.ID] = k.keptEntry
	}
	for _, s := range d.Sources {
		v.Sources[s] = true
	}
	return v, nil
}

func sorted[E any](m map[plan.ID]E) []plan.ID {
	return slices.SortedFunc(maps.Keys(m), compare)
}

// compare orders IDs for output: by namespace, then kind, then name.
func compare(a, b plan.ID) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Group, b.Group), cmp.Compare(a.Name, b.Name))
}

// note adds an object to those that are left, unless it is applied.
func (v inventory) note(id plan.ID, e keptEntry) {
	if _, applied := v.Objects[id]; !applied {
		v.Kept[id] = e
	}
}

// lists says whether an object is devenv's in this environment, in whichever part of the inventory.
func (v inventory) lists(id plan.ID) bool {
	_, applied := v.Objects[id]
	_, kept := v.Kept[id]
	return applied || kept || v.Hooks[id].Made
}

// identity is what is known of an object, whichever part of the inventory lists it.
func (v inventory) identity(id plan.ID) (uid string, adopted bool) {
	if e, ok := v.Objects[id]; ok {
		return e.UID, e.Adopted
	}
	if h, ok := v.Hooks[id]; ok && h.Made {
		return h.UID, false
	}
	return v.Kept[id].UID, false
}

// settle writes down what became of an object when the environment was removed.
func (v inventory) settle(id plan.ID, end ending) {
	if _, applied := v.Objects[id]; applied && end.ours {
		v.keep(id)
	} else if !end.ours {
		v.forget(id)
		delete(v.Kept, id)
	}
	delete(v.Hooks, id)
}
