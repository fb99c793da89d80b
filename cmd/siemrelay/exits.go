package main

import (
	"errors"
	"syscall"

	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/internal/spool"
)

// Exit codes, as in sysexits.h. A supervisor may start serve again after each of them
// but exitConfig: what that stands for is there until a person has changed something.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 64
	exitUnavailable = 69
	exitConfig      = 78
)

// exitError ends the process with a code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// startFailure gives the error of a start its exit code. In doubt it is one after which
// a supervisor tries again: webhooks that nobody takes are forgotten by the sender.
func startFailure(err error) error {
	var coded *exitError
	switch {
	case err == nil || errors.As(err, &coded):
		return err
	case errors.Is(err, spool.ErrVersion), errors.Is(err, deadletter.ErrVersion):
		return &exitError{exitConfig, err}
	case errors.Is(err, spool.ErrLocked), errors.Is(err, deadletter.ErrLocked),
		errors.Is(err, syscall.EADDRINUSE), errors.Is(err, syscall.EADDRNOTAVAIL):
		return &exitError{exitUnavailable, err}
	}
	return err
}

// listenFailure is the error of a listener that could not be opened. That a port
// needs a right which the process lacks does not mend itself.
func listenFailure(key string, err error) error {
	err = named("open "+key, err)
	if errors.Is(err, syscall.EACCES) {
		return &exitError{exitConfig, err}
	}
	return err
}

// settingsFailure is the error of settings that could not be read, or of an output that
// could not be made from them: they are wrong, as validate says, unless the machine
// refused something.
func settingsFailure(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != syscall.ENOENT && errno != syscall.EACCES && errno != syscall.ENOTDIR && errno != syscall.EISDIR {
		return err
	}
	return &exitError{exitConfig, err}
}
