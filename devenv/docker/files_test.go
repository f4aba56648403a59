package docker

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestWhatAnArchiveHolds(t *testing.T) {
	set := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	plain := func(name string, records map[string]string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 2, Mode: 0o4751, Uid: 7, Gid: 8, ModTime: set, PAXRecords: records}
	}
	for name, tt := range map[string]struct {
		header tar.Header
		odd    string // name and what it is; empty: a file
	}{
		"a file":                        {header: plain("0", nil)},
		"with the root before it":       {header: plain("./0", nil)},
		"with a label of this machine":  {header: plain("0", map[string]string{"SCHILY.xattr.security.selinux": "x"})},
		"with a capability":             {header: plain("0", map[string]string{"SCHILY.xattr.security.capability": "x"}), odd: "0 a file with security.capability"},
		"with an attribute of a user's": {header: plain("0", map[string]string{"SCHILY.xattr.user.x": "x"}), odd: "0 a file with user.x"},
		"a directory":                   {header: tar.Header{Typeflag: tar.TypeDir, Name: "0/", Mode: 0o755}, odd: "0 a directory"},
		"a link":                        {header: tar.Header{Typeflag: tar.TypeSymlink, Name: "0", Linkname: "1"}, odd: "0 a link"},
		"another name of a file":        {header: tar.Header{Typeflag: tar.TypeLink, Name: "0", Linkname: "1"}, odd: "0 a link"},
		"a pipe":                        {header: tar.Header{Typeflag: tar.TypeFifo, Name: "0"}, odd: "0 something special"},
	} {
		t.Run(name, func(t *testing.T) {
			var archive bytes.Buffer
			out := tar.NewWriter(&archive)
			if err := out.WriteHeader(&tt.header); err != nil {
				t.Fatal(err)
			}
			if tt.header.Size > 0 {
				io.WriteString(out, "hi")
			}
			if err := out.Close(); err != nil {
				t.Fatal(err)
			}
			files, err := unpack(&archive, t.TempDir())
			if tt.odd != "" {
				if name, is, _ := NotPlain(err); name+" "+is != tt.odd {
					t.Errorf("%v, %v", files, err)
				}
				return
			}
			f := files["0"]
			data, readErr := os.ReadFile(f.Path)
			info, statErr := os.Stat(f.Path)
			if err != nil || readErr != nil || statErr != nil || string(data) != "hi" || !info.ModTime().Equal(set) || archive.Len() > 0 {
				t.Fatalf("%+v, %v, %v, %v", f, err, readErr, statErr)
			}
			if f.Mode != 0o4751 || f.UID != 7 || f.GID != 8 || !f.Time.Equal(set) || !strings.HasPrefix(f.Digest, "sha256:8f434346") {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestAnArchiveThatIsCutOff(t *testing.T) {
	if files, err := unpack(strings.NewReader(strings.Repeat("x", 700)), t.TempDir()); err == nil {
		t.Errorf("%v", files)
	}
}
