package spool

import "io"

// FS is the part of a file system that the spool uses. It is small so that a
// test can stand in for a disk that loses, tears, fails and fills.
type FS interface {
	// Open opens name with os.O_* flags; a new file gets mode 0600.
	Open(name string, flag int) (File, error)
	// Mkdir makes one directory, mode 0700. The error is fs.ErrExist if it is there.
	Mkdir(name string) error
	// List returns the names in a directory, sorted.
	List(dir string) ([]string, error)
	Rename(from, to string) error
	// Link gives a file a second name.
	Link(from, to string) error
	Remove(name string) error
	// SyncDir makes the entries of a directory durable.
	SyncDir(dir string) error
	// Space returns the bytes that are free for us, and those of the whole disk.
	Space(dir string) (free, total int64, err error)
	// Lock takes an exclusive lock on name, which is made if it isn't there.
	// The error is ErrLocked if another process has it.
	Lock(name string) (io.Closer, error)
}

// File is an open file of an FS.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	// Sync makes the content durable, as fdatasync does: with its size, not
	// necessarily with its times.
	Sync() error
}
