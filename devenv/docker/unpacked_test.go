package docker

import (
	"archive/tar"
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
		want   []unpackedLayer // nil: errPacked
	}{
		"the highest":               {"{}", []string{"3"}, []unpackedLayer{{dir: made("c")}}},
		"two":                       {"{}", []string{"2", "3"}, []unpackedLayer{{dir: made("b")}, {dir: made("c")}}},
		"one that was pulled":       {`{"DockerRootDir":"/root"}`, []string{"1", "3"}, []unpackedLayer{{pulled("a"), "/root/image/overlay2/layerdb/sha256/1/tar-split.json.gz"}, {dir: made("c")}}},
		"one that it has not":       {"{}", []string{"4"}, nil},
		"none":                      {"{}", nil, nil},
		"of a containerd store":     {`{"DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}`, []string{"3"}, nil},
		"where owners are shifted":  {`{"SecurityOptions":["name=userns"]}`, []string{"3"}, nil},
		"of an engine that is gone": {`{`, []string{"3"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := laidOut(t, tt.info, built, nil)
			u, err := e.whereUnpacked(t.Context(), image.Want{ID: "sha256:1", Layers: []string{"1", "2", "3"}, Wanted: tt.wanted})
			if (err == nil) != (tt.want != nil) || !slices.Equal(u.layers, tt.want) || err != nil && !errors.Is(err, errPacked) {
				t.Errorf("%+v, %v", u, err)
			}
			if err == nil && (!slices.Equal(u.volumes, []string{"/data"}) || !strings.HasSuffix(u.config, "image/overlay2/imagedb/content/sha256/1")) {
				t.Errorf("%+v", u)
			}
		})
	}
	e := laidOut(t, "{}", built, nil)
	if _, err := e.whereUnpacked(t.Context(), image.Want{ID: "sha256:1", Layers: []string{"2", "3"}, Wanted: []string{"3"}}); !errors.Is(err, errPacked) {
		t.Errorf("where there are more directories than layers: %v", err)
	}
}

// A chain is named by the digest of the names of the one below it and the layer, see OCI's image specification.
func TestChainOf(t *testing.T) {
	if got := chainOf([]string{"sha256:a"}); got != "sha256:a" {
		t.Error(got)
	}
	if got, want := chainOf([]string{"sha256:a", "sha256:b", "sha256:c"}), image.Digest([]byte(image.Digest([]byte("sha256:a sha256:b"))+" sha256:c")); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What cannot be read where it is unpacked is exported.
func TestFetchGoesOnWithoutWhatIsUnpacked(t *testing.T) {
	created, exported := 0, 0
	e := laidOut(t, "{}", []string{pulled("a"), pulled("b")}, map[string]http.HandlerFunc{
		"POST /containers/create": func(w http.ResponseWriter, r *http.Request) {
			created++
			says(http.StatusBadRequest, `{"message":"bind source path does not exist"}`)(w, r)
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
	w := image.Want{Ref: "app:1", ID: "sha256:1", Layers: []string{"1", "2"}, Wanted: []string{"2"}, Size: 100 << 20, Bytes: 100 << 20, Spool: spool}
	if _, err := e.Fetch(t.Context(), w); err == nil || created != 1 || exported != 1 {
		t.Errorf("tried %d times where it is unpacked, exported %d times, %v", created, exported, err)
	}
}

// Whatever comes of the directories, only what has the digests of the image is taken for it, and the container goes again.
func TestUnpacked(t *testing.T) {
	base, top := packed(t, entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: "./b", Mode: 0o644, Format: tar.FormatGNU}, data: "base"}), tarOf(t, file("a", 3))
	notes, config := string(noted(t, base)), `{"architecture":"amd64"}`
	layers := []string{image.Digest(base), image.Digest(top)}
	for name, tt := range map[string]struct {
		wanted                []string
		base, config          string
		size                  int
		says                  int
		ok                    bool
		fromElsewhere, fromUs string // where they are mounted
	}{
		"the image":                          {layers, "base", config, 3, http.StatusOK, true, "s0", "1"},
		"its highest layer":                  {layers[1:], "", config, 3, http.StatusOK, true, "", "0"},
		"something else":                     {layers, "base", config, 4, http.StatusOK, false, "s0", "1"},
		"something else that came elsewhere": {layers, "bass", config, 3, http.StatusOK, false, "s0", "1"},
		"another configuration":              {layers, "base", "{}", 3, http.StatusOK, false, "s0", "1"},
		"the directory cannot be mounted":    {layers, "base", config, 3, http.StatusInternalServerError, false, "s0", "1"},
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
			e := laidOut(t, `{"DockerRootDir":"/docker"}`, []string{pulled("a"), made("c")}, map[string]http.HandlerFunc{
				"GET /images/" + image.Digest([]byte(config)) + "/json": says(http.StatusOK, fmt.Sprintf(
					`{"Config":{"Volumes":{"/data":{}}},"GraphDriver":{"Name":"overlay2","Data":{"UpperDir":%q,"LowerDir":%q}}}`, made("c"), pulled("a"))),
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
					all := []entry{
						{Header: directory(tt.fromUs)}, {Header: file(tt.fromUs+"/a", 0), data: strings.Repeat("x", tt.size)},
						{Header: file("config", 0), data: tt.config},
					}
					if tt.fromElsewhere != "" {
						all = append(all, entry{Header: directory("s0")}, entry{Header: file("s0/split", 0), data: notes},
							entry{Header: directory("s0/tree")}, entry{Header: file("s0/tree/b", 0), data: tt.base})
					}
					for n := range all {
						all[n].Name, all[n].Format, all[n].ModTime = root+"/"+all[n].Name, tar.FormatPAX, time.Unix(1700000000, 0)
					}
					w.Header().Set("X-Docker-Container-Path-Stat", "e30=")
					_, _ = w.Write(packed(t, all...))
				},
				"DELETE /containers/c1": func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Query().Get("force") == "1" && r.URL.Query().Get("v") == "1" {
						removed++
					}
					w.WriteHeader(http.StatusNoContent)
				},
			})
			spool, err := image.NewSpool(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			i, err := e.unpacked(t.Context(), image.Want{ID: image.Digest([]byte(config)), Layers: layers, Wanted: tt.wanted, Spool: spool})
			if (err == nil) != tt.ok || removed != 1 {
				t.Errorf("%v, removed %d times", err, removed)
			}
			if tt.ok && (string(i.Config) != config || !i.Has(tt.wanted)) {
				t.Errorf("%+v", i)
			}
			if _, labelled := asked.Labels[readerLabel]; !labelled || asked.Image != image.Digest([]byte(config)) || asked.HostConfig.NetworkMode != "none" {
				t.Errorf("%+v", asked)
			}
			var mounts []string
			for _, m := range asked.HostConfig.Mounts {
				if strings.HasPrefix(m.Target, "/devenv-") {
					_, m.Target, _ = strings.Cut(m.Target[1:], "/")
				}
				mounts = append(mounts, fmt.Sprint(m.Type, " ", m.Source, " ", m.Target, " ", m.ReadOnly))
			}
			var want []string
			if tt.fromElsewhere != "" {
				want = append(want, "bind /docker/image/overlay2/layerdb/sha256/"+encoded(layers[0])+"/tar-split.json.gz s0/split true", "bind "+pulled("a")+" s0/tree true")
			}
			want = append(want, "bind "+made("c")+" "+tt.fromUs+" true", "bind /docker/image/overlay2/imagedb/content/sha256/"+encoded(image.Digest([]byte(config)))+" config true",
				"bind /etc/passwd /etc/passwd true", "bind /etc/group /etc/group true", "tmpfs  /data false")
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
