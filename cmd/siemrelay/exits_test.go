package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/internal/spool"
)

// TestExitCodesOfAStart: 78 only for what does not mend itself, for a supervisor gives
// up there.
func TestExitCodesOfAStart(t *testing.T) {
	listening := func(errno syscall.Errno) error {
		return listenFailure("receiver.listen", &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", errno)})
	}
	made := func(errno syscall.Errno) error {
		return settingsFailure(&os.PathError{Op: "open", Path: "ca.pem", Err: errno})
	}
	loading := func(path string) error {
		_, _, err := loadConfig(path, configOptions())
		return err
	}
	dir := t.TempDir()
	for _, c := range []struct {
		err  error
		want int
	}{
		{fmt.Errorf("open spool: %w: 3", spool.ErrVersion), exitConfig},
		{fmt.Errorf("open dead letters: %w", deadletter.ErrVersion), exitConfig},
		{fmt.Errorf("open spool: %w", spool.ErrLocked), exitUnavailable},
		{fmt.Errorf("open dead letters: %w", deadletter.ErrLocked), exitUnavailable},
		{listening(syscall.EADDRINUSE), exitUnavailable},
		{listening(syscall.EADDRNOTAVAIL), exitUnavailable}, // the network comes up later
		{listening(syscall.EACCES), exitConfig},
		{listening(syscall.EMFILE), exitFailure},
		{settingsFailure(errors.New("no such mechanism")), exitConfig},
		{made(syscall.ENOENT), exitConfig},
		{made(syscall.ENOSPC), exitFailure},
		{loading(dir + "/none.yaml"), exitConfig},
		{loading("/proc/self/mem"), exitFailure}, // an error of the disk, as Linux gives it there
		{fmt.Errorf("open spool: %w", spool.ErrIO), exitFailure},
		{&os.PathError{Op: "mkdir", Path: "spool", Err: syscall.EROFS}, exitFailure},
	} {
		got := exitFailure
		var coded *exitError
		if err := startFailure(c.err); errors.As(err, &coded) {
			got = coded.code
		}
		if got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
}
