package devenv

import (
	"maps"
	"slices"
	"time"

	"github.com/devenv-run/devenv/devenv/event"
)

// This file holds what a session remembers between works: what was deployed, what was found, and what was told.

func (s *session) isDone(service, ref string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done[service] == ref
}

func (s *session) setDone(service, ref string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[service] = ref
}

func (s *session) deployedImage(service string) *image {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.deployed[service]; ok {
		return &i
	}
	return nil
}

func (s *session) allDeployed() map[string]image {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.deployed)
}

func (s *session) setDeployed(images map[string]image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, i := range images {
		s.deployed[name], s.done[name] = i, i.ref
	}
}

// setDeclared notes what workloads declare that were applied and are not known to be ready.
func (s *session) setDeclared(images map[string]image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.deployed, images)
}

// looked is an image, and when it began to be looked for.
type looked struct {
	image
	at time.Time
}

func (s *session) keepLooked(i image, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked[i.service.Name] = looked{i, at}
}

// takeLooked gives what was found of a service, if it was looked for after its last change.
func (s *session) takeLooked(service string, changed time.Time) (image, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.looked[service]
	delete(s.looked, service)
	return i.image, ok && i.at.After(changed)
}

func (s *session) forgetLooked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.looked)
}

// tellChanged tells of paths that were not told yet, for work on the given services.
func (s *session) tellChanged(paths []string, services ...string) {
	s.mu.Lock()
	for _, name := range services {
		s.visible[name] = true
	}
	var fresh []string
	for _, path := range paths {
		if _, told := s.told[path]; !told {
			fresh = append(fresh, path)
		}
		s.told[path] = struct{}{}
	}
	s.mu.Unlock()
	if len(fresh) > 0 {
		slices.Sort(fresh)
		s.out.Emit(event.Changed{Paths: fresh, Services: services})
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// unseen notes that a work has ended: a service's shortcut, or the cycle for "".
func (s *session) unseen(service string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := []string{service}
	if service == "" {
		ended = s.inCycle
	}
	for _, name := range ended {
		delete(s.visible, name)
	}
}

func (s *session) isVisible(service string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.visible[service]
}

// forgetTold has the paths of a work that has ended be told again when they change again.
func (s *session) forgetTold(paths []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, path := range paths {
		delete(s.told, path)
	}
}
