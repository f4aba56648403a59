package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/academy/grades/internal/academy"
)

const token = "test-token"

func TestEnrolmentGetsAGrade(t *testing.T) {
	server := newServer(t, &memoryStore{})

	status, body := post(t, server, token, `{"student": "  Ada   Lovelace ", "course": "go-services"}`)
	if status != http.StatusCreated {
		t.Fatalf("first enrolment: status %d, %v", status, body)
	}
	if body["student"] != "Ada Lovelace" || body["grade"] == "" {
		t.Errorf("enrolment is %v, want Ada Lovelace with a grade", body)
	}

	status, again := post(t, server, token, `{"student": "Ada Lovelace", "course": "go-services"}`)
	if status != http.StatusOK || again["grade"] != body["grade"] {
		t.Errorf("second enrolment: status %d, grade %v; want 200 and %v", status, again["grade"], body["grade"])
	}

	status, grades := get(t, server, "/v1/students/Ada%20Lovelace/grades")
	if list, _ := grades["grades"].([]any); status != http.StatusOK || len(list) != 1 {
		t.Errorf("grades: status %d, %v; want the one enrolment", status, grades)
	}
}

func TestEnrolmentIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		token, body string
		want        int
	}{
		"without a token":      {"", `{"student": "Ada", "course": "go-services"}`, http.StatusUnauthorized},
		"with a wrong token":   {"guess", `{"student": "Ada", "course": "go-services"}`, http.StatusUnauthorized},
		"not JSON":             {token, `student=Ada`, http.StatusBadRequest},
		"with unknown fields":  {token, `{"student": "Ada", "course": "go-services", "points": 100}`, http.StatusBadRequest},
		"with a huge body":     {token, `{"student": "` + strings.Repeat("a", maxBody) + `"}`, http.StatusBadRequest},
		"without a name":       {token, `{"student": " ", "course": "go-services"}`, http.StatusUnprocessableEntity},
		"in an unknown course": {token, `{"student": "Ada", "course": "alchemy"}`, http.StatusUnprocessableEntity},
	} {
		t.Run(name, func(t *testing.T) {
			store := &memoryStore{}
			status, body := post(t, newServer(t, store), test.token, test.body)
			if status != test.want || body["error"] == "" {
				t.Errorf("status %d, %v; want %d and an error", status, body, test.want)
			}
			if len(store.enrolments) != 0 {
				t.Errorf("stored %v", store.enrolments)
			}
		})
	}
}

func TestAStudentWithoutEnrolmentsHasAnEmptyList(t *testing.T) {
	status, body := get(t, newServer(t, &memoryStore{}), "/v1/students/Nobody/grades")
	if list, isList := body["grades"].([]any); status != http.StatusOK || !isList || len(list) != 0 {
		t.Errorf("status %d, %v; want an empty list", status, body)
	}
}

func TestReportCoversEveryCourse(t *testing.T) {
	server := newServer(t, &memoryStore{})
	status, body := get(t, server, "/v1/report?terms=10")
	if list, _ := body["courses"].([]any); status != http.StatusOK || len(list) != 2 {
		t.Errorf("status %d, %v; want two courses", status, body)
	}
	for _, terms := range []string{"0", "-1", "many", "20001"} {
		if status, _ := get(t, server, "/v1/report?terms="+terms); status != http.StatusBadRequest {
			t.Errorf("terms=%s: status %d, want 400", terms, status)
		}
	}
}

func TestADatabaseErrorStaysInside(t *testing.T) {
	server := newServer(t, &memoryStore{err: errors.New("password authentication failed for user")})
	for _, path := range []string{"/v1/courses", "/v1/students/Ada/grades", "/v1/report"} {
		status, body := get(t, server, path)
		if status != http.StatusServiceUnavailable || strings.Contains(body["error"].(string), "password") {
			t.Errorf("%s: status %d, %v; want 503 without the cause", path, status, body)
		}
	}
}

func TestProbes(t *testing.T) {
	store := &memoryStore{}
	server := newServer(t, store)
	expect := func(when, path string, want int) {
		t.Helper()
		if status, _ := request(t, server, httptest.NewRequest("GET", path, nil)); status != want {
			t.Errorf("%s: %s answers %d, want %d", when, path, status, want)
		}
	}
	expect("normally", "/readyz", http.StatusOK)
	store.err = errors.New("connection refused")
	expect("without a database", "/readyz", http.StatusServiceUnavailable)
	expect("without a database", "/livez", http.StatusOK)
	store.err = nil
	server.Drain()
	expect("while draining", "/readyz", http.StatusServiceUnavailable)
	expect("while draining", "/livez", http.StatusOK)
	expect("while draining", "/v1/courses", http.StatusOK)
}

func newServer(t *testing.T, store Store) *Server {
	t.Helper()
	return New(store, token, "test", slog.New(slog.NewTextHandler(io.Discard, nil)))
}

func get(t *testing.T, server *Server, path string) (int, map[string]any) {
	t.Helper()
	return jsonRequest(t, server, httptest.NewRequest("GET", path, nil))
}

func post(t *testing.T, server *Server, token, body string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest("POST", "/v1/enrolments", strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return jsonRequest(t, server, r)
}

func jsonRequest(t *testing.T, server *Server, r *http.Request) (int, map[string]any) {
	t.Helper()
	status, body := request(t, server, r)
	var decoded map[string]any
	if err := json.Unmarshal(body, &decoded); err != nil {
		t.Fatalf("%s %s answers %q, not JSON: %v", r.Method, r.URL, body, err)
	}
	return status, decoded
}

func request(t *testing.T, server *Server, r *http.Request) (int, []byte) {
	t.Helper()
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// memoryStore offers two courses. With err set, everything fails.
type memoryStore struct {
	err        error
	enrolments []academy.Enrolment
}

var offered = []academy.Course{
	{ID: "go-services", Title: "Services in Go", Topics: []string{"go", "http"}},
	{ID: "sql-basics", Title: "SQL from the start", Topics: []string{"sql"}},
}

func (m *memoryStore) Ready(context.Context) error { return m.err }

func (m *memoryStore) Courses(context.Context) ([]academy.Course, error) { return offered, m.err }

func (m *memoryStore) Enrol(_ context.Context, student, course string, points int) (academy.Enrolment, bool, error) {
	for _, e := range m.enrolments {
		if e.Student == student && e.Course == course {
			return e, false, m.err
		}
	}
	for _, c := range offered {
		if c.ID == course {
			e := academy.Enrolment{Student: student, Course: course, Title: c.Title, Points: points, Grade: academy.Letter(points)}
			m.enrolments = append(m.enrolments, e)
			return e, true, m.err
		}
	}
	return academy.Enrolment{}, false, academy.ErrNoSuchCourse
}

func (m *memoryStore) Grades(_ context.Context, student string) ([]academy.Enrolment, error) {
	grades := []academy.Enrolment{}
	for _, e := range m.enrolments {
		if e.Student == student {
			grades = append(grades, e)
		}
	}
	return grades, m.err
}

func (m *memoryStore) Statistics(context.Context) ([]academy.Statistics, error) {
	return []academy.Statistics{{Course: "go-services"}, {Course: "sql-basics"}}, m.err
}
