package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// aliases are the other names of commands.
var aliases = map[string]string{"image": "images", "img": "images"}

// flags maps each spelling of a flag to its name, by the command before which or after which it stands ("" for before).
// Those in withValue take one.
var flags = map[string]map[string]string{
	"": {
		"--runtime-endpoint": "endpoint", "-r": "endpoint", "--image-endpoint": "image-endpoint", "-i": "image-endpoint",
		"--timeout": "timeout", "-t": "timeout", "--config": "config", "-c": "config", "--debug": "debug", "-D": "debug",
	},
	"inspecti": {"--output": "output", "-o": "output", "--quiet": "quiet", "-q": "quiet"},
	"images": {
		"--output": "output", "-o": "output", "--quiet": "quiet", "-q": "quiet", "--no-trunc": "no-trunc",
		"--digests": "digests", "--verbose": "verbose", "-v": "verbose",
	},
	"rmi":     {"--all": "all", "-a": "all"},
	"version": {},
}

var withValue = []string{"endpoint", "image-endpoint", "timeout", "config", "output"}

// parse understands a command line of the original's.
func parse(args []string) (call, error) {
	c := call{endpoint: defaultEndpoint, timeout: 30 * time.Second}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if !strings.HasPrefix(arg, "-") {
			if c.command != "" {
				c.names = append(c.names, arg)
				continue
			}
			c.command = arg
			if full, ok := aliases[arg]; ok {
				c.command = full
			}
			if _, known := flags[c.command]; !known {
				return c, fmt.Errorf("command %q is not in this stand-in for cri-tools; it has inspecti, images, rmi, version", arg)
			}
			continue
		}
		spelling, value, attached := strings.Cut(arg, "=")
		name, known := flags[c.command][spelling]
		if !known {
			return c, fmt.Errorf("flag %s is not in this stand-in for cri-tools", arg)
		}
		if slices.Contains(withValue, name) && !attached {
			if len(args) == 0 {
				return c, fmt.Errorf("flag %s needs a value", arg)
			}
			value, args = args[0], args[1:]
		}
		if err := c.set(name, value); err != nil {
			return c, err
		}
	}
	if c.command == "" {
		return c, errors.New("which command? inspecti, images, rmi or version")
	}
	return c, nil
}

func (c *call) set(name, value string) error {
	switch name {
	case "endpoint", "image-endpoint":
		c.endpoint = value
	case "timeout":
		timeout, err := time.ParseDuration(value)
		if err != nil {
			return fmt.Errorf("timeout: %w", err)
		}
		if timeout > 0 {
			c.timeout = timeout
		}
	case "output":
		if !slices.Contains([]string{"json", "table", ""}, value) {
			return fmt.Errorf("output %q is not in this stand-in for cri-tools; it has json and table", value)
		}
		c.output = value
	case "quiet":
		c.quiet = true
	case "all":
		c.all = true
	}
	return nil
}
