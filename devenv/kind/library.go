package kind

import (
	"fmt"
	"os"
	"strings"
	"unicode"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/exec"
	"sigs.k8s.io/kind/pkg/log"

	"github.com/devenv-run/devenv/devenv/engine"
)

// library is kind's own code. It has three properties that the rest of the package works around: no context (Create removes the
// containers under it to stop it), no output but a logger, and child processes that inherit this process's environment.
type library struct {
	environ []string // the engine's address, and what is pinned
}

// create is a provisioner. On failure it leaves the containers for the caller to look into and to remove.
func (l library) create(c *v1alpha4.Cluster, kubeconfig string, report engine.Report) error {
	if err := l.adopt(); err != nil {
		return err
	}
	provider := cluster.NewProvider(cluster.ProviderWithLogger(lines(report)), cluster.ProviderWithDocker())
	return provider.Create(c.Name,
		cluster.CreateWithV1Alpha4Config(c),
		cluster.CreateWithKubeconfigPath(kubeconfig),
		cluster.CreateWithRetain(true))
}

// adopt puts environ into this process's environment, the only way to tell kind and its docker commands about it. It is the one
// place where devenv changes its own environment, and it changes only what differs.
func (l library) adopt() error {
	for _, entry := range l.environ {
		name, value, _ := strings.Cut(entry, "=")
		if os.Getenv(name) == value {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("setting %s for kind: %w", name, err)
		}
	}
	return nil
}

// pinned are the variables by which kind and the tools that it calls could be led to another cluster or kind of cluster, set to what devenv
// means: its own kubeconfig, and nothing for the rest. Which engine is talked to is the Engine's to say.
func pinned(kubeconfig string) []string {
	return []string{
		"KUBECONFIG=" + kubeconfig,
		"KIND_CLUSTER_NAME=",
		"KIND_EXPERIMENTAL_PROVIDER=",
		"KIND_EXPERIMENTAL_DOCKER_NETWORK=",
	}
}

// output is what the command printed that made kind fail; empty if it was none.
func output(err error) string {
	if failed := exec.RunErrorForError(err); failed != nil {
		return string(failed.Output)
	}
	return ""
}

// stopped reports whether kind failed because the command that it ran got a signal.
func stopped(err error) bool {
	failed := exec.RunErrorForError(err)
	return failed != nil && interrupted(failed.Inner)
}

// lines is a kind logger that turns what kind tells its user into lines of progress and drops its debug output.
type lines engine.Report

// Warn implements kind's log.Logger.
func (l lines) Warn(message string) { l.tell("warning: " + message) }

// Warnf implements kind's log.Logger.
func (l lines) Warnf(format string, args ...any) { l.Warn(fmt.Sprintf(format, args...)) }

// Error implements kind's log.Logger.
func (l lines) Error(message string) { l.tell(message) }

// Errorf implements kind's log.Logger.
func (l lines) Errorf(format string, args ...any) { l.Error(fmt.Sprintf(format, args...)) }

// V implements kind's log.Logger.
func (l lines) V(level log.Level) log.InfoLogger {
	if level > 0 {
		return log.NoopInfoLogger{}
	}
	return info{l}
}

type info struct{ lines }

// Info implements kind's log.InfoLogger.
func (i info) Info(message string) { i.tell(message) }

// Infof implements kind's log.InfoLogger.
func (i info) Infof(format string, args ...any) { i.Info(fmt.Sprintf(format, args...)) }

// Enabled implements kind's log.InfoLogger.
func (info) Enabled() bool { return true }

func (l lines) tell(message string) {
	if text := plain(message); text != "" {
		l(text)
	}
}

// plain makes a line of progress of one of kind's status lines (" • Preparing nodes 📦 📦  ..."). What says that a step
// ended says nothing new.
func plain(message string) string {
	message = strings.TrimSpace(message)
	if strings.HasPrefix(message, "✓") || strings.HasPrefix(message, "✗") {
		return ""
	}
	message = strings.Map(func(r rune) rune {
		if r > unicode.MaxLatin1 && !unicode.IsLetter(r) {
			return -1
		}
		return r
	}, message)
	message = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(message), "..."))
	if first, rest, _ := strings.Cut(message, " "); rest != "" && first != strings.ToUpper(first) {
		message = strings.ToLower(first[:1]) + message[1:]
	}
	return message
}
