package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The files migrations/NNNN_name.sql are applied in the order of their numbers,
// each in one transaction and once. While a new version rolls out, pods of the
// old one still use the database: a migration may add, but not take away what
// the version before it needs.
//
//go:embed migrations/*.sql
var files embed.FS

const (
	// lockKey is the advisory lock that keeps two migrations from running at once.
	lockKey = 0x61636164656d79

	retryInterval = time.Second

	undefinedTable = "42P01"
)

type migration struct {
	version int
	name    string
	sql     string
}

// migrations lists the embedded files. It panics on a badly named one, which the tests find.
func migrations() []migration {
	entries, err := fs.ReadDir(files, "migrations") // Sorted by name.
	if err != nil {
		panic(err)
	}
	list := make([]migration, 0, len(entries))
	for i, entry := range entries {
		number, _, _ := strings.Cut(entry.Name(), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			panic(fmt.Sprintf("migrations/%s: want number %04d", entry.Name(), i+1))
		}
		sql, err := fs.ReadFile(files, "migrations/"+entry.Name())
		if err != nil {
			panic(err)
		}
		list = append(list, migration{version: version, name: strings.TrimSuffix(entry.Name(), ".sql"), sql: string(sql)})
	}
	return list
}

func latest() int { return len(migrations()) }

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// schemaVersion is the number of the last migration that was applied, 0 for an empty database.
func schemaVersion(ctx context.Context, db querier) (int, error) {
	var version int
	err := db.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM schema_migrations`).Scan(&version)
	var pgError *pgconn.PgError
	if errors.As(err, &pgError) && pgError.Code == undefinedTable {
		return 0, nil
	}
	return version, err
}

// Migrate brings the schema up to date. It waits for the database as long as
// the context lasts, then applies what is missing.
func Migrate(ctx context.Context, log *slog.Logger) error {
	conn, err := connect(ctx, log)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))

	// The lock goes when the connection closes.
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(lockKey)); err != nil {
		return fmt.Errorf("waiting for another migration: %w", err)
	}
	_, err = conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (
		version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`)
	if err != nil {
		return fmt.Errorf("creating the table schema_migrations: %w", err)
	}
	before, err := schemaVersion(ctx, conn)
	if err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	for _, m := range migrations() {
		if m.version <= before {
			continue
		}
		if err := apply(ctx, conn, m); err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
		log.Info("migration applied", "migration", m.name)
	}
	log.Info("schema is up to date", "before", before, "now", max(before, latest()))
	return nil
}

func apply(ctx context.Context, conn *pgx.Conn, m migration) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, m.sql); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO schema_migrations (version, name) VALUES ($1, $2)`, m.version, m.name)
		return err
	})
}

// connect tries until the database answers or the context ends. Wrong
// credentials do not heal by waiting, but right after its creation a database
// may refuse them for a moment, so everything is tried again.
func connect(ctx context.Context, log *slog.Logger) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("")
	if err != nil {
		return nil, fmt.Errorf("reading the database settings from PGHOST and the like: %w", err)
	}
	config.ConnectTimeout = connectTimeout
	config.RuntimeParams["application_name"] = "grades migrate"
	for {
		conn, err := pgx.ConnectConfig(ctx, config)
		if err == nil {
			return conn, nil
		}
		if ctx.Err() == nil {
			log.Info("waiting for the database", "host", config.Host, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the database at %s did not answer in time: %w", config.Host, err)
		case <-time.After(retryInterval):
		}
	}
}
