package file

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/siemrelay/siemrelay/outputs"
)

var errNotRegular = errors.New("not a regular file")

// explain turns an error that only a person can mend into NotReady, with what to
// do about it. Any other error, a full or failing disk above all, stays as it is:
// the relay sends again and goes on by itself when the disk does.
func explain(err error) error {
	var hint string
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrLocked):
		hint = "give each output a path of its own"
	case errors.Is(err, os.ErrPermission):
		hint = fmt.Sprintf("let user id %d, as which siemrelay runs, read and write the file and its directory", os.Geteuid())
	case errors.Is(err, syscall.EROFS):
		hint = "mount the file system for writing, or name a path elsewhere"
	case errors.Is(err, errNotRegular), errors.Is(err, syscall.EISDIR):
		hint = "name a file to write to, or - for standard output"
	case errors.Is(err, syscall.ENOTDIR):
		hint = "a part of the path is a file where a directory is needed"
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ELOOP):
		hint = "name a path that can be opened"
	default:
		return err
	}
	return &outputs.NotReady{Err: fmt.Errorf("%w: %s", err, hint)}
}

// notRegular describes a path that exists and is no regular file.
func notRegular(path string, info os.FileInfo) error {
	kind := info.Mode().Type().String()
	if info.IsDir() {
		kind = "a directory"
	}
	return fmt.Errorf("open %s: %w but %s", path, errNotRegular, kind)
}
