package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// fakeRuntime is a container runtime with some images.
type fakeRuntime struct {
	cri.UnimplementedImageServiceServer
	cri.UnimplementedRuntimeServiceServer
	images []*cri.Image
}

func (f *fakeRuntime) find(name string) *cri.Image {
	for _, image := range f.images {
		if image.Id == name || slices.Contains(image.RepoTags, name) {
			return image
		}
	}
	return nil
}

func (f *fakeRuntime) ListImages(_ context.Context, request *cri.ListImagesRequest) (*cri.ListImagesResponse, error) {
	if name := request.GetFilter().GetImage().GetImage(); name != "" {
		if image := f.find(name); image != nil {
			return &cri.ListImagesResponse{Images: []*cri.Image{image}}, nil
		}
		return &cri.ListImagesResponse{}, nil
	}
	return &cri.ListImagesResponse{Images: f.images}, nil
}

func (f *fakeRuntime) ImageStatus(_ context.Context, request *cri.ImageStatusRequest) (*cri.ImageStatusResponse, error) {
	answer := &cri.ImageStatusResponse{Image: f.find(request.GetImage().GetImage())}
	if request.GetVerbose() {
		answer.Info = map[string]string{"info": `{"imageSpec":{"os":"linux"}}`}
	}
	return answer, nil
}

func (f *fakeRuntime) RemoveImage(_ context.Context, request *cri.RemoveImageRequest) (*cri.RemoveImageResponse, error) {
	gone := f.find(request.GetImage().GetImage())
	f.images = slices.DeleteFunc(f.images, func(i *cri.Image) bool { return i == gone })
	return &cri.RemoveImageResponse{}, nil
}

func (f *fakeRuntime) Version(context.Context, *cri.VersionRequest) (*cri.VersionResponse, error) {
	return &cri.VersionResponse{Version: "0.1.0", RuntimeName: "containerd", RuntimeVersion: "v2", RuntimeApiVersion: "v1"}, nil
}

// start serves a runtime with two images and returns how to call crictl on it.
func start(t *testing.T) (*fakeRuntime, func(line string) (string, error)) {
	t.Helper()
	runtime := &fakeRuntime{images: []*cri.Image{
		{Id: "sha256:0123456789abcdef", RepoTags: []string{"docker.io/library/web:1", "registry:5000/web:2"}, Size: 1_500_000},
		{Id: "sha256:fedcba9876543210"},
	}}
	socket := filepath.Join(t.TempDir(), "cri.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	cri.RegisterImageServiceServer(server, runtime)
	cri.RegisterRuntimeServiceServer(server, runtime)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() { server.Stop(); <-served })
	return runtime, func(line string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), append([]string{"-r", "unix://" + socket}, strings.Fields(line)...), &out)
		return out.String(), err
	}
}

// TestInspect: what kind's nodeutils.ImageID and ImageTags read.
func TestInspect(t *testing.T) {
	_, crictl := start(t)
	for _, line := range []string{"inspecti docker.io/library/web:1", "inspecti -o json sha256:0123456789abcdef", "inspecti --output=json registry:5000/web:2"} {
		out, err := crictl(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		var document struct {
			Status struct {
				ID          string   `json:"id"`
				RepoTags    []string `json:"repoTags"`
				RepoDigests []string `json:"repoDigests"`
				Size        string   `json:"size"`
			} `json:"status"`
			Info struct {
				ImageSpec struct{ OS string } `json:"imageSpec"`
			} `json:"info"`
		}
		if err := json.Unmarshal([]byte(out), &document); err != nil {
			t.Fatalf("%s: %v in %s", line, err, out)
		}
		if document.Status.ID != "sha256:0123456789abcdef" || !slices.Equal(document.Status.RepoTags, []string{"docker.io/library/web:1", "registry:5000/web:2"}) ||
			document.Status.RepoDigests == nil || document.Status.Size != "1500000" || document.Info.ImageSpec.OS != "linux" {
			t.Errorf("%s: %s", line, out)
		}
	}
	if out, err := crictl("inspecti docker.io/library/other:1"); err == nil || !strings.Contains(err.Error(), `no such image "docker.io/library/other:1" present`) {
		t.Errorf("an image that is not there: %v, %s", err, out)
	}
}

func TestImages(t *testing.T) {
	_, crictl := start(t)
	out, err := crictl("images -o json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Images []struct {
			ID       string   `json:"id"`
			RepoTags []string `json:"repoTags"`
			Pinned   *bool    `json:"pinned"`
		} `json:"images"`
	}
	if err := json.Unmarshal([]byte(out), &document); err != nil {
		t.Fatal(err)
	}
	if len(document.Images) != 2 || document.Images[1].RepoTags[0] != "docker.io/library/web:1" || document.Images[0].RepoTags == nil || document.Images[0].Pinned == nil {
		t.Errorf("got %s", out)
	}
	tests := map[string]string{
		"images": "IMAGE                   TAG                 IMAGE ID            SIZE\n" +
			"<none>                  <none>              fedcba9876543       0.0MB\n" +
			"docker.io/library/web   1                   0123456789abc       1.5MB\n" +
			"registry:5000/web       2                   0123456789abc       1.5MB\n",
		"images -q":                       "sha256:fedcba9876543210\nsha256:0123456789abcdef\n",
		"img --quiet registry:5000/web:2": "sha256:0123456789abcdef\n",
		"images -o json other":            "{\n  \"images\": []\n}\n",
		"version":                         "Version:  0.1.0\nRuntimeName:  containerd\nRuntimeVersion:  v2\nRuntimeApiVersion:  v1\n",
	}
	for line, want := range tests {
		if got, err := crictl(line); err != nil || got != want {
			t.Errorf("%s: %v\ngot\n%s\nwant\n%s", line, err, got, want)
		}
	}
}

func TestRemove(t *testing.T) {
	runtime, crictl := start(t)
	out, err := crictl("rmi registry:5000/web:2")
	if err != nil || out != "Deleted: docker.io/library/web:1\nDeleted: registry:5000/web:2\n" {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := crictl("rmi registry:5000/web:2"); err == nil {
		t.Error("an image that is gone: no error")
	}
	if _, err := crictl("rmi --all"); err != nil || len(runtime.images) != 0 {
		t.Errorf("%v; left %v", err, runtime.images)
	}
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]string{
		"":                    "which command?",
		"ps":                  `command "ps" is not in this stand-in`,
		"images --frobnicate": "flag --frobnicate is not in this stand-in",
		"images -o yaml":      `output "yaml" is not in this stand-in`,
		"images -o":           "flag -o needs a value",
		"-t soon images":      "timeout",
		"--prune images":      "flag --prune is not in",
	}
	for line, want := range tests {
		if _, err := parse(strings.Fields(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one that says %s", line, err, want)
		}
	}
	for _, line := range []string{"inspecti", "rmi"} {
		if err := run(t.Context(), strings.Fields(line), nil); err == nil || !strings.Contains(err.Error(), "needs the name") {
			t.Errorf("%q: error %v", line, err)
		}
	}
}
