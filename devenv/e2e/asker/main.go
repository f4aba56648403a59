// Command asker keeps asking an HTTP address with new connections, as clients behind a Service do, until its standard input ends.
// It then prints what came of it as one line of JSON. Scenarios run it inside a node, where cluster addresses are reachable.
//
//	asker -url http://10.96.0.10:8080/healthz -clients 4
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// Report is what asker prints.
type Report struct {
	Requests int            `json:"requests"`
	Failed   int            `json:"failed"` // no answer, or a status of 500 and above
	Errors   map[string]int `json:"errors"` // by message
	Slowest  float64        `json:"slowestMs"`
	Bodies   map[string]int `json:"bodies"` // distinct answers and how often they came, at most 20
}

func main() {
	url := flag.String("url", "", "address to ask")
	clients := flag.Int("clients", 4, "how many ask at the same time")
	pause := flag.Duration("pause", 5*time.Millisecond, "time between two requests of a client")
	most := flag.Duration("for", 10*time.Minute, "how long to ask at most")
	flag.Parse()

	ctx, stop := context.WithTimeout(context.Background(), *most)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	r := Report{Errors: map[string]int{}, Bodies: map[string]int{}}
	var mu sync.Mutex
	var all sync.WaitGroup
	for range *clients {
		all.Go(func() {
			// Without keep-alive every request is a new connection, which is what a rollout can refuse.
			client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
			for ctx.Err() == nil {
				began := time.Now()
				body, err := ask(client, *url)
				took := float64(time.Since(began).Microseconds()) / 1000
				mu.Lock()
				r.Requests++
				r.Slowest = max(r.Slowest, took)
				if err != nil {
					r.Failed++
					r.Errors[err.Error()]++
				} else if _, known := r.Bodies[body]; known || len(r.Bodies) < 20 {
					r.Bodies[body]++
				}
				mu.Unlock()
				time.Sleep(*pause)
			}
		})
	}
	all.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func ask(client *http.Client, url string) (string, error) {
	answer, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 200))
	if err != nil {
		return "", err
	}
	if answer.StatusCode >= 500 {
		return "", fmt.Errorf("status %d: %s", answer.StatusCode, body)
	}
	return string(body), nil
}
