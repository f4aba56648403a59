// Tool is what the builds of the tests run: an image of it needs no base image and no shell.
package main

import (
	"errors"
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
	case "change": // instructions: two words each
		change(os.Args[2:])
	case "caps":
		data, _ := os.ReadFile("/proc/self/status")
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(line, "Cap") {
				fmt.Print(line)
			}
		}
	}
}

// change does what a step of a build may do to files.
func change(words []string) {
	for ; len(words) > 1; words = words[2:] {
		how, name := words[0], words[1]
		var err error
		switch how {
		case "remove":
			err = os.RemoveAll(name)
		case "setuid":
			err = os.Chmod(name, 0o755|os.ModeSetuid)
		case "link":
			err = os.Link(name, name+".link")
		case "replace": // a directory
			err = errors.Join(os.RemoveAll(name), os.Mkdir(name, 0o755))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
