// Command runtime-wrapper stands between the Docker Engine and runc on a machine whose capability bounding set is not
// complete. There, runc refuses every privileged container ("unable to apply caps: operation not permitted"), because
// the engine asks for all the capabilities that the kernel knows. The wrapper takes out of the OCI documents those that
// nobody on this machine can have, and then becomes runc: same process, same arguments.
//
// It is registered in the engine's daemon.json as the default runtime; scripts/setup does that, and only where
// privileged containers fail without it.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	if err := wrap(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "runtime-wrapper:", err)
		os.Exit(1)
	}
}

// wrap trims the document that the arguments name, if any, and replaces this process by runc.
func wrap(args []string) error {
	if document := documentOf(args); document != "" {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			return err
		}
		bounding, err := parseBounding(string(status))
		if err != nil {
			return err
		}
		if err := trimFile(document, bounding); err != nil {
			return err
		}
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return fmt.Errorf("find the real runtime: %w", err)
	}
	return syscall.Exec(runc, append([]string{"runc"}, args...), os.Environ())
}
