package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/defaults"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// The labels of a node image that was built for devenv on this machine.
const (
	nodeLabel       = "run.devenv.node=true"
	kubernetesLabel = "run.devenv.node.kubernetes" // the version of Kubernetes in it: v1.36.3
)

// Resolved is what the cluster has to be.
type Resolved struct {
	Cluster    plan.Cluster
	Kubernetes string // version of Kubernetes in the node image (v1.36.3); empty if only running it would tell
	Named      bool   // the Spec names the node image
	Notice     string // a line for the user if the choice of the node image is not the obvious one; may be empty
}

// Resolve says what the cluster has to be: it reads the files that the Spec names and chooses the node image. That is the Spec's; else
// the one that the existing cluster was created from; else the one that is locked (or kind's default where none is), if the engine
// holds it or its registry has it; else a local image that is labelled as a node image. It changes and pulls nothing. Its
// errors are fault.Config for the Spec's files and fault.Machine if there is no node image to be had.
func (k *Clusters) Resolve(ctx context.Context) (Resolved, error) {
	l, err := k.Spec.load()
	if err != nil {
		return Resolved{}, err
	}
	choice, err := k.chooseImage(ctx, l)
	if err != nil {
		return Resolved{}, err
	}
	return Resolved{
		Cluster: plan.Cluster{
			Name:      k.Name,
			Nodes:     namesOf(k.configure(l, choice.ref, choice.kubernetes, host{})),
			NodeImage: choice.ref,
			Spec:      hashSettings(l.settings()),
		},
		Kubernetes: choice.kubernetes,
		Named:      l.nodeImage() != "",
		Notice:     choice.notice,
	}, nil
}

// choice is a node image and why it was chosen.
type choice struct {
	ref        string
	kubernetes string
	notice     string
}

// chooseImage is the image of the cluster that there is, or else of the one to create.
func (k *Clusters) chooseImage(ctx context.Context, l *loaded) (choice, error) {
	identity, err := k.Identity()
	if err != nil {
		return choice{}, err
	}
	if wanted := l.nodeImage(); identity != nil && (wanted == "" || wanted == identity.NodeImage) {
		return choice{ref: identity.NodeImage, kubernetes: identity.Kubernetes}, nil
	}
	return k.imageForNew(ctx, l)
}

// nodeImage is the node image that the user names, empty if none.
func (l *loaded) nodeImage() string {
	if l.NodeImage != "" {
		return l.NodeImage
	}
	image, _ := l.config.image() // load has reported its error
	return image
}

// NodeImage is the node image of a cluster that would be created now, whatever there is, with its version of Kubernetes, which is empty if
// only running it would tell. named says whether the Spec names it. It is for devenv.lock.
func (k *Clusters) NodeImage(ctx context.Context) (ref, kubernetes string, named bool, err error) {
	l, err := k.Spec.load()
	if err != nil {
		return "", "", false, err
	}
	c, err := k.imageForNew(ctx, l)
	return c.ref, c.kubernetes, l.nodeImage() != "", err
}

// imageForNew chooses the image for a cluster that does not exist yet.
func (k *Clusters) imageForNew(ctx context.Context, l *loaded) (choice, error) {
	if wanted := l.nodeImage(); wanted != "" {
		version, err := k.imageVersion(ctx, wanted)
		return choice{ref: wanted, kubernetes: version}, err
	}
	pinned, origin := defaults.Image, "kind's default"
	if l.Locked != "" {
		pinned, origin = l.Locked, "the one that devenv.lock pins"
	}

	// An image that was loaded from a file has its tag but not the digest that kind's default names.
	tagged, _, _ := strings.Cut(pinned, "@")
	held, err := k.Engine.Images(ctx, []string{pinned, tagged})
	if err != nil {
		return choice{}, err
	}
	for _, ref := range []string{pinned, tagged} {
		if held[ref] != "" {
			version := tagVersion(ref)
			if version == "" {
				version, err = k.imageVersion(ctx, ref)
			}
			return choice{ref: ref, kubernetes: version}, err
		}
	}
	why := "devenv is offline"
	if !k.Offline {
		// By the tag: a reference with a digest resolves to that without anybody being asked.
		ask, cancel := context.WithTimeout(ctx, k.wait.ask)
		_, _, err := k.Engine.Resolve(ask, tagged)
		cancel()
		if err == nil {
			return choice{ref: pinned, kubernetes: tagVersion(pinned), notice: "node image " + tagged + " will be pulled"}, nil
		}
		if ctx.Err() != nil {
			return choice{}, ctx.Err()
		}
		why = "its registry cannot be reached"
	}
	local, err := k.labelledImages(ctx)
	if err != nil {
		return choice{}, err
	}
	if len(local) == 0 {
		return choice{}, &fault.Error{
			Kind: fault.Machine,
			What: "there is no node image: " + origin + ", " + tagged + ", is not on this machine, and " + why,
			Next: "With a registry in reach, `docker pull " + tagged + "`; without one, scripts/setup in a checkout of devenv builds a node image here. Or name your own as cluster.nodeImage in devenv.yaml.",
		}
	}
	c := local[0]
	c.notice = fmt.Sprintf("node image %s (Kubernetes %s, built on this machine) stands in for %s, %s: %s",
		c.ref, orUnknown(c.kubernetes), origin, tagged, why)
	return c, nil
}

func orUnknown(version string) string {
	if version == "" {
		return "of unknown version"
	}
	return version
}

// labelledImages are the local node images that were built for devenv, newest first.
func (k *Clusters) labelledImages(ctx context.Context) ([]choice, error) {
	out, err := k.docker.run(ctx, nil, "image", "ls", "--quiet", "--no-trunc", "--filter", "label="+nodeLabel)
	if err != nil {
		return nil, k.engineFault(ctx, "looking for node images", err)
	}
	ids := strings.Fields(string(out))
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 0 {
		return nil, nil
	}
	images, err := k.inspectImages(ctx, ids...)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(images, func(a, b nodeImage) int { return b.Created.Compare(a.Created) })
	var found []choice
	for _, i := range images {
		if len(i.RepoTags) == 0 {
			continue // an intermediate or superseded build
		}
		found = append(found, choice{ref: i.RepoTags[0], kubernetes: i.Config.Labels[kubernetesLabel]})
	}
	return found, nil
}

// imageVersion is the version of Kubernetes in a node image: by its label if the engine holds it, else by its tag.
func (k *Clusters) imageVersion(ctx context.Context, ref string) (string, error) {
	held, err := k.Engine.Images(ctx, []string{ref})
	if err != nil || held[ref] == "" {
		return tagVersion(ref), err
	}
	images, err := k.inspectImages(ctx, ref)
	if err != nil {
		return "", err
	}
	if v := images[0].Config.Labels[kubernetesLabel]; v != "" {
		return v, nil
	}
	return tagVersion(ref), nil
}

// nodeImage is the part of docker's description of an image that matters here.
type nodeImage struct {
	RepoTags []string
	Created  time.Time
	Config   struct{ Labels map[string]string }
}

func (k *Clusters) inspectImages(ctx context.Context, refs ...string) ([]nodeImage, error) {
	out, err := k.docker.run(ctx, nil, append([]string{"image", "inspect"}, refs...)...)
	if err != nil {
		return nil, k.engineFault(ctx, "inspecting node images", err)
	}
	var images []nodeImage
	if err := json.Unmarshal(out, &images); err != nil || len(images) == 0 {
		return nil, fmt.Errorf("reading what docker says of %s: %d images, %w", strings.Join(refs, ", "), len(images), err)
	}
	return images, nil
}

var kubernetesVersion = regexp.MustCompile(`^v\d+\.\d+\.\d+`)

// tagVersion is the Kubernetes version that the tag of a node image names, as all of kind's do; empty if it does not.
func tagVersion(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		return kubernetesVersion.FindString(ref[i+1:])
	}
	return ""
}
