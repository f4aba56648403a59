package cli

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/devenv-run/devenv/devenv"
)

// pressed are the keys of `devenv dev`.
var pressed = map[byte]devenv.Key{
	'l': devenv.KeyLogs, 'r': devenv.KeyRebuild, 's': devenv.KeySettle, 'q': devenv.KeyQuit,
}

// readKeys gives the keys that are pressed on a terminal, one by one and without showing them. Ctrl-C and the like stay what they are. restore
// gives the terminal back as it was; it may be called more than once. Where in is no terminal there are no keys.
func readKeys(in *os.File) (keys <-chan devenv.Key, restore func()) {
	fd := int(in.Fd())
	if !term.IsTerminal(fd) {
		return nil, func() {}
	}
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, func() {}
	}
	now := *before
	now.Lflag &^= unix.ICANON | unix.ECHO
	now.Cc[unix.VMIN], now.Cc[unix.VTIME] = 1, 0
	now.Cc[unix.VQUIT], now.Cc[unix.VSUSP] = disabled, disabled // they would leave the terminal like this
	if err := unix.IoctlSetTermios(fd, setTermios, &now); err != nil {
		return nil, func() {}
	}
	found := make(chan devenv.Key)
	go func() { // ends with the process: a read of a terminal cannot be taken back
		b := make([]byte, 1)
		for {
			if n, err := in.Read(b); err != nil || n == 0 {
				return
			}
			if key, ok := pressed[b[0]]; ok {
				found <- key
			}
		}
	}()
	return found, sync.OnceFunc(func() { _ = unix.IoctlSetTermios(fd, setTermios, before) })
}
