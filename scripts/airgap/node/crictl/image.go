package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// inspect prints the status of each image. An image that is not there is an error, as callers rely on.
func inspect(ctx context.Context, images cri.ImageServiceClient, c call, out io.Writer) error {
	if len(c.names) == 0 {
		return errors.New("inspecti needs the name or ID of an image")
	}
	for _, name := range c.names {
		answer, err := images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}, Verbose: !c.quiet})
		if err != nil {
			return fmt.Errorf("image status for %q: %w", name, err)
		}
		if answer.GetImage() == nil {
			return fmt.Errorf("no such image %q present", name)
		}
		status, err := jsonOf(answer.GetImage())
		if err != nil {
			return err
		}
		document := map[string]any{"status": status}
		for key, value := range answer.GetInfo() {
			// The runtime answers "info" with JSON in a string; the original prints it as an object.
			if json.Valid([]byte(value)) {
				document[key] = json.RawMessage(value)
			} else {
				document[key] = value
			}
		}
		if err := printJSON(out, document); err != nil {
			return err
		}
	}
	return nil
}

// list prints the images, all of them or those of the given name.
func list(ctx context.Context, images cri.ImageServiceClient, c call, out io.Writer) error {
	request := &cri.ListImagesRequest{}
	if len(c.names) > 0 {
		request.Filter = &cri.ImageFilter{Image: &cri.ImageSpec{Image: c.names[0]}}
	}
	answer, err := images.ListImages(ctx, request)
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	found := answer.GetImages()
	slices.SortFunc(found, func(a, b *cri.Image) int { return strings.Compare(firstOf(a.GetRepoTags()), firstOf(b.GetRepoTags())) })
	switch {
	case c.output == "json":
		items := make([]json.RawMessage, 0, len(found))
		for _, image := range found {
			item, err := jsonOf(image)
			if err != nil {
				return err
			}
			items = append(items, item)
		}
		return printJSON(out, map[string]any{"images": items})
	case c.quiet:
		for _, image := range found {
			fmt.Fprintln(out, image.GetId())
		}
		return nil
	}
	table := tabwriter.NewWriter(out, 20, 1, 3, ' ', 0)
	fmt.Fprintln(table, "IMAGE\tTAG\tIMAGE ID\tSIZE")
	for _, image := range found {
		tags := image.GetRepoTags()
		if len(tags) == 0 {
			tags = []string{"<none>:<none>"}
		}
		for _, reference := range tags {
			colon := strings.LastIndex(reference, ":")
			fmt.Fprintf(table, "%s\t%s\t%s\t%.1fMB\n", reference[:max(colon, 0)], reference[colon+1:], shortID(image.GetId()),
				float64(image.GetSize())/1e6)
		}
	}
	return table.Flush()
}

// remove removes the named images, or all.
func remove(ctx context.Context, images cri.ImageServiceClient, c call, out io.Writer) error {
	names := c.names
	if c.all {
		answer, err := images.ListImages(ctx, &cri.ListImagesRequest{})
		if err != nil {
			return fmt.Errorf("list images: %w", err)
		}
		for _, image := range answer.GetImages() {
			names = append(names, image.GetId())
		}
	}
	if len(names) == 0 {
		return errors.New("rmi needs the name or ID of an image")
	}
	for _, name := range names {
		status, err := images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
		if err != nil {
			return fmt.Errorf("image status for %q: %w", name, err)
		}
		if status.GetImage() == nil {
			return fmt.Errorf("no such image %q present", name)
		}
		if _, err := images.RemoveImage(ctx, &cri.RemoveImageRequest{Image: &cri.ImageSpec{Image: name}}); err != nil {
			return fmt.Errorf("remove image %q: %w", name, err)
		}
		for _, tag := range status.GetImage().GetRepoTags() {
			fmt.Fprintln(out, "Deleted:", tag)
		}
	}
	return nil
}

func version(ctx context.Context, runtime cri.RuntimeServiceClient, out io.Writer) error {
	answer, err := runtime.Version(ctx, &cri.VersionRequest{})
	if err != nil {
		return fmt.Errorf("runtime version: %w", err)
	}
	_, err = fmt.Fprintf(out, "Version:  %s\nRuntimeName:  %s\nRuntimeVersion:  %s\nRuntimeApiVersion:  %s\n",
		answer.GetVersion(), answer.GetRuntimeName(), answer.GetRuntimeVersion(), answer.GetRuntimeApiVersion())
	return err
}

// jsonOf renders a message of the runtime as the original does: every field, also those that are empty.
func jsonOf(message proto.Message) (json.RawMessage, error) {
	return protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(message)
}

func printJSON(out io.Writer, document any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return err
	}
	_, err := out.Write(text.Bytes())
	return err
}

func firstOf(tags []string) string {
	if len(tags) == 0 {
		return ""
	}
	return tags[0]
}

// shortID is the first 13 digits of an image's ID, as tables show it.
func shortID(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(13, len(id))]
}
