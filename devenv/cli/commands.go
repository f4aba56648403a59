package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/devenv-run/devenv/devenv"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
)

func (r *runner) commands() []*cli.Command {
	commands := []*cli.Command{
		{
			Name: "up", ArgsUsage: "[SERVICE…]",
			Usage: "make the environment match the working tree, wait until it is ready, exit",
			Description: "Creates the cluster, builds, loads, applies and waits, as far as that is needed: `devenv plan` shows what it would do.\n" +
				"With services, only they are built and rolled out, with everything that belongs to no service; a pod that they share with others stays whole.\n" +
				"What is no longer declared is removed at the end, but for persistent data and for what others use.",
			Flags: []cli.Flag{dataFlag("remove what is no longer declared even if persistent data goes with it")},
			Action: r.inProject(func(i *invocation, p *devenv.Project) (devenv.Outcome, error) {
				defer i.sayStopping()()
				return p.Up(i.ctx, i.upOptions())
			}),
		},
		{
			Name: "plan", ArgsUsage: "[SERVICE…]",
			Usage: "show what `up` would do, and the cause of each step; changes nothing",
			Flags: []cli.Flag{dataFlag("as `up --data`")},
			Action: r.inProject(func(i *invocation, p *devenv.Project) (devenv.Outcome, error) {
				return p.Plan(i.ctx, i.upOptions())
			}),
		},
		{
			Name:        "render",
			Usage:       "print the objects that `up` would apply, as YAML",
			Description: "The values of Secrets are shown as hashes such as secret:1a2b3c4d: equal values have equal hashes in this environment.",
			Flags:       []cli.Flag{&cli.BoolFlag{Name: "show-secrets", Usage: "print the values of Secrets themselves"}},
			Action: r.inProject(func(i *invocation, p *devenv.Project) (devenv.Outcome, error) {
				return devenv.Outcome{}, p.Render(i.ctx, devenv.RenderOptions{ShowSecrets: i.Bool("show-secrets")})
			}),
		},
		{
			Name:  "status",
			Usage: "show cluster, nodes, services, pods and endpoints",
			Action: r.inProject(func(i *invocation, p *devenv.Project) (devenv.Outcome, error) {
				return devenv.Outcome{}, p.Status(i.ctx)
			}),
		},
		{
			Name: "logs", ArgsUsage: "[SERVICE…]",
			Usage: "print the logs of all the containers of the services",
			Flags: []cli.Flag{
				&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on with what is written from now on, in pods that come too"},
				&cli.IntFlag{Name: "tail", Usage: "only the last `N` lines of each container", DefaultText: "all"},
				&cli.DurationFlag{Name: "since", Usage: "only what is younger than this `DURATION`"},
			},
			Action: r.inProject(func(i *invocation, p *devenv.Project) (devenv.Outcome, error) {
				return devenv.Outcome{}, p.Logs(i.ctx, devenv.LogsOptions{
					Services: i.Args().Slice(), Follow: i.Bool("follow"), Tail: i.Int("tail"), Since: i.Duration("since"),
				})
			}),
		},
		{
			Name: "forward", ArgsUsage: "[SERVICE…]",
			Usage: "open the declared ports on 127.0.0.1 until Ctrl-C; they survive pod restarts",
			Action: r.inProject(func(i *invocation, p *devenv.Project) (devenv.Outcome, error) {
				return devenv.Outcome{}, p.Forward(i.ctx, i.Args().Slice())
			}),
		},
		{
			Name:  "down",
			Usage: "delete what devenv applied",
			Description: "Objects that devenv did not apply, persistent data, and the cluster itself stay, unless a flag says otherwise.\n" +
				"A cluster is only ever deleted if devenv created it.",
			Flags: []cli.Flag{
				&cli.BoolFlag{Name: "cluster", Usage: "delete the whole cluster; refused while it holds persistent data, without --data"},
				&cli.BoolFlag{Name: "data", Usage: "delete persistent data too"},
			},
			Action: r.inProject(func(i *invocation, p *devenv.Project) (devenv.Outcome, error) {
				defer i.sayStopping()()
				return p.Down(i.ctx, devenv.DownOptions{Cluster: i.Bool("cluster"), Data: i.Bool("data")})
			}),
		},
		{
			Name:  "kubeconfig",
			Usage: "print the path of the environment's own kubeconfig",
			Description: "devenv never writes your kubeconfig, and only `devenv parity --context` reads it. To use kubectl:\n\n" +
				"    KUBECONFIG=$(devenv kubeconfig) kubectl get pods -A",
			Action: r.inProject(func(i *invocation, p *devenv.Project) (devenv.Outcome, error) {
				return devenv.Outcome{}, p.Kubeconfig(i.ctx)
			}),
		},
		{
			Name:  "version",
			Usage: "print devenv's version and those of what is built in",
			Action: r.action(func(i *invocation) (devenv.Outcome, error) {
				i.view.Emit(version())
				return devenv.Outcome{}, nil
			}),
		},
		{
			Name: "completion", ArgsUsage: "SHELL",
			Usage:       "print a script for bash or zsh that completes devenv's commands and flags",
			Description: "For example in ~/.bashrc:\n\n    source <(devenv completion bash)",
			Action: r.action(func(i *invocation) (devenv.Outcome, error) {
				script, ok := completions[i.Args().First()]
				if !ok || i.NArg() != 1 {
					return devenv.Outcome{}, &fault.Error{
						Kind: fault.Config, What: "completion takes the name of one shell", Next: "Use `devenv completion bash` or `devenv completion zsh`.",
					}
				}
				i.view.Emit(event.Text{Text: script})
				return devenv.Outcome{}, nil
			}),
		},
	}
	commands = append(commands, r.historyCommands()...)
	commands = append(commands, r.parityCommands()...)
	commands = append(commands, r.lockCommands()...)
	commands = append(commands, r.whyCommands()...)
	commands = append(commands, r.devCommands()...)
	for _, c := range commands {
		taken := ""
		if c.Name == "logs" {
			taken = "f"
		}
		c.Flags = append(c.Flags, globals(taken)...)
		c.OnUsageError = onUsageError
		c.HideHelpCommand = true
		if c.ArgsUsage == "" {
			c.ArgsUsage = " "
			c.Before = refuseArguments
		}
	}
	return commands
}

func dataFlag(usage string) cli.Flag { return &cli.BoolFlag{Name: "data", Usage: usage} }

// upOptions are what `up` and `plan` are told.
func (i *invocation) upOptions() devenv.UpOptions {
	return devenv.UpOptions{Services: i.Args().Slice(), Data: i.Bool("data")}
}

// refuseArguments is for commands that take none.
func refuseArguments(c *cli.Context) error {
	if c.NArg() == 0 {
		return nil
	}
	return &fault.Error{
		Kind: fault.Config, What: c.Command.Name + " takes no argument " + c.Args().First(),
		Next: "`devenv " + c.Command.Name + " --help` shows what is accepted.",
	}
}

// completions hook the library's own completion, which answers --generate-bash-completion, into a shell.
var completions = map[string]string{
	"bash": `_devenv() {
  local words=("${COMP_WORDS[@]:0:$COMP_CWORD}") current="${COMP_WORDS[COMP_CWORD]}"
  [[ "$current" == -* ]] && words+=("$current")
  mapfile -t COMPREPLY < <(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$current")
}
complete -o default -F _devenv devenv
`,
	"zsh": `#compdef devenv
_devenv() {
  local -a found
  local current="${words[CURRENT]}"
  if [[ "$current" == -* ]]; then
    found=("${(@f)$("${words[@]:0:$CURRENT}" --generate-bash-completion 2>/dev/null)}")
  else
    found=("${(@f)$("${words[@]:0:$((CURRENT-1))}" --generate-bash-completion 2>/dev/null)}")
  fi
  [[ -n "${found[1]}" ]] && compadd -- "${found[@]%%:*}" || _files
}
compdef _devenv devenv
`,
}
