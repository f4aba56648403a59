package store

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/academy/grades/internal/academy"
)

func TestMigrationsAreNumberedWithoutGaps(t *testing.T) {
	list := migrations()
	if len(list) == 0 {
		t.Fatal("there are no migrations")
	}
	for _, m := range list {
		if strings.TrimSpace(m.sql) == "" {
			t.Errorf("%s is empty", m.name)
		}
	}
}

func TestMigrateGivesUpOnADatabaseThatIsAway(t *testing.T) {
	t.Setenv("PGHOST", "127.0.0.1")
	t.Setenv("PGPORT", "1")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := Migrate(ctx, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("error is %v, want one that says that the database did not answer", err)
	}
}

// TestStore needs a PostgreSQL that it may fill: PGHOST and the like say where,
// and ACADEMY_TEST_DATABASE=1 that it may.
func TestStore(t *testing.T) {
	if os.Getenv("ACADEMY_TEST_DATABASE") == "" {
		t.Skip("ACADEMY_TEST_DATABASE is not set")
	}
	ctx := t.Context()
	for range 2 { // The second run finds nothing to do.
		if err := Migrate(ctx, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	store, err := Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for range 2 { // The second call takes the shorter way.
		if err := store.Ready(ctx); err != nil {
			t.Fatal(err)
		}
	}

	courses, err := store.Courses(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(courses, func(c academy.Course) bool {
		return c.ID == "go-services" && slices.Contains(c.Topics, "go")
	}) {
		t.Errorf("courses are %v, want go-services among them", courses)
	}

	student := "test " + time.Now().Format(time.RFC3339Nano)
	first, created, err := store.Enrol(ctx, student, "go-services", 91)
	if err != nil || !created || first.Grade != "A" || first.Title != "Services in Go" {
		t.Errorf("first enrolment: %+v, %v, %v", first, created, err)
	}
	again, created, err := store.Enrol(ctx, student, "go-services", 60)
	if err != nil || created || again != first {
		t.Errorf("second enrolment: %+v, %v, %v; want the first one", again, created, err)
	}
	if _, _, err := store.Enrol(ctx, student, "alchemy", 60); !errors.Is(err, academy.ErrNoSuchCourse) {
		t.Errorf("enrolment in an unknown course: %v, want ErrNoSuchCourse", err)
	}
	grades, err := store.Grades(ctx, student)
	if err != nil || !slices.Equal(grades, []academy.Enrolment{first}) {
		t.Errorf("grades: %v, %v; want %v", grades, err, first)
	}
	if grades, err := store.Grades(ctx, "nobody "+student); err != nil || grades == nil || len(grades) != 0 {
		t.Errorf("a stranger's grades: %#v, %v; want an empty list", grades, err)
	}
	statistics, err := store.Statistics(ctx)
	if err != nil || len(statistics) != len(courses) {
		t.Errorf("statistics: %v, %v; want one for each course", statistics, err)
	}
}
