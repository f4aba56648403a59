// Command assemble puts the parts of a node image together.
//
//	assemble names   -kind DIR -kubeadm FILE                    prints the images that a node carries, one a line
//	assemble archive -kind DIR -kubeadm FILE -parts DIR -o FILE writes them and the node's programs into a server archive
//	assemble node    -archive FILE -base IMAGE -image IMAGE     builds the node image with kind's own library
//
// An image (image.go) is a list of layers (layer.go) and a configuration; an archive (archive.go) is an OCI layout of
// several images. Images that share a layer share its bytes, in the archive and in the node.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"sigs.k8s.io/kind/pkg/build/nodeimage"
	"sigs.k8s.io/kind/pkg/cmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "assemble:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("which command? names, archive or node")
	}
	set := flag.NewFlagSet(args[0], flag.ContinueOnError)
	kindDir := set.String("kind", "", "directory of kind's module")
	kubeadm := set.String("kubeadm", "", "kubeadm program of the version to build for")
	parts := set.String("parts", "", "directory that holds the parts")
	output := set.String("o", "", "file to write")
	archive := set.String("archive", "", "server archive")
	base := set.String("base", "", "base image")
	image := set.String("image", "", "image to build")
	if err := set.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "names", "archive":
		names, err := readNames(ctx, *kindDir, *kubeadm)
		if err != nil {
			return err
		}
		if args[0] == "archive" {
			return writeServerArchive(ctx, *output, *parts, names)
		}
		for _, name := range names.all() {
			fmt.Fprintln(out, name)
		}
		return nil
	case "node":
		return nodeimage.Build(
			nodeimage.WithBuildType("file"),
			nodeimage.WithKubeParam(*archive),
			nodeimage.WithBaseImage(*base),
			nodeimage.WithImage(*image),
			nodeimage.WithLogger(cmd.NewLogger()),
		)
	}
	return fmt.Errorf("no command %q: names, archive or node", args[0])
}
