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
	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/image"
)

// errPacked is why layers cannot be read as the engine has unpacked them.
var errPacked = errors.New("the engine has not unpacked these layers itself")

// unpacked is Fetch for layers that the engine's BuildKit made, and which are directories of its overlay2 driver. A container that is never started has those
// directories mounted, read-only, and the engine gives them out as it does what `docker cp` asks for: at the speed of its disk, where a push compresses. What comes is the
// layer if it has the layer's digest, else this fails. The image's configuration comes by a push of no layer at all, meanwhile.
func (e *Engine) unpacked(ctx context.Context, w image.Want) (i *image.Image, err error) {
	made, err := e.whereUnpacked(ctx, w)
	if err != nil {
		return nil, err
	}
	layers := map[string]image.Layer{}
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		nothing := w
		nothing.Wanted, nothing.Early = nil, nil
		if err := e.teach(ctx, w.Layers); err != nil {
			return err
		}
		var err error
		i, err = e.push(ctx, nothing)
		return err
	})
	both.Go(func() error { return e.readUnpacked(ctx, w, made, layers) })
	if err := both.Wait(); err != nil {
		return nil, err
	}
	for n, l := range i.Layers {
		if came, ok := layers[l.DiffID]; ok {
			i.Layers[n] = came
		}
	}
	if !w.Met(i) {
		return nil, fmt.Errorf("%w: not all of its layers came", errOther)
	}
	return i, nil
}

// unpackedImage says where layers of an image are unpacked.
type unpackedImage struct {
	dirs    []string // of the wanted layers, in the order of Wanted, on the engine's machine
	volumes []string // paths of the image that containers have volumes for
}

// whereUnpacked asks where the engine has unpacked the wanted layers. It is errPacked where it does not say, or has not made one of them itself: a layer
// that came from elsewhere was written by other code, and would not come out as it came.
func (e *Engine) whereUnpacked(ctx context.Context, w image.Want) (unpackedImage, error) {
	if info, err := e.traits(ctx); err != nil || info.ContainerdStore || info.UserNamespace {
		return unpackedImage{}, errors.Join(errPacked, err)
	}
	i, err := e.api.ImageInspect(ctx, w.ID)
	if err != nil {
		return unpackedImage{}, err
	}
	dirs := overlays(i.GraphDriver.Name, i.GraphDriver.Data)
	if len(dirs) != len(w.Layers) || len(w.Wanted) == 0 {
		return unpackedImage{}, errPacked
	}
	var u unpackedImage
	for _, id := range w.Wanted {
		n := slices.Index(w.Layers, id)
		if n < 0 || !byBuildKit(dirs[n]) {
			return unpackedImage{}, errPacked
		}
		u.dirs = append(u.dirs, dirs[n])
	}
	if i.Config != nil {
		for v := range i.Config.Volumes {
			u.volumes = append(u.volumes, v)
		}
	}
	return u, nil
}

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
	readTime = 5 * time.Minute
	stale    = 2 * readTime
)

// readerLabel is on containers for reading layers.
const readerLabel = "run.devenv.layers"

// readUnpacked reads the wanted layers into the spool, and notes them by diff ID.
func (e *Engine) readUnpacked(ctx context.Context, w image.Want, u unpackedImage, layers map[string]image.Layer) error {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	root := "devenv-" + strings.ToLower(rand.Text()) // nothing of the image's is called that
	id, err := e.readerOf(ctx, w, u, "/"+root)
	if err != nil {
		return err
	}
	defer e.removeReader(ctx, id) // as long as it is there the image cannot be removed
	archive, _, err := e.api.CopyFromContainer(ctx, id, "/"+root)
	if err != nil {
		return err
	}
	defer archive.Close()
	return repack(archive, root, func(dir string, write func(io.Writer) error) error {
		n, err := strconv.Atoi(dir)
		if err != nil || n < 0 || n >= len(w.Wanted) {
			return fmt.Errorf("%w: %s", errOther, dir)
		}
		l, err := w.Spool.Take(w.Wanted[n], w.Early, write)
		layers[l.DiffID] = l
		return err
	})
}

// readerOf makes a container, which is never started, with the directories at root/0, root/1, …
func (e *Engine) readerOf(ctx context.Context, w image.Want, u unpackedImage, root string) (id string, err error) {
	host := container.HostConfig{NetworkMode: "none"}
	bind := func(from, to string) {
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeBind, Source: from, Target: to, ReadOnly: true})
	}
	for n, dir := range u.dirs {
		bind(dir, path.Join(root, strconv.Itoa(n)))
	}
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
