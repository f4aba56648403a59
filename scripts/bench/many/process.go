package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// spent is what a command took: by the clock, and of processors, its own children included.
type spent struct{ took, cpu time.Duration }

// up runs `up`, in which there must be nothing to do.
func (b *bench) up(ctx context.Context) (spent, error) {
	cmd := exec.CommandContext(ctx, b.devenv.Program, b.devenv.Args("up")...)
	began := time.Now()
	out, err := cmd.Output()
	s := spent{took: time.Since(began)}
	if err != nil {
		return s, fmt.Errorf("devenv up: %w\n%s", err, out)
	}
	if !strings.Contains(string(out), "nothing to do") {
		return s, fmt.Errorf("devenv up was to have nothing to do, and did something:\n%s", out)
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return s, nil
}

// dev is a `devenv dev` that runs.
type dev struct {
	cmd    *exec.Cmd
	events chan event // closed when it has ended
	began  time.Time
}

// event is the part of an event that matters here.
type event struct {
	Type    string
	Service string
	Way     string
	at      time.Time
}

// start starts `devenv dev` and returns once it watches.
func (b *bench) start(ctx context.Context) (*dev, time.Duration, error) {
	d := &dev{cmd: exec.CommandContext(ctx, b.devenv.Program, b.devenv.Args("dev")...), events: make(chan event, 1000)}
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(os.Interrupt) }
	d.cmd.WaitDelay = 30 * time.Second
	d.cmd.Stderr = os.Stderr
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	d.began = time.Now()
	if err := d.cmd.Start(); err != nil {
		return nil, 0, err
	}
	go d.read(out)
	watching, err := d.await(ctx, "dev.watching")
	if err != nil {
		return nil, 0, errors.Join(err, d.stop())
	}
	return d, watching.at.Sub(d.began), nil
}

func (d *dev) read(out io.Reader) {
	defer close(d.events)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		e := event{at: time.Now()}
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			d.events <- e
		}
	}
}

// await passes over events until one of a type comes.
func (d *dev) await(ctx context.Context, kind string) (event, error) {
	for {
		select {
		case e, more := <-d.events:
			if !more {
				return event{}, fmt.Errorf("devenv dev ended before it said %s", kind)
			}
			if e.Type == kind {
				return e, nil
			}
		case <-ctx.Done():
			return event{}, ctx.Err()
		}
	}
}

// stop ends it as Ctrl-C does.
func (d *dev) stop() error {
	err := d.cmd.Process.Signal(os.Interrupt)
	for range d.events { // its output has to be read to its end before Wait
		continue
	}
	var exit *exec.ExitError
	if ended := d.cmd.Wait(); ended != nil && !errors.As(ended, &exit) {
		err = errors.Join(err, ended)
	}
	return err
}

// clockTick is the unit of CPU times in /proc on every Linux that Go runs on.
const clockTick = time.Second / 100

// cpu is the processor time that the process and the children that it has waited for have used so far.
func (d *dev) cpu() (time.Duration, error) {
	data, err := os.ReadFile(d.proc("stat"))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(data), ") ") // the program's name may have spaces in it
	fields := strings.Fields(after)
	const utime = 11 // stime, cutime and cstime follow
	if len(fields) < utime+4 {
		return 0, fmt.Errorf("%s: %q", d.proc("stat"), data)
	}
	var ticks int
	for _, field := range fields[utime : utime+4] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// memory is how many MB of memory the process has resident, and how many of them are not pages of files.
func (d *dev) memory() (resident, own int, err error) {
	data, err := os.ReadFile(d.proc("status"))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(line, ":")
		kilobytes, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch key {
		case "VmRSS":
			resident = kilobytes / 1000
		case "RssAnon":
			own = kilobytes / 1000
		}
	}
	if resident == 0 {
		return 0, 0, errors.New(d.proc("status") + " says nothing of memory")
	}
	return resident, own, nil
}

func (d *dev) proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(d.cmd.Process.Pid), file)
}
