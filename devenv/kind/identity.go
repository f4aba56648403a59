package kind

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"

	"github.com/devenv-run/devenv/devenv/fault"
)

// Identity is what makes a cluster ours. It is stored when the cluster is complete and removed before the cluster is.
type Identity struct {
	Version    int               `json:"version"`              // of this format: 1
	Name       string            `json:"name"`                 // kind's name of the cluster
	Endpoint   string            `json:"endpoint"`             // of the API server on this machine: https://127.0.0.1:40123
	UID        string            `json:"uid"`                  // of the namespace kube-system, which lives as long as the cluster
	Containers []Container       `json:"containers"`           // the nodes, control planes first, and kind's load balancer if there is one
	Spec       string            `json:"spec"`                 // plan.Cluster.Spec that it was created from
	Settings   map[string]string `json:"settings"`             // what Spec is the hash of
	NodeImage  string            `json:"nodeImage"`            // reference of the image of its nodes
	Kubernetes string            `json:"kubernetes,omitempty"` // version of its API server: v1.36.3
	CreatedAt  time.Time         `json:"createdAt"`
}

// Container is one container of a cluster.
type Container struct {
	Name string `json:"name"`
	Role string `json:"role"` // control-plane, worker or external-load-balancer
	ID   string `json:"id"`   // of the container: another one of the same name is not ours
	IP   string `json:"ip"`   // in kind's network, when it was last seen to run
}

// Nodes are the names of the cluster's nodes, control planes first.
func (i *Identity) Nodes() []string {
	var names []string
	for _, c := range i.Containers {
		if c.Role != loadBalancer {
			names = append(names, c.Name)
		}
	}
	return names
}

func (i *Identity) has(id string) bool {
	return slices.ContainsFunc(i.Containers, func(c Container) bool { return c.ID == id })
}

// intent says that devenv began to create or to remove the cluster. As long as it lies beside no identity, what there is of
// the cluster is an unfinished piece of work of ours.
type intent struct {
	Name       string    `json:"name"`
	StartedAt  time.Time `json:"startedAt"`
	Containers []string  `json:"containers,omitempty"` // IDs of containers that are known to be ours
	Undone     bool      `json:"undone,omitempty"`     // a creation that was stopped, and of which nothing was left when StartedAt
}

// leftoverAge is how long after the intent a container may have been created and still be taken for one that we created. Kind creates
// all of them within seconds; the rest allows for an engine in a virtual machine whose clock is off.
const leftoverAge = 10 * time.Minute

// lateAge is the same for a creation that was undone: how far behind a busy engine may be with a container.
const lateAge = time.Minute

// explains reports whether the container can be a leftover of the work that i began. None of that name existed before it.
func (i *intent) explains(c container) bool {
	age := leftoverAge
	if i.Undone {
		age = lateAge
	}
	return slices.Contains(i.Containers, c.ID) || c.Created.Before(i.StartedAt.Add(age))
}

func (k *Clusters) identityFile() string { return filepath.Join(k.StateDir, "cluster.json") }
func (k *Clusters) intentFile() string   { return filepath.Join(k.StateDir, "cluster.intent.json") }

// Identity reads the stored identity; nil where devenv has no cluster. It does not look at the cluster: Status does. One that is
// about another cluster, copied from another environment for instance, is a fault.Refused.
func (k *Clusters) Identity() (*Identity, error) {
	var i Identity
	ok, err := readState(k.identityFile(), &i)
	if err != nil || !ok {
		return nil, err
	}
	if i.Version != 1 || len(i.Containers) == 0 || i.UID == "" {
		return nil, unreadable(k.identityFile(), fmt.Errorf("it describes cluster %q in format %d", i.Name, i.Version))
	}
	if i.Name != k.Name {
		return nil, k.misled("the name does not match: "+k.identityFile()+" is about the cluster "+i.Name, k.identityFile())
	}
	return &i, nil
}

func (k *Clusters) intent() (*intent, error) {
	var i intent
	ok, err := readState(k.intentFile(), &i)
	if err != nil || !ok || i.Name != k.Name {
		return nil, err
	}
	return &i, nil
}

// readState decodes a state file; false if there is none.
func readState(path string, into any) (bool, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		return false, unreadable(path, err)
	}
	return true, nil
}

func unreadable(path string, err error) error {
	return &fault.Error{
		Kind:  fault.Machine,
		What:  "what devenv stored about the cluster cannot be read",
		Where: path,
		Err:   err,
		Next:  "Delete the cluster with `kind delete cluster` or `docker rm`, remove the file and run `devenv up` again.",
	}
}

// writeState stores v in a file that only the user can read. The file is complete or not there, whatever happens meanwhile.
func (k *Clusters) writeState(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = k.writeFile(path, append(data, '\n'))
	}
	return k.stateFault(err)
}

// writeFile replaces a file in one step, synced, so that neither a crash nor a power cut leaves half of it.
func (k *Clusters) writeFile(path string, data []byte) error {
	if err := os.MkdirAll(k.StateDir, 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(path, data, 0o600, renameio.WithTempDir(k.StateDir))
}

// removeState removes state files; those that are not there are fine.
func (k *Clusters) removeState(paths ...string) error {
	for _, p := range paths {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return k.stateFault(err)
		}
	}
	return nil
}

func (k *Clusters) stateFault(err error) error {
	if err == nil {
		return nil
	}
	return &fault.Error{
		Kind: fault.Machine,
		What: "the state directory cannot be written",
		Err:  err,
		Next: "See that the directory is yours and that its disk has space, or set XDG_STATE_HOME to another place.",
	}
}
