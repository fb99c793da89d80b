package file

import (
	"io"
	"os"
)

// FS is what the output needs of a file system, and no more, so that a test can
// make any call fail. Names are absolute or relative to the working directory.
type FS interface {
	// OpenFile opens name as os.OpenFile does.
	OpenFile(name string, flag int, perm os.FileMode) (File, error)
	// Stat follows symbolic links.
	Stat(name string) (os.FileInfo, error)
	Mkdir(name string, perm os.FileMode) error
	// Rename replaces to if it exists.
	Rename(from, to string) error
	// SyncDir makes the entries of a directory durable.
	SyncDir(name string) error
	// Writable returns an error if this process may not make files in dir.
	Writable(dir string) error
}

// File is an open file whose writes go to its end.
type File interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
	// Sync makes the data and the length durable (fdatasync).
	Sync() error
	// Lock takes an advisory lock (flock) that ends with Close. It does not
	// wait: it returns ErrLocked if somebody else has the lock.
	Lock() error
}
