// Command grades serves the academy's enrolments and grades.
//
//	grades serve     answers HTTP requests; the default
//	grades migrate   brings the database's schema up to date, and ends
//
// Settings come from the environment: PGHOST, PGUSER, PGPASSWORD, PGDATABASE
// (both commands), API_TOKEN and LISTEN_ADDRESS (serve), MIGRATE_WAIT (migrate).
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example.com/academy/grades/internal/api"
	"example.com/academy/grades/internal/store"
)

const (
	defaultAddress     = ":8080"
	defaultMigrateWait = 90 * time.Second

	// drainTimeout must fit into the pod's terminationGracePeriodSeconds, after its preStop sleep.
	drainTimeout = 10 * time.Second
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("service", "grades", "version", version)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	command := "serve"
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	var err error
	switch command {
	case "serve":
		err = serve(ctx, log)
	case "migrate":
		err = migrate(ctx, log)
	default:
		err = fmt.Errorf("unknown command %q: want serve or migrate", command)
	}
	if err != nil {
		log.Error(command+" failed", "error", err)
		os.Exit(1)
	}
}

func migrate(ctx context.Context, log *slog.Logger) error {
	wait := defaultMigrateWait
	if given := os.Getenv("MIGRATE_WAIT"); given != "" {
		var err error
		if wait, err = time.ParseDuration(given); err != nil {
			return fmt.Errorf("MIGRATE_WAIT: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return store.Migrate(ctx, log)
}

func serve(ctx context.Context, log *slog.Logger) error {
	token := os.Getenv("API_TOKEN")
	if token == "" {
		return errors.New("API_TOKEN is not set")
	}
	db, err := store.Open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()

	address := os.Getenv("LISTEN_ADDRESS")
	if address == "" {
		address = defaultAddress
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	handler := api.New(db, token, version, log)
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	log.Info("listening", "address", listener.Addr().String())

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	log.Info("shutting down: finishing the requests that are under way")
	handler.Drain()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("requests were still under way after %v: %w", drainTimeout, err)
	}
	log.Info("stopped")
	return nil
}
