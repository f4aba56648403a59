package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/image"
)

// made is a directory of overlay2 for a layer that BuildKit made, pulled one for a layer that came from elsewhere.
func made(name string) string {
	return "/var/lib/docker/overlay2/" + name + "made0000000000000000000/diff"
}

func pulled(digit string) string {
	return "/var/lib/docker/overlay2/" + strings.Repeat(digit, 64) + "/diff"
}

func TestByBuildKit(t *testing.T) {
	for dir, want := range map[string]bool{
		made("a"): true, pulled("a"): false, "/elsewhere/overlay2/p7yrq9ay5c9mnfexuwlomt5v8/diff": true,
		"/var/lib/docker/overlay2/p7yrq9ay5c9mnfexuwlomt5v8": false, "": false,
		"/var/lib/docker/overlay2/" + strings.Repeat("z", 64) + "/diff": true,
	} {
		if got := byBuildKit(dir); got != want {
			t.Errorf("%s: %v", dir, got)
		}
	}
}

func TestOverlays(t *testing.T) {
	for name, tt := range map[string]struct {
		driver string
		data   map[string]string
		want   []string
	}{
		"several layers":   {"overlay2", map[string]string{"UpperDir": "/3", "LowerDir": "/2:/1"}, []string{"/1", "/2", "/3"}},
		"one layer":        {"overlay2", map[string]string{"UpperDir": "/1"}, []string{"/1"}},
		"no layer":         {"overlay2", nil, nil},
		"another driver":   {"fuse-overlayfs", map[string]string{"UpperDir": "/1"}, nil},
		"a containerd one": {"", map[string]string{}, nil},
	} {
		if got := overlays(tt.driver, tt.data); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// laidOut is an engine that says of an image of three layers where they are.
func laidOut(t *testing.T, info string, layers []string, more map[string]http.HandlerFunc) *Engine {
	t.Helper()
	inspected, err := json.Marshal(map[string]any{
		"Id": "sha256:1", "Config": map[string]any{"Volumes": map[string]any{"/data": map[string]any{}}},
		"GraphDriver": map[string]any{"Name": "overlay2", "Data": map[string]string{"UpperDir": layers[len(layers)-1], "LowerDir": strings.Join(layers[:len(layers)-1], ":")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]http.HandlerFunc{
		"GET /info": says(http.StatusOK, info), "GET /images/json": says(http.StatusOK, "[]"), "GET /containers/json": says(http.StatusOK, "[]"),
		"GET /images/sha256:1/json": says(http.StatusOK, string(inspected)),
	}
	for k, v := range more {
		answers[k] = v
	}
	return fakeEngine(t, answers, "")
}

func TestWhereUnpacked(t *testing.T) {
	built := []string{made("b"), pulled("a"), made("c")} // in the order of LowerDir:UpperDir, so the second is the lowest
	for name, tt := range map[string]struct {
		info   string
		wanted []string
		want   []string // nil: errPacked
	}{
		"the highest":               {"{}", []string{"3"}, []string{made("c")}},
		"two":                       {"{}", []string{"2", "3"}, []string{made("b"), made("c")}},
		"one that was pulled":       {"{}", []string{"1", "3"}, nil},
		"one that it has not":       {"{}", []string{"4"}, nil},
		"none":                      {"{}", nil, nil},
		"of a containerd store":     {`{"DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}`, []string{"3"}, nil},
		"where owners are shifted":  {`{"SecurityOptions":["name=userns"]}`, []string{"3"}, nil},
		"of an engine that is gone": {`{`, []string{"3"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := laidOut(t, tt.info, built, nil)
			u, err := e.whereUnpacked(t.Context(), image.Want{ID: "sha256:1", Layers: []string{"1", "2", "3"}, Wanted: tt.wanted})
			if (err == nil) != (tt.want != nil) || !slices.Equal(u.dirs, tt.want) || err != nil && !errors.Is(err, errPacked) {
				t.Errorf("%+v, %v", u, err)
			}
			if err == nil && !slices.Equal(u.volumes, []string{"/data"}) {
				t.Errorf("volumes %v", u.volumes)
			}
		})
	}
	e := laidOut(t, "{}", built, nil)
	if _, err := e.whereUnpacked(t.Context(), image.Want{ID: "sha256:1", Layers: []string{"2", "3"}, Wanted: []string{"3"}}); !errors.Is(err, errPacked) {
		t.Errorf("where there are more directories than layers: %v", err)
	}
}

// Much of an image is exported, together with other images.
func TestFetchReadsAtMostHalfOfAnImage(t *testing.T) {
	for bytes, want := range map[int64]int{40 << 20: 1, 60 << 20: 0} {
		looked, exported := 0, 0
		e := laidOut(t, "{}", []string{pulled("a"), pulled("b")}, map[string]http.HandlerFunc{
			"GET /images/sha256:1/json": func(w http.ResponseWriter, r *http.Request) {
				looked++
				says(http.StatusOK, `{"Id":"sha256:1"}`)(w, r)
			},
			"GET /images/get": func(w http.ResponseWriter, _ *http.Request) {
				exported++
				_, _ = w.Write(tarOf(t))
			},
		})
		spool, err := image.NewSpool(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		w := image.Want{Ref: "app:1", ID: "sha256:1", Layers: []string{"1", "2"}, Wanted: []string{"2"}, Size: 100 << 20, Bytes: bytes, Spool: spool}
		if _, err := e.Fetch(t.Context(), w); err == nil || looked != want || exported != 1 {
			t.Errorf("%d bytes: looked %d times where it is unpacked, exported %d times, %v", bytes, looked, exported, err)
		}
	}
}

// Whatever comes of the directories, only what has a layer's digest is taken for it, and the container goes again.
func TestReadUnpacked(t *testing.T) {
	right := tarOf(t, file("a", 3))
	for name, tt := range map[string]struct {
		size int64
		says int
		ok   bool
	}{
		"the layer":                       {3, http.StatusOK, true},
		"something else":                  {4, http.StatusOK, false},
		"the directory cannot be mounted": {3, http.StatusInternalServerError, false},
	} {
		t.Run(name, func(t *testing.T) {
			var asked struct {
				Image      string
				Labels     map[string]string
				HostConfig struct {
					NetworkMode string
					Mounts      []struct {
						Type, Source, Target string
						ReadOnly             bool
					}
				}
			}
			removed := 0
			e := fakeEngine(t, map[string]http.HandlerFunc{
				"POST /containers/create": func(w http.ResponseWriter, r *http.Request) {
					if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
						t.Error(err)
					}
					says(http.StatusCreated, `{"Id":"c1"}`)(w, r)
				},
				"GET /containers/c1/archive": func(w http.ResponseWriter, r *http.Request) {
					if tt.says != http.StatusOK {
						says(tt.says, `{"message":"no"}`)(w, r)
						return
					}
					root := strings.TrimPrefix(r.URL.Query().Get("path"), "/")
					w.Header().Set("X-Docker-Container-Path-Stat", "e30=")
					_, _ = w.Write(tarOf(t, directory(root), directory(root+"/0"), file(root+"/0/a", tt.size)))
				},
				"DELETE /containers/c1": func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Query().Get("force") == "1" && r.URL.Query().Get("v") == "1" {
						removed++
					}
					w.WriteHeader(http.StatusNoContent)
				},
			}, "")
			spool, err := image.NewSpool(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			layers := map[string]image.Layer{}
			w := image.Want{ID: "sha256:1", Wanted: []string{image.Digest(right)}, Spool: spool}
			err = e.readUnpacked(t.Context(), w, unpackedImage{dirs: []string{made("a")}, volumes: []string{"/data"}}, layers)
			if (err == nil) != tt.ok || (layers[image.Digest(right)].File != "") != tt.ok || removed != 1 {
				t.Errorf("%v, %+v, removed %d times", err, layers, removed)
			}
			if _, labelled := asked.Labels[readerLabel]; !labelled || asked.Image != "sha256:1" || asked.HostConfig.NetworkMode != "none" {
				t.Errorf("%+v", asked)
			}
			var mounts []string
			for _, m := range asked.HostConfig.Mounts {
				if strings.HasPrefix(m.Target, "/devenv-") {
					_, m.Target, _ = strings.Cut(m.Target[1:], "/")
				}
				mounts = append(mounts, fmt.Sprint(m.Type, " ", m.Source, " ", m.Target, " ", m.ReadOnly))
			}
			want := []string{"bind " + made("a") + " 0 true", "bind /etc/passwd /etc/passwd true", "bind /etc/group /etc/group true", "tmpfs  /data false"}
			if !slices.Equal(mounts, want) {
				t.Errorf("mounts\n%s\nwant\n%s", strings.Join(mounts, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

func TestSweepReaders(t *testing.T) {
	var filter string
	var removed []string
	e := fakeEngine(t, map[string]http.HandlerFunc{
		"GET /containers/json": func(w http.ResponseWriter, r *http.Request) {
			filter = r.URL.Query().Get("filters")
			now := time.Now()
			says(http.StatusOK, fmt.Sprintf(`[{"Id":"old","Created":%d},{"Id":"new","Created":%d}]`, now.Add(-stale-time.Minute).Unix(), now.Add(-readTime).Unix()))(w, r)
		},
		"DELETE /containers/old": func(w http.ResponseWriter, _ *http.Request) {
			removed = append(removed, "old")
			w.WriteHeader(http.StatusNoContent)
		},
		"DELETE /containers/new": func(http.ResponseWriter, *http.Request) { t.Error("somebody reads from it") },
	}, "")
	e.sweepReaders(t.Context())
	if len(removed) != 1 || !strings.Contains(filter, readerLabel) {
		t.Errorf("removed %v of those with %s", removed, filter)
	}
}
