package devenv

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

func TestGiveBackLeavesLittleOfTheProgramInMemory(t *testing.T) {
	before := fileMemory(t)
	began := time.Now()
	giveBack()
	t.Logf("%d kB before, %d kB after; took %s", before, fileMemory(t), time.Since(began))
	if after := fileMemory(t); after > before/2 {
		t.Errorf("%d kB of the program are in memory, of %d kB before", after, before)
	}
}

// fileMemory is how much of files is in this process's memory, in kB.
func fileMemory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Skip("this kernel does not tell how much of files is in a process's memory")
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

func TestOnlyWhatIsAsInTheFileIsGivenBack(t *testing.T) {
	const smaps = `00400000-00500000 r-xp 00000000 fe:00 42  /usr/bin/devenv
Size:               1024 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00500000-00600000 r--p 00100000 fe:00 42  /usr/bin/devenv
Size:               1024 kB
Anonymous:             8 kB
VmFlags: rd mr mw me
00600000-00700000 rw-p 00200000 fe:00 42  /usr/bin/devenv
Anonymous:             0 kB
VmFlags: rd wr mr mw me
7f0000000000-7f0000100000 r-xp 00000000 fe:00 43  /usr/lib/libc.so.6
Anonymous:             0 kB
VmFlags: rd ex mr mw me
7f0000200000-7f0000300000 r--p 00000000 00:00 0
Anonymous:             0 kB
VmFlags: rd mr mw me
00700000-00800000 r--p 00300000 fe:00 42  /usr/bin/devenv
Anonymous:             0 kB
VmFlags: rd mr mw me
`
	want := []mapping{{0x400000, 0x500000}, {0x700000, 0x800000}}
	if got := untouched([]byte(smaps), "/usr/bin/devenv"); !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}
