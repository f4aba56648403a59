//go:build linux || darwin

package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// forestOf makes 50 contexts with n files in directories of 50.
func forestOf(b *testing.B, n int) (dir string, roots []Root, files []string) {
	b.Helper()
	dir = b.TempDir()
	for i := range n {
		service := fmt.Sprintf("s%02d", i/50%50)
		at := filepath.Join(dir, service, fmt.Sprintf("pkg%03d", i/2500))
		if i%50 == 0 {
			must(b, os.MkdirAll(at, 0o755))
		}
		file := filepath.Join(at, fmt.Sprintf("file%05d.go", i))
		must(b, os.WriteFile(file, []byte("package x\n"), 0o644))
		files = append(files, file)
	}
	for i := range 50 {
		roots = append(roots, contextRoot(fmt.Sprint(i), filepath.Join(dir, fmt.Sprintf("s%02d", i))))
	}
	return dir, roots, files
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// heap is the memory in use, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

const benchFiles = 50_000

// BenchmarkStart is the time from Start to watching, 50,000 files in 50 contexts.
func BenchmarkStart(b *testing.B) {
	_, roots, _ := forestOf(b, benchFiles)
	before := heap()
	cpu := cpuTime(b)
	for b.Loop() {
		w, err := Start(b.Context(), roots, Options{})
		must(b, err)
		b.StopTimer()
		b.ReportMetric(float64(heap()-before)/1e6, "MB")
		w.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64((cpuTime(b)-cpu).Milliseconds())/float64(b.N), "cpu-ms/op")
}

// planted is a forest as Start makes it, without the goroutine that owns it.
func planted(tb testing.TB, roots []Root, options Options, open func() (notifier, error)) *forest {
	tb.Helper()
	f := newForest(options.withDefaults())
	for _, r := range roots {
		must(tb, f.addRoot(r))
	}
	var err error
	f.notifier, err = open()
	must(tb, err)
	tb.Cleanup(f.notifier.Close)
	f.plant(tb.Context())
	return f
}

// BenchmarkSweep is what it costs to read everything once.
func BenchmarkSweep(b *testing.B) {
	_, roots, _ := forestOf(b, benchFiles)
	f := planted(b, roots, Options{}, newNotifier)
	cpu := cpuTime(b)
	for b.Loop() {
		s := sweep{}
		for s.step(f, f.options); len(s.left) > 0; s.step(f, f.options) {
			s.next = time.Time{}
		}
		if s.found {
			b.Fatal("nothing changed")
		}
	}
	b.ReportMetric(float64((cpuTime(b)-cpu).Milliseconds())/float64(b.N), "cpu-ms/op")
}

// BenchmarkCheck is what each check of the roots' places costs.
func BenchmarkCheck(b *testing.B) {
	_, roots, _ := forestOf(b, benchFiles)
	f := planted(b, roots, Options{}, newNotifier)
	for b.Loop() {
		f.check()
	}
}

// BenchmarkManyChanges writes 2,000 files of 50,000 at once. cpu-ms is without what the writing costs, which is measured by doing it with
// nobody watching.
func BenchmarkManyChanges(b *testing.B) {
	_, roots, files := forestOf(b, benchFiles)
	round := 0
	write := func() time.Duration {
		round++
		cpu := cpuTime(b)
		for i := range 2000 {
			must(b, os.WriteFile(files[i*25], []byte(fmt.Sprint("package x // ", round, "\n")), 0o644))
		}
		return cpuTime(b) - cpu
	}
	alone := write()
	w, err := Start(b.Context(), roots, Options{})
	must(b, err)
	defer w.Close()
	batches, ours, slowest := 0, time.Duration(0), time.Duration(0)
	for b.Loop() {
		cpu := cpuTime(b)
		write()
		written := time.Now()
		for told := 0; told < 2000; {
			batch := <-w.Batches()
			batches++
			for _, c := range batch.Changes {
				told += len(c.Paths)
			}
		}
		slowest = max(slowest, time.Since(written))
		ours += cpuTime(b) - cpu - alone
	}
	b.ReportMetric(float64(ours.Milliseconds())/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(batches)/float64(b.N), "batches/op")
	b.ReportMetric(float64(slowest.Milliseconds()), "ms-after-last-write")
}
