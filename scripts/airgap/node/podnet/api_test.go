package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	controlJSON = `{"metadata":{"name":"control","resourceVersion":"7"},"spec":{"podCIDR":"10.244.0.0/24","podCIDRs":["10.244.0.0/24"]},
		"status":{"addresses":[{"type":"Hostname","address":"control"},{"type":"InternalIP","address":"172.18.0.2"}]}}`
	workerNew  = `{"metadata":{"name":"worker"},"spec":{},"status":{"addresses":[{"type":"InternalIP","address":"172.18.0.3"}]}}`
	workerJSON = `{"metadata":{"name":"worker"},"spec":{"podCIDR":"10.244.1.0/24"},"status":{"addresses":[{"type":"InternalIP","address":"172.18.0.3"}]}}`
)

// server answers as the API server does: a list, then a watch that sends the events and stays open.
func server(t *testing.T, events ...string) *nodeAPI {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if r.URL.Query().Get("watch") == "" {
			fmt.Fprintf(w, `{"metadata":{"resourceVersion":"42"},"items":[%s]}`, controlJSON)
			return
		}
		if version := r.URL.Query().Get("resourceVersion"); version != "42" {
			t.Errorf("watches from version %q", version)
		}
		for _, event := range events {
			fmt.Fprintln(w, event)
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	return &nodeAPI{client: s.Client(), url: s.URL + "/api/v1/nodes", token: func() (string, error) { return "secret", nil }}
}

func event(kind, object string) string { return fmt.Sprintf(`{"type":%q,"object":%s}`, kind, object) }

// TestFollow: from the list and every change of it, the whole state, and only when something changed that matters.
func TestFollow(t *testing.T) {
	api := server(t, event("ADDED", workerNew), event("MODIFIED", controlJSON), event("MODIFIED", workerJSON),
		event("BOOKMARK", `{"metadata":{"resourceVersion":"50"}}`), event("DELETED", workerJSON))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var states []string
	err := follow(ctx, api, time.Hour, func(nodes []Node) error {
		var texts []string
		for _, node := range nodes {
			texts = append(texts, fmt.Sprint(node.Name, node.PodCIDRs))
		}
		states = append(states, strings.Join(texts, " "))
		if len(states) == 4 {
			cancel()
		}
		return errNotReady // is no reason to start over
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "control[10.244.0.0/24]; control[10.244.0.0/24] worker[]; control[10.244.0.0/24] worker[10.244.1.0/24]; control[10.244.0.0/24]"
	if got := strings.Join(states, "; "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFollowOnceEndsAfterAnInterval(t *testing.T) {
	applied := 0
	if err := followOnce(t.Context(), server(t), 10*time.Millisecond, func([]Node) error { applied++; return nil }); err != nil {
		t.Fatal(err)
	}
	if applied != 1 {
		t.Errorf("applied %d times", applied)
	}
}

func TestFollowOnceTellsWhatFails(t *testing.T) {
	tests := map[string]struct {
		api   *nodeAPI
		apply error
		want  string
	}{
		"the server refuses":    {api: unauthorized(t), want: "401 Unauthorized: who are you?"},
		"the version is gone":   {api: server(t, event("ERROR", `{"code":410,"message":"too old"}`)), want: "too old"},
		"an address is none":    {api: server(t, event("ADDED", strings.Replace(workerJSON, "172.18.0.3", "here", 1))), want: "node worker"},
		"a range is none":       {api: server(t, event("ADDED", strings.Replace(workerJSON, "10.244.1.0/24", "all", 1))), want: "node worker"},
		"applying fails at all": {api: server(t), apply: errors.New("no iptables"), want: "no iptables"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := followOnce(t.Context(), test.api, time.Hour, func([]Node) error { return test.apply })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one that says %s", err, test.want)
			}
		})
	}
}

// TestFollowOnceAfterAChangeThatFails: the watch ends at once, so that all is tried again.
func TestFollowOnceAfterAChangeThatFails(t *testing.T) {
	calls := 0
	err := followOnce(t.Context(), server(t, event("ADDED", workerJSON)), time.Hour, func([]Node) error {
		if calls++; calls == 2 {
			return errors.New("no route")
		}
		return nil
	})
	if err == nil || err.Error() != "no route" {
		t.Errorf("error is %v", err)
	}
}

func unauthorized(t *testing.T) *nodeAPI {
	api := server(t)
	api.token = func() (string, error) { return "wrong", nil }
	return api
}
