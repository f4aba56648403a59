package docker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/mount"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"

	"github.com/devenv-run/devenv/devenv/image"
)

// errPacked is why layers cannot be read as the engine has unpacked them.
var errPacked = errors.New("the engine does not say where it has unpacked these layers")

// unpacked is Fetch for an engine whose layers are directories of its overlay2 driver. A container that is never started has those directories mounted, read-only, with the
// image's configuration and what the engine noted of layers that came from elsewhere, and the engine gives them out as it does what `docker cp` asks for: at the speed of
// its disk, where a push compresses, and an export copies all of it once more before the first byte of it comes. What comes is the image if it has its digests, else this fails.
func (e *Engine) unpacked(ctx context.Context, w image.Want) (*image.Image, error) {
	where, err := e.whereUnpacked(ctx, w)
	if err != nil {
		return nil, err
	}
	config, layers, err := e.readUnpacked(ctx, w, where)
	if err != nil {
		return nil, err
	}
	if image.Digest(config) != w.ID {
		return nil, fmt.Errorf("%w: the configuration of another image", errOther)
	}
	i := &image.Image{Config: config}
	for _, id := range w.Layers {
		l, came := layers[id]
		if !came {
			l = image.Layer{DiffID: id, Digest: id}
		}
		i.Layers = append(i.Layers, l)
	}
	if !w.Met(i) {
		return nil, fmt.Errorf("%w: not all of its layers came", errOther)
	}
	return i, nil
}

// unpackedImage says where on the engine's machine an image is.
type unpackedImage struct {
	layers  []unpackedLayer // the wanted ones, in the order of Wanted
	config  string          // the file of the image's configuration
	volumes []string        // paths of the image that containers have volumes for
}

// unpackedLayer says where a layer is.
type unpackedLayer struct {
	dir   string // what the engine has unpacked of it
	split string // the file of what it noted of one that came from elsewhere; empty for one that its BuildKit made
}

// whereUnpacked asks where the engine has unpacked the wanted layers. It is errPacked where it does not say.
func (e *Engine) whereUnpacked(ctx context.Context, w image.Want) (unpackedImage, error) {
	info, err := e.traits(ctx)
	if err != nil || info.ContainerdStore || info.UserNamespace || len(w.Wanted) == 0 {
		return unpackedImage{}, errors.Join(errPacked, err)
	}
	i, err := e.api.ImageInspect(ctx, w.ID)
	if err != nil {
		return unpackedImage{}, err
	}
	dirs := overlays(i.GraphDriver.Name, i.GraphDriver.Data)
	if len(dirs) != len(w.Layers) {
		return unpackedImage{}, errPacked
	}
	// What an engine keeps of images beside their layers is laid out like this since version 1.10.
	kept := path.Join(info.Root, "image", i.GraphDriver.Name)
	u := unpackedImage{config: path.Join(kept, "imagedb", "content", "sha256", encoded(w.ID))}
	for _, id := range w.Wanted {
		n := slices.Index(w.Layers, id)
		if n < 0 {
			return unpackedImage{}, errPacked
		}
		l := unpackedLayer{dir: dirs[n]}
		if !byBuildKit(l.dir) {
			l.split = path.Join(kept, "layerdb", "sha256", encoded(chainOf(w.Layers[:n+1])), "tar-split.json.gz")
		}
		u.layers = append(u.layers, l)
	}
	if i.Config != nil {
		for v := range i.Config.Volumes {
			u.volumes = append(u.volumes, v)
		}
	}
	return u, nil
}

// chainOf is the chain ID of layers, the lowest first, given by their diff IDs.
func chainOf(layers []string) string {
	ids := make([]digest.Digest, len(layers))
	for n, id := range layers {
		ids[n] = digest.Digest(id)
	}
	return identity.ChainID(ids).String()
}

// encoded is a digest without its algorithm.
func encoded(d string) string { return strings.TrimPrefix(d, "sha256:") }

// overlays are the directories of an image's layers, the lowest first, as the engine's storage driver describes them; none if it is not overlay2.
func overlays(driver string, data map[string]string) []string {
	top := data["UpperDir"]
	if driver != "overlay2" || top == "" {
		return nil
	}
	dirs := []string{top}
	if lower := data["LowerDir"]; lower != "" {
		dirs = append(dirs, strings.Split(lower, ":")...)
	}
	slices.Reverse(dirs)
	return dirs
}

// byBuildKit says whether a layer's directory, …/overlay2/NAME/diff, is one that BuildKit made. Those of layers that were pulled or loaded are
// named by 64 hexadecimal digits.
func byBuildKit(dir string) bool {
	name := path.Base(path.Dir(dir))
	_, err := hex.DecodeString(name)
	return path.Base(dir) == "diff" && (len(name) != 64 || err != nil)
}

// readTime is how long reading layers may take. A container for that is stale when it is older.
const (
	readTime = 15 * time.Minute
	stale    = 2 * readTime
)

// readerLabel is on containers for reading layers.
const readerLabel = "run.devenv.layers"

// configName is the name of the configuration's file beside the layers.
const configName = "config"

// maxConfig is how large a configuration may be, in bytes: as large as engines pull one.
const maxConfig = 4 << 20

// readUnpacked reads the configuration, and the wanted layers into the spool; these by diff ID.
func (e *Engine) readUnpacked(ctx context.Context, w image.Want, u unpackedImage) (config []byte, layers map[string]image.Layer, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	root := "devenv-" + strings.ToLower(rand.Text()) // nothing of the image's is called that
	id, err := e.readerOf(ctx, w, u, "/"+root)
	if err != nil {
		return nil, nil, err
	}
	defer e.removeReader(ctx, id) // as long as it is there the image cannot be removed
	archive, _, err := e.api.CopyFromContainer(ctx, id, "/"+root)
	if err != nil {
		return nil, nil, err
	}
	defer archive.Close()
	layers = map[string]image.Layer{}
	err = repack(archive, root, repackInto{
		layer: func(dir string, write func(io.Writer) error) error {
			n, err := strconv.Atoi(strings.TrimPrefix(dir, splitPrefix))
			if err != nil || n < 0 || n >= len(w.Wanted) {
				return fmt.Errorf("%w: %s", errOther, dir)
			}
			l, err := w.Spool.Take(w.Wanted[n], w.Early, write)
			layers[l.DiffID] = l
			return err
		},
		file: func(name string, r io.Reader) (err error) {
			if name != configName {
				return fmt.Errorf("%w: %s", errOther, name)
			}
			config, err = io.ReadAll(io.LimitReader(r, maxConfig))
			return err
		},
		scratch: w.Spool.Scratch,
	})
	return config, layers, err
}

// readerOf makes a container, which is never started, with what is to be read below root: see repack.
func (e *Engine) readerOf(ctx context.Context, w image.Want, u unpackedImage, root string) (id string, err error) {
	host := container.HostConfig{NetworkMode: "none"}
	bind := func(from, to string) {
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeBind, Source: from, Target: to, ReadOnly: true})
	}
	for n, l := range u.layers {
		name := strconv.Itoa(n)
		if l.split == "" {
			bind(l.dir, path.Join(root, name))
			continue
		}
		bind(l.split, path.Join(root, splitPrefix+name, splitName))
		bind(l.dir, path.Join(root, splitPrefix+name, treeName))
	}
	bind(u.config, path.Join(root, configName))
	// Some engines write names beside the numbers of owners: in a layer those of their own machine, in what they read from a container those of the container.
	bind("/etc/passwd", "/etc/passwd")
	bind("/etc/group", "/etc/group")
	for _, v := range u.volumes { // else the engine would make volumes, and copy into them
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeTmpfs, Target: v})
	}
	made, err := e.api.ContainerCreate(ctx, &container.Config{
		Image: w.ID, Entrypoint: []string{"never"}, NetworkDisabled: true, Labels: map[string]string{readerLabel: ""},
	}, &host, nil, nil, "")
	return made.ID, err
}

// removeReader removes a container for reading layers. What stays if that fails is removed by sweep.
func (e *Engine) removeReader(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), untagTimeout)
	defer cancel()
	_ = e.api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
}

// sweepReaders removes containers for reading layers that a devenv which was killed has left.
func (e *Engine) sweepReaders(ctx context.Context) {
	list, err := e.api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", readerLabel))})
	if err != nil {
		return // the next devenv tries again
	}
	for _, c := range list {
		if time.Since(time.Unix(c.Created, 0)) > stale {
			e.removeReader(ctx, c.ID)
		}
	}
}
