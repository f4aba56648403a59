// Command workload is what verify runs in pods: a server that tells what it sees of the network and of its volume.
//
//	/whoami          the pod's name, and the address from which the request came
//	/fetch?url=URL   what another workload answers
//	/lookup?name=N   addresses of a name
//	/write?text=T    keeps a text in the volume
//	/read            the text that was kept
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const kept = "/data/kept"

func main() {
	if len(os.Args) > 1 { // kubectl exec
		fmt.Println(strings.Join(os.Args[1:], " "))
		return
	}
	mux := http.NewServeMux()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	mux.HandleFunc("/whoami", func(w http.ResponseWriter, r *http.Request) {
		name, _ := os.Hostname()
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "%s %s", name, host)
	})
	mux.HandleFunc("/fetch", answer(func(r *http.Request) (string, error) {
		response, err := client.Get(r.URL.Query().Get("url"))
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		return string(text), err
	}))
	mux.HandleFunc("/lookup", answer(func(r *http.Request) (string, error) {
		addresses, err := net.DefaultResolver.LookupHost(r.Context(), r.URL.Query().Get("name"))
		return strings.Join(addresses, " "), err
	}))
	mux.HandleFunc("/write", answer(func(r *http.Request) (string, error) {
		return "written", os.WriteFile(kept, []byte(r.URL.Query().Get("text")), 0o600)
	}))
	mux.HandleFunc("/read", answer(func(*http.Request) (string, error) {
		text, err := os.ReadFile(kept)
		return string(text), err
	}))
	log.Print("serving")
	log.Fatal(http.ListenAndServe(":8080", mux))
}

// answer turns a function of a request into a handler; an error is the answer of a failed request.
func answer(f func(*http.Request) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := f(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, text)
	}
}
