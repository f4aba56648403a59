package cli

import (
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// globals are the flags that every command takes, before or after its name. taken is a short name that the command itself uses
// for something else.
func globals(taken string) []cli.Flag {
	short := func(name string) []string {
		if name == taken {
			return nil
		}
		return []string{name}
	}
	const category = "GLOBAL"
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "file", Aliases: short("f"), Category: category, Usage: "the `FILE` to use instead of the devenv.yaml found upward from here; each further one is merged over it"},
		&cli.StringFlag{Name: "env", Category: category, Usage: "`NAME` of one of several environments of this project on this machine"},
		&cli.StringFlag{Name: "profile", Category: category, Usage: "`NAME` of the profile of devenv.yaml to merge over it"},
		&cli.StringFlag{Name: "output", Aliases: short("o"), Category: category, Usage: "`FORMAT` of what is printed: human, json or quiet", DefaultText: "human"},
		&cli.BoolFlag{Name: "no-color", Category: category, Usage: "no colour, also where the terminal has it"},
		&cli.BoolFlag{Name: "verbose", Aliases: short("v"), Category: category, Usage: "write the debug log to stderr too"},
		&cli.DurationFlag{Name: "timeout", Category: category, Usage: "stop after this `DURATION`, such as 10m", DefaultText: "none, and 5m for one object to become ready"},
		&cli.BoolFlag{Name: "offline", Category: category, Usage: "ask no registry"},
		&cli.BoolFlag{Name: "locked", Category: category, Usage: "fail where something is not as devenv.lock pins it (up, plan, render, why, parity, lock)"},
	}
}

// The library looks a flag up in the innermost context that declares it, set or not; these find the innermost one that set it, so that
// `devenv -o json up` and `devenv up -o json` are the same.

func lookup(c *cli.Context, name string) *cli.Context {
	for _, l := range c.Lineage() {
		if l.Command != nil && l.IsSet(name) {
			return l
		}
	}
	return nil
}

func isSet(c *cli.Context, name string) bool {
	l := lookup(c, name)
	return l != nil && l.Bool(name)
}

func str(c *cli.Context, name string) string {
	if l := lookup(c, name); l != nil {
		return l.String(name)
	}
	return ""
}

// files are those that --file names, before and after the command: the first one, and what is merged over it.
func files(c *cli.Context) (first string, over []string) {
	var all []string
	for _, l := range c.Lineage() {
		if l.Command != nil && l.IsSet("file") {
			all = append(l.StringSlice("file"), all...) // the innermost context comes first
		}
	}
	if len(all) == 0 {
		return "", nil
	}
	return all[0], all[1:]
}

func duration(c *cli.Context, name string) time.Duration {
	if l := lookup(c, name); l != nil {
		return l.Duration(name)
	}
	return 0
}

// arrange moves a command's flags before its other arguments, because the library stops looking for flags at the first of
// those. What follows "--" stays as it is.
func arrange(app *cli.App, args []string) []string {
	if len(args) == 0 {
		return args
	}
	out, rest := []string{args[0]}, args[1:]
	// Up to the command's name.
	flags := app.Flags
	for len(rest) > 0 && isFlag(rest[0]) {
		n := width(flags, rest)
		out, rest = append(out, rest[:n]...), rest[n:]
	}
	if len(rest) == 0 {
		return out
	}
	command := app.Command(rest[0])
	out, rest = append(out, rest[0]), rest[1:]
	if command == nil {
		return append(out, rest...)
	}
	var words []string
	for len(rest) > 0 && rest[0] != "--" {
		n := 1
		if isFlag(rest[0]) {
			n = width(command.Flags, rest)
			out = append(out, rest[:n]...)
		} else {
			words = append(words, rest[0])
		}
		rest = rest[n:]
	}
	return append(append(out, words...), rest...)
}

func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' && arg != "--" }

// width is how many arguments the flag at the beginning of args takes up: 2 if its value stands by itself.
func width(flags []cli.Flag, args []string) int {
	name := strings.TrimLeft(args[0], "-")
	if strings.Contains(name, "=") || len(args) == 1 {
		return 1
	}
	for _, f := range flags {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		if v, ok := f.(cli.DocGenerationFlag); ok && v.TakesValue() {
			return 2
		}
	}
	return 1
}
