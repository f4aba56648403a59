package main

import (
	"net/http"
	"os"
)

const code = "code-1"

func main() {
	http.HandleFunc("/code", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(code)) })
	http.HandleFunc("/data", func(w http.ResponseWriter, r *http.Request) { b, _ := os.ReadFile("/data/x"); w.Write(b) })
	http.HandleFunc("/assets", func(w http.ResponseWriter, r *http.Request) { b, _ := os.ReadFile("/assets/y"); w.Write(b) })
	http.ListenAndServe(":8080", nil)
}
