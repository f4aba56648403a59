package kind

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
)

// database is a containerd database with these images (name → digest) in a namespace.
func database(t *testing.T, namespace string, images map[string]string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "meta.db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for name, digest := range images {
			b, err := tx.CreateBucketIfNotExists([]byte("v1"))
			for _, key := range []string{namespace, "images", name, "target"} {
				if err == nil {
					b, err = b.CreateBucketIfNotExists([]byte(key))
				}
			}
			if err == nil {
				err = b.Put([]byte("digest"), []byte(digest))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, readErr := os.ReadFile(path)
	if err != nil || readErr != nil {
		t.Fatal(err, readErr)
	}
	return data
}

func TestImagesInAContainerdDatabase(t *testing.T) {
	want := map[string]string{"registry.k8s.io/pause:3.10": "sha256:1", "docker.io/library/a:1": "sha256:2"}
	for _, c := range []struct {
		name string
		data []byte
		want map[string]string
	}{
		{"images", database(t, "k8s.io", want), want},
		{"another namespace", database(t, "moby", want), map[string]string{}},
		{"nothing", database(t, "k8s.io", nil), map[string]string{}},
	} {
		got, err := imagesIn(c.data)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", c.name, err, diff)
		}
	}
	for name, data := range map[string][]byte{"empty": nil, "no database": []byte("hello"), "half": database(t, "k8s.io", want)[:5000]} {
		if got, err := imagesIn(data); err == nil && len(got) > 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}
