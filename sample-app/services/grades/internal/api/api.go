// Package api serves the grades service's HTTP interface.
//
//	GET  /v1/courses                     the courses on offer
//	POST /v1/enrolments                  {"student", "course"} → the enrolment with its grade; needs the token
//	GET  /v1/students/{student}/grades   the student's enrolments
//	GET  /v1/report?terms=N              a forecast for each course; costs CPU in proportion to N
//	GET  /version                        the version that answers
//	GET  /livez, /readyz                 probes
package api

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"example.com/academy/grades/internal/academy"
	"example.com/academy/grades/internal/forecast"
)

const (
	maxBody      = 4 << 10
	readyTimeout = time.Second

	defaultTerms = 4000
	maxTerms     = 20_000
)

// Store is what the API needs of the database.
type Store interface {
	// Ready reports whether the database answers and has the schema that this version needs.
	Ready(context.Context) error
	Courses(context.Context) ([]academy.Course, error)
	// Enrol stores an enrolment, or finds the one that is there; created tells which.
	// A course that is not on offer is academy.ErrNoSuchCourse.
	Enrol(ctx context.Context, student, course string, points int) (e academy.Enrolment, created bool, err error)
	Grades(ctx context.Context, student string) ([]academy.Enrolment, error)
	Statistics(context.Context) ([]academy.Statistics, error)
}

// Server answers the requests. Make one with New.
type Server struct {
	store    Store
	token    string
	version  string
	log      *slog.Logger
	draining atomic.Bool
	mux      *http.ServeMux
}

// New returns a server on the store. Requests that write must carry the token.
func New(store Store, token, version string, log *slog.Logger) *Server {
	s := &Server{store: store, token: token, version: version, log: log, mux: http.NewServeMux()}
	s.mux.HandleFunc("GET /livez", s.live)
	s.mux.HandleFunc("GET /readyz", s.ready)
	s.mux.HandleFunc("GET /version", s.showVersion)
	s.mux.HandleFunc("GET /v1/courses", s.courses)
	s.mux.HandleFunc("POST /v1/enrolments", s.enrol)
	s.mux.HandleFunc("GET /v1/students/{student}/grades", s.grades)
	s.mux.HandleFunc("GET /v1/report", s.report)
	return s
}

// Drain makes the readiness probe fail from now on. Requests are still answered.
func (s *Server) Drain() { s.draining.Store(true) }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/livez" || r.URL.Path == "/readyz" {
		s.mux.ServeHTTP(w, r)
		return
	}
	start := time.Now()
	recorded := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
	s.mux.ServeHTTP(recorded, r)
	s.log.Info("request", "method", r.Method, "path", r.URL.Path, "status", recorded.status,
		"ms", time.Since(start).Milliseconds())
}

func (s *Server) live(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "ok")
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		http.Error(w, "shutting down", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := s.store.Ready(ctx); err != nil {
		s.log.Warn("not ready", "error", err)
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

func (s *Server) showVersion(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]string{"service": "grades", "version": s.version})
}

func (s *Server) courses(w http.ResponseWriter, r *http.Request) {
	courses, err := s.store.Courses(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"courses": courses})
}

func (s *Server) enrol(w http.ResponseWriter, r *http.Request) {
	if !s.authorised(r) {
		refuse(w, http.StatusUnauthorized, "a valid bearer token is needed")
		return
	}
	var request struct{ Student, Course string }
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&request); err != nil {
		refuse(w, http.StatusBadRequest, "the body is not an enrolment: "+err.Error())
		return
	}
	student, err := academy.Student(request.Student)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	points := academy.PlacementPoints(student, request.Course)
	enrolment, created, err := s.store.Enrol(r.Context(), student, request.Course, points)
	switch {
	case errors.Is(err, academy.ErrNoSuchCourse):
		refuse(w, http.StatusUnprocessableEntity, fmt.Sprintf("no such course: %q", request.Course))
	case err != nil:
		s.fail(w, r, err)
	case created:
		s.log.Info("enrolled", "student", enrolment.Student, "course", enrolment.Course, "grade", enrolment.Grade)
		reply(w, http.StatusCreated, enrolment)
	default:
		reply(w, http.StatusOK, enrolment)
	}
}

func (s *Server) authorised(r *http.Request) bool {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return found && subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) == 1
}

func (s *Server) grades(w http.ResponseWriter, r *http.Request) {
	student, err := academy.Student(r.PathValue("student"))
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	grades, err := s.store.Grades(r.Context(), student)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"student": student, "grades": grades})
}

func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	terms := defaultTerms
	if given := r.URL.Query().Get("terms"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 || n > maxTerms {
			refuse(w, http.StatusBadRequest, fmt.Sprintf("terms is %q, want a number from 1 to %d", given, maxTerms))
			return
		}
		terms = n
	}
	statistics, err := s.store.Statistics(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	courses, err := forecast.Courses(r.Context(), statistics, terms)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"terms": terms, "courses": courses})
}

// fail answers a request that failed through no fault of its sender. The cause
// goes to the log only.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // The sender has gone; nobody reads an answer.
	}
	s.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	refuse(w, http.StatusServiceUnavailable, "the grades are not available at the moment")
}

func refuse(w http.ResponseWriter, status int, message string) {
	reply(w, status, map[string]string{"error": message})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here means that the connection is gone, which the server logs by itself.
	_ = json.NewEncoder(w).Encode(body)
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}
