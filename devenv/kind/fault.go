package kind

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
)

const (
	// nextRecreate is what to do about a cluster that cannot be mended.
	nextRecreate = "`devenv down --cluster && devenv up` makes it anew; data in its volumes is lost."
	// nextDisk is what to do about a full disk of the engine, which is the nodes' disk too.
	nextDisk = "`docker system df` shows what takes the space; `devenv prune` removes old images of devenv, `docker system prune` what nothing uses."
)

// noRoom is an error that is hot.ErrNoSpace, in the words of who met it.
type noRoom struct{ error }

func (e noRoom) Is(target error) bool { return target == hot.ErrNoSpace }
func (e noRoom) Unwrap() error        { return e.error }

func isFault(err error) bool {
	var f *fault.Error
	return errors.As(err, &f)
}

// broken is a cluster of ours that is beyond repair.
func (k *Clusters) broken(why string, err error) error {
	return &fault.Error{Kind: fault.Machine, What: "cluster " + k.Name + " is broken: " + why, Err: err, Next: nextRecreate}
}

// refused is a cluster of this name that is not ours. Nothing has been done to it.
func (k *Clusters) refused(why string) error {
	return &fault.Error{
		Kind: fault.Refused,
		What: fmt.Sprintf("the cluster %s is not one that devenv created here: %s", k.Name, why),
		Next: "If nobody needs it, delete it with `kind delete cluster --name " + k.Name + "`; otherwise give this environment another name (`name` in devenv.yaml, or --env).",
	}
}

// misled is a file of the state directory that leads to another cluster than the one that devenv created.
func (k *Clusters) misled(why, file string) error {
	return &fault.Error{
		Kind:  fault.Refused,
		What:  "what is stored about the cluster " + k.Name + " is not what devenv stored there",
		Where: file,
		Err:   errors.New(why),
		Next:  "Remove the file, or put the right one back. devenv writes a lost kubeconfig anew; a cluster without its cluster.json has to be deleted by hand (`kind delete cluster --name " + k.Name + "`).",
	}
}

// privilegedFault is the fault of a machine on which a privileged container does not run.
func (k *Clusters) privilegedFault(ctx context.Context, image string, err error) error {
	var failed *commandError
	if ctx.Err() != nil || isFault(err) || !errors.As(err, &failed) || said(err, noSpace) {
		return k.engineFault(ctx, "running a container of "+image, err)
	}
	return &fault.Error{
		Kind:   fault.Machine,
		What:   "the engine cannot run a privileged container, which every node of kind is",
		Err:    err,
		Detail: tail(failed.output, 10),
		Next:   "`devenv doctor` tests the machine and names the fix; in a checkout of devenv, scripts/setup sets the machine up.",
	}
}

// errPortTaken is in the error of a creation in which a node did not get a port that it needs.
var errPortTaken = errors.New("a port is taken")

// creationFault is the fault of a creation that kind gave up, with what the failing command printed and the kubelet's last words.
func (k *Clusters) creationFault(err error, output, kubelet string) error {
	f := &fault.Error{
		Kind:   fault.Machine,
		What:   "creating cluster " + k.Name,
		Err:    err,
		Detail: tail(output, 40),
		Next:   "`devenv doctor` tests what a node needs of this machine; then run `devenv up` again.",
	}
	if kubelet != "" {
		f.Detail = strings.TrimSpace(f.Detail + "\n\nthe kubelet's last lines:\n" + kubelet)
	}
	lower := strings.ToLower(output)
	switch {
	case strings.Contains(lower, noSpace):
		f.What, f.Next = f.What+": the engine's disk is full", nextDisk
	case strings.Contains(lower, portTaken), strings.Contains(lower, addressTaken):
		f.Err = fmt.Errorf("%w: %w", errPortTaken, err)
		f.Next = "See who listens on the port that the message names, or change the port in the kind configuration."
	}
	return f
}
