package devenv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/devenv-run/devenv/devenv/event"
)

// This file says of files that change whenever a work reads them, such as a log that is written into a build context, which they are and what to do.

// noteRestless remembers which files of a service changed while a work read them.
func (s *session) noteRestless(service string, paths []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restless[service] = paths
}

// tellRestless says, once for the files of a directory, that they change all the time.
func (s *session) tellRestless(name string) {
	service, known := s.project.config.Service(name)
	s.mu.Lock()
	paths := s.restless[name]
	s.mu.Unlock()
	if !known || len(paths) == 0 {
		return
	}
	cause := name + " " + filepath.Dir(paths[0])
	if s.warned[cause] {
		return
	}
	s.warned[cause] = true
	c := s.project.config
	shown := make([]string, len(paths))
	for i, p := range paths {
		shown[i] = s.tree.shown(p)
	}
	ignore := c.DockerfilePath(service) + ".dockerignore"
	if _, err := os.Stat(ignore); err != nil {
		ignore = filepath.Join(c.ContextDir(service), ".dockerignore")
	}
	entry := paths[0]
	if rel, err := filepath.Rel(c.ContextDir(service), paths[0]); err == nil {
		entry = filepath.ToSlash(rel)
	}
	s.out.Emit(event.Warning{Text: fmt.Sprintf(
		"%s changed each time that %s was to be brought into the cluster, which therefore is tried only now and then; if the image does not need it, "+
			"a line `%s` in %s keeps it out", strings.Join(shown[:min(len(shown), 3)], ", "), name, entry, s.tree.shown(ignore))})
}
