package devenvtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Deployer is a cluster in memory that keeps the contract of engine.Deployer. It runs pods only as far as their script says at which code it
// exits: one that ends with "exit N" ended so, a Deployment's others run for ever and a Job's are through at once. Its zero value
// is an empty cluster that can pull nothing.
type Deployer struct {
	// Images are the references that its pods can run; a trailing * stands for anything.
	Images []string
	// Fail, if set, is asked before each call, with plan.Apply and so on; an error it returns is the call's.
	Fail func(a plan.Action, id plan.ID) error

	mu      sync.Mutex
	objects map[plan.ID]fakeObject
	applied map[plan.ID]plan.AppliedRef
	kept    map[plan.ID]plan.AppliedRef // ours, and left where they are
	adopted map[plan.ID]bool
	hooks   map[plan.ID]string
	made    int
}

type fakeObject struct {
	plan.Object
	uid      string
	owner    string // "" for somebody else
	restarts int
}

var _ engine.Deployer = (*Deployer)(nil)

// Get is the object with this ID; nil if there is none.
func (d *Deployer) Get(id plan.ID) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.objects[id].JSON
}

// Make makes an object as somebody else would.
func (d *Deployer) Make(o plan.Object) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(o, "")
}

// Unmake deletes an object as somebody else would.
func (d *Deployer) Unmake(id plan.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.objects, id)
}

// Pods are the UIDs of a workload's pods: one for an object that exists, another one after each restart.
func (d *Deployer) Pods(workload plan.ID) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o, ok := d.objects[workload]; ok {
		return []string{fmt.Sprintf("%s-pod-%d", o.uid, o.restarts)}
	}
	return nil
}

// Applied is what plan.Observed has under that name.
func (d *Deployer) Applied() map[plan.ID]plan.AppliedRef {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.applied)
}

// Succeeded is plan.Observed's Hooks.
func (d *Deployer) Succeeded() map[plan.ID]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.hooks)
}

// put stores an object, under its old UID where it replaces one.
func (d *Deployer) put(o plan.Object, owner string) fakeObject {
	if d.objects == nil {
		d.objects, d.applied, d.adopted, d.hooks = map[plan.ID]fakeObject{}, map[plan.ID]plan.AppliedRef{}, map[plan.ID]bool{}, map[plan.ID]string{}
		d.kept = map[plan.ID]plan.AppliedRef{}
	}
	old, ok := d.objects[o.ID]
	if !ok {
		d.made++
		old.uid, old.owner = fmt.Sprint("uid-", d.made), owner
	}
	old.Object = o
	d.objects[o.ID] = old
	return old
}

func (d *Deployer) fails(ctx context.Context, a plan.Action, id plan.ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.Fail != nil {
		return d.Fail(a, id)
	}
	return nil
}

// Apply implements engine.Deployer.
func (d *Deployer) Apply(ctx context.Context, source string, o plan.Object) (string, error) {
	if err := d.fails(ctx, plan.Apply, o.ID); err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if strings.HasSuffix(o.ID.Namespace, "-absent") {
		return "", &fault.Error{Kind: fault.Deploy, What: o.ID.String() + " has no namespace to go to", Next: "Declare the Namespace " + o.ID.Namespace + "."}
	}
	live, existed := d.objects[o.ID]
	_, known := d.applied[o.ID]
	if o.Autoscaled && existed {
		o.JSON = withReplicasOf(live.JSON, o.JSON)
	}
	now := d.put(o, "devenv")
	d.applied[o.ID] = plan.AppliedRef{Source: source, UID: now.uid}
	switch {
	case !existed:
		return "created", nil
	case !known:
		d.adopted[o.ID] = true
		return "existed before, taken over from somebody", nil
	}
	return "", nil
}

// withReplicasOf is a manifest with the number of replicas that another one has.
func withReplicasOf(live, declared []byte) []byte {
	var a, b struct {
		Spec map[string]json.RawMessage `json:"spec"`
	}
	var whole map[string]json.RawMessage
	if json.Unmarshal(live, &a) != nil || json.Unmarshal(declared, &b) != nil || json.Unmarshal(declared, &whole) != nil || b.Spec == nil {
		return declared
	}
	b.Spec["replicas"] = a.Spec["replicas"]
	spec, err := json.Marshal(b.Spec)
	if err != nil {
		return declared
	}
	whole["spec"] = spec
	merged, err := json.Marshal(whole)
	if err != nil {
		return declared
	}
	return merged
}

// Await implements engine.Deployer.
func (d *Deployer) Await(ctx context.Context, _ string, o plan.Object, r engine.Report) error {
	if err := d.fails(ctx, plan.Await, o.ID); err != nil {
		return err
	}
	if !o.Waits {
		return nil
	}
	r("0 of 1 replica ready")
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.outcome(o)
}

// outcome is how running the object's pod ends.
func (d *Deployer) outcome(o plan.Object) error {
	for _, image := range o.Images {
		if !slices.ContainsFunc(d.Images, func(known string) bool {
			prefix, any := strings.CutSuffix(known, "*")
			return image == known || any && strings.HasPrefix(image, prefix)
		}) {
			return &fault.Error{Kind: fault.Deploy, What: o.ID.String() + " did not become ready", Err: errors.New("ErrImagePull: " + image + ": not found"),
				Next: "Check the name of the image."}
		}
	}
	output, code := play(o.JSON)
	if code == 0 {
		return nil
	}
	return &fault.Error{Kind: fault.Deploy, What: o.ID.String() + " did not become ready", Err: fmt.Errorf("exit code %d", code), Detail: output,
		Next: "Correct what its last lines say."}
}

// play goes through the script of a pod: what it echoes, and the code of an exit at its end.
func play(manifest []byte) (output string, code int) {
	var o struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct{ Command []string }
				}
			}
		}
	}
	if json.Unmarshal(manifest, &o) != nil {
		return "", 0
	}
	for _, c := range o.Spec.Template.Spec.Containers {
		if len(c.Command) == 0 {
			continue
		}
		steps := strings.Split(c.Command[len(c.Command)-1], "; ")
		for _, step := range steps {
			if text, ok := strings.CutPrefix(step, "echo "); ok {
				output += "pod/main | " + text + "\n"
			}
		}
		if n, ok := strings.CutPrefix(steps[len(steps)-1], "exit "); ok {
			code, _ = strconv.Atoi(n) // an exit without a number is one without fault
		}
	}
	return output, code
}

// Restart implements engine.Deployer.
func (d *Deployer) Restart(ctx context.Context, _ string, o plan.Object, _ engine.Report) error {
	if err := d.fails(ctx, plan.Restart, o.ID); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	live, ok := d.objects[o.ID]
	if !ok {
		return &fault.Error{Kind: fault.Deploy, What: o.ID.String() + " cannot be restarted", Err: errors.New("it does not exist"), Next: "Apply it."}
	}
	live.restarts++
	d.objects[o.ID] = live
	return nil
}

// Run implements engine.Deployer.
func (d *Deployer) Run(ctx context.Context, _ string, h plan.Hook, r engine.Report) error {
	if err := d.fails(ctx, plan.Run, h.ID); err != nil {
		return err
	}
	d.mu.Lock()
	d.put(h.Object, "devenv")
	delete(d.hooks, h.ID)
	d.mu.Unlock()
	r("not started")
	if err := ctx.Err(); err != nil {
		return err
	}
	err := d.outcome(h.Object)
	d.mu.Lock()
	defer d.mu.Unlock()
	policy := "hook-succeeded"
	if err != nil {
		policy = "hook-failed"
	} else {
		d.hooks[h.ID] = h.Hash
	}
	if slices.Contains(h.DeletePolicy, policy) {
		delete(d.objects, h.ID)
	}
	return err
}

// Delete implements engine.Deployer.
func (d *Deployer) Delete(ctx context.Context, _ string, id plan.ID, data bool, r engine.Report) error {
	if err := d.fails(ctx, plan.Delete, id); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	ref, ok := d.applied[id]
	if !ok {
		ref, ok = d.kept[id]
	}
	if !ok {
		return &fault.Error{Kind: fault.Refused, What: id.String() + " is not deleted", Err: errors.New("devenv did not apply it"), Next: "Delete it the way it was made."}
	}
	if plan.HoldsData(id) && !data {
		r("kept: it holds data")
		d.kept[id] = ref
		delete(d.applied, id)
		return nil
	}
	delete(d.applied, id)
	delete(d.kept, id)
	if d.adopted[id] || d.objects[id].uid != ref.UID {
		r("kept: somebody else made it")
		return nil
	}
	delete(d.objects, id)
	return nil
}
