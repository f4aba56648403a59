package devenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/devenv-run/devenv/devenv/fault"
)

// owner is the file that says whose environment a state directory holds.
const owner = "project"

// claim makes the environment that of one project: "shop" with --env "two" and a project "shop-two" have the same name, and would
// otherwise take each other's cluster and objects for their own. The first that comes has the name until its cluster is deleted.
func (s state) claim(project, environment string) error {
	mine := project + "\n" + environment + "\n"
	data, err := os.ReadFile(s.path(owner))
	if errors.Is(err, fs.ErrNotExist) {
		data, err = []byte(mine), writeFile(s.path(owner), []byte(mine))
	}
	if err != nil {
		return &fault.Error{Kind: fault.Machine, What: "state directory cannot be used", Err: err, Next: "Make it readable and writable."}
	}
	if string(data) == mine {
		return nil
	}
	other, env, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
	whose := "the project " + other
	if env != "" {
		whose += " with --env " + env
	}
	name := project
	if environment != "" {
		name += "-" + environment
	}
	return &fault.Error{
		Kind: fault.Refused, What: fmt.Sprintf("the environment %s belongs to %s", name, whose), Where: s.path(owner),
		Next: "Choose another name or --env, or run `devenv down --cluster` there first.",
	}
}

// release gives the name back.
func (s state) release() error {
	if err := os.Remove(s.path(owner)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
