// Package store keeps courses and enrolments in PostgreSQL. It finds the
// database by the usual variables: PGHOST, PGUSER, PGPASSWORD, PGDATABASE.
package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/academy/grades/internal/academy"
)

const (
	connectTimeout = 2 * time.Second
	maxConnections = 8

	foreignKeyViolation = "23503"
)

// Store is a pool of connections to the database.
type Store struct {
	pool *pgxpool.Pool
	// current is set once the schema has been seen to be new enough; a schema only grows.
	current atomic.Bool
}

// Open prepares the pool. It does not connect: the first use does, so that the
// service starts, and says why it is not ready, while the database is away.
func Open(ctx context.Context) (*Store, error) {
	config, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, fmt.Errorf("reading the database settings from PGHOST and the like: %w", err)
	}
	config.MaxConns = maxConnections
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.ConnConfig.RuntimeParams["application_name"] = "grades"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("preparing the database connections: %w", err)
	}
	return &Store{pool: pool}, nil
}

// Close returns when every connection is closed.
func (s *Store) Close() { s.pool.Close() }

// Ready reports whether the database answers and has the schema of this version.
func (s *Store) Ready(ctx context.Context) error {
	if s.current.Load() {
		if err := s.pool.Ping(ctx); err != nil {
			return fmt.Errorf("the database does not answer: %w", err)
		}
		return nil
	}
	version, err := schemaVersion(ctx, s.pool)
	if err != nil {
		return fmt.Errorf("the database does not answer: %w", err)
	}
	if want := latest(); version < want {
		return fmt.Errorf("the database has schema version %d, this program needs %d: run 'grades migrate'", version, want)
	}
	s.current.Store(true)
	return nil
}

// Courses returns the courses on offer, by title.
func (s *Store) Courses(ctx context.Context) ([]academy.Course, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, title, topics FROM courses ORDER BY title`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[academy.Course])
}

// Enrol stores an enrolment, or finds the one that is there.
func (s *Store) Enrol(ctx context.Context, student, course string, points int) (academy.Enrolment, bool, error) {
	tag, err := s.pool.Exec(ctx,
		`INSERT INTO enrolments (student, course, points) VALUES ($1, $2, $3) ON CONFLICT (student, course) DO NOTHING`,
		student, course, points)
	var pgError *pgconn.PgError
	if errors.As(err, &pgError) && pgError.Code == foreignKeyViolation {
		return academy.Enrolment{}, false, academy.ErrNoSuchCourse
	}
	if err != nil {
		return academy.Enrolment{}, false, err
	}
	e := academy.Enrolment{Student: student, Course: course}
	err = s.pool.QueryRow(ctx,
		`SELECT c.title, e.points FROM enrolments e JOIN courses c ON c.id = e.course WHERE e.student = $1 AND e.course = $2`,
		student, course).Scan(&e.Title, &e.Points)
	if err != nil {
		return academy.Enrolment{}, false, err
	}
	e.Grade = academy.Letter(e.Points)
	return e, tag.RowsAffected() == 1, nil
}

// Grades returns a student's enrolments, oldest first.
func (s *Store) Grades(ctx context.Context, student string) ([]academy.Enrolment, error) {
	rows, err := s.pool.Query(ctx,
		`SELECT e.student, e.course, c.title, e.points FROM enrolments e JOIN courses c ON c.id = e.course
		 WHERE e.student = $1 ORDER BY e.enrolled_at, e.course`, student)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (academy.Enrolment, error) {
		var e academy.Enrolment
		err := row.Scan(&e.Student, &e.Course, &e.Title, &e.Points)
		e.Grade = academy.Letter(e.Points)
		return e, err
	})
}

// Statistics describes every course, also those that nobody takes.
func (s *Store) Statistics(ctx context.Context) ([]academy.Statistics, error) {
	rows, err := s.pool.Query(ctx,
		`SELECT c.id, count(e.points), coalesce(avg(e.points), 0)::float8, coalesce(stddev_pop(e.points), 0)::float8
		 FROM courses c LEFT JOIN enrolments e ON e.course = c.id GROUP BY c.id ORDER BY c.id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[academy.Statistics])
}
