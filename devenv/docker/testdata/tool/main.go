// Tool is what the builds of the tests run: an image of it needs no base image and no shell.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	switch os.Args[1] {
	case "print":
		fmt.Println(strings.Join(os.Args[2:], "\n"))
	case "fail":
		fmt.Fprintln(os.Stderr, strings.Join(os.Args[2:], "\n"))
		os.Exit(1)
	case "wait": // until it is killed, or for longer than any test waits
		fmt.Println("waiting")
		time.Sleep(10 * time.Minute)
	case "cat":
		for _, name := range os.Args[2:] {
			data, err := os.ReadFile(name)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Stdout.Write(data)
		}
	case "env":
		fmt.Println(os.Args[2] + "=" + os.Getenv(os.Args[2]))
	case "caps":
		data, _ := os.ReadFile("/proc/self/status")
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(line, "Cap") {
				fmt.Print(line)
			}
		}
	}
}
