package devenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
)

// compileLines is how many lines of a failed compilation are shown.
const compileLines = 40

// compile runs a service's compilation on this machine and returns its outputs as files of a layer. When ctx ends, the command and all that it
// started are killed.
func (p *Project) compile(ctx context.Context, s config.Service) ([]hot.File, error) {
	c := s.Dev.Compile
	where := p.config.At("services." + s.Name + ".dev.compile").String()
	cmd := exec.CommandContext(ctx, "sh", "-c", c.Run)
	cmd.Dir = p.config.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, &fault.Error{
			Kind: fault.Build, What: "compiling service " + s.Name + " failed", Where: where, Err: err,
			Detail: lastLines(string(output), compileLines), Next: "Correct what the compiler says; the next save tries again.",
		}
	}
	var files []hot.File
	for _, o := range c.Outputs {
		from := p.config.Abs(o.From)
		info, err := os.Stat(from)
		if err == nil && !info.Mode().IsRegular() {
			err = errors.New("it is no file")
		}
		if err != nil {
			return nil, &fault.Error{
				Kind: fault.Build, What: fmt.Sprintf("compiling service %s did not make %s", s.Name, o.From), Where: where, Err: err,
				Next: "Correct compile.outputs, or what compile.run makes.",
			}
		}
		to := path.Clean(o.To)
		if strings.HasSuffix(o.To, "/") {
			to = path.Join(to, path.Base(o.From))
		}
		files = append(files, hot.File{To: to, From: from, Kind: digest.File, Mode: uint32(info.Mode().Perm())})
	}
	return files, nil
}

// compiled makes sure that a compilation read what was decided on. What it makes itself may be in the context too, and so may what is new there.
func (h *hotpath) compiled(ctx context.Context, c change) error {
	root := c.now.build.Context
	after, err := digest.Walk(ctx, root, c.now.ignore, h.project.fileCache())
	if err != nil {
		return err
	}
	outputs := map[string]bool{}
	for _, o := range c.service.Dev.Compile.Outputs {
		outputs[h.project.config.Abs(o.From)] = true
	}
	outrun := outrunBy(root, slices.DeleteFunc(hot.Changes(c.now.context, after), func(c hot.Change) bool {
		return c.Before == nil || outputs[filepath.Join(root, filepath.FromSlash(c.Path))]
	}))
	if len(outrun.Paths) > 0 {
		return outrun
	}
	return nil
}

// lastLines is the end of a text, without blanks at its end.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n "), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
