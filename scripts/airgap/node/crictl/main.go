// Command crictl stands in for cri-tools' program of this name, which cannot be built from published modules. It knows
// what kind and the tools around it call inside a node: inspecti, images, rmi and version. The arguments and the JSON
// are those of the original, so a caller cannot tell.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const defaultEndpoint = "unix:///run/containerd/containerd.sock"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "crictl:", err)
		os.Exit(1)
	}
}

// run executes one command line.
func run(ctx context.Context, args []string, out io.Writer) error {
	call, err := parse(args)
	if err != nil {
		return err
	}
	connection, err := grpc.NewClient(call.endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(ctx, call.timeout)
	defer cancel()
	images := cri.NewImageServiceClient(connection)
	switch call.command {
	case "inspecti":
		return inspect(ctx, images, call, out)
	case "images":
		return list(ctx, images, call, out)
	case "rmi":
		return remove(ctx, images, call, out)
	case "version":
		return version(ctx, cri.NewRuntimeServiceClient(connection), out)
	}
	return errors.New("unreachable: parse accepts known commands only")
}

// call is a command line understood.
type call struct {
	endpoint string
	timeout  time.Duration
	command  string   // inspecti, images, rmi, version
	names    []string // images that the command is about
	output   string   // json, table
	quiet    bool     // IDs only
	all      bool     // rmi: every image
}
