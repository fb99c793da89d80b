// Package file is the output that appends events to a file, one to a line, or
// to standard output.
//
// It guarantees that a Send that returned nil has its events in the file and
// fsynced, with the directory entries that lead to them, and that a batch that
// failed leaves nothing behind: the file is cut back to where the batch began. A
// failed fsync is never taken for a success and never asked again, because the
// kernel may have dropped the data: the file is opened anew, cut back, and the
// whole batch is an error. Batches are never split over two files. What a crash
// leaves is a complete file but for its last line, which is cut when the file is
// opened next: the relay sends that event again.
//
// The file may be renamed or removed under it (logrotate's create): it notices
// before the next batch. Truncating it (copytruncate) loses what was written
// between the copy and the cut, so don't.
//
// It refuses to know formats: a body is bytes without a line ending.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/siemrelay/siemrelay/outputs"
)

// Options are what an output needs besides its configuration.
type Options struct {
	// Stdout is where path "-" writes. Outputs that share it need a writer that
	// is safe for concurrent use, as os.Stdout is. Nil is os.Stdout.
	Stdout io.Writer
	// FS is the file system, nil for the real one.
	FS FS
	// Logger is told of torn lines that were cut and of rotations. Nil discards.
	Logger *slog.Logger
}

// New makes an output from a configuration. It opens nothing; the error is about
// the configuration.
func New(c Config, o Options) (outputs.Output, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Path == "-" {
		if o.Stdout == nil {
			o.Stdout = os.Stdout
		}
		return &stream{w: o.Stdout}, nil
	}
	if o.FS == nil {
		o.FS = OS{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &output{config: c, fs: o.FS, log: o.Logger.With("path", c.Path)}, nil
}

// output writes one file. Between two calls of Send either f is nil, or f is open
// and locked and its first size bytes are whole lines that are fsynced.
type output struct {
	config Config
	fs     FS
	log    *slog.Logger
	lines  lines

	f    File
	info os.FileInfo // of f when it was opened: to tell f from another file
	size int64

	// unsynced are directories with a new entry that is not yet durable.
	unsynced []string
	// leftover is what a failed batch may have left in the file; nil if nothing.
	leftover *leftover
}

// Send implements outputs.Output. A batch has one fdatasync; a disk
// that hangs is the one thing that can keep it past the end of ctx.
func (o *output) Send(ctx context.Context, batch []outputs.Message) error {
	if ctx.Err() != nil {
		return fmt.Errorf("write batch: %w", context.Cause(ctx))
	}
	size, refused := checkLines(batch)
	if size > 0 {
		if err := o.append(size, func() error { return o.lines.write(o.f, batch, refused) }); err != nil {
			return explain(err)
		}
	}
	if refused != nil {
		return refused
	}
	return nil
}

// append writes size bytes at the end of the file, durably or not at all. The errors of
// the file system say what they did and to which file.
func (o *output) append(size int, write func() error) error {
	if err := o.prepare(); err != nil {
		return err
	}
	if o.full(size) {
		if err := o.rotate(); err != nil {
			return err
		}
	}
	err := write()
	if errors.Is(err, io.ErrShortWrite) {
		err = fmt.Errorf("write %s: %w", o.config.Path, err)
	}
	if err != nil {
		return o.undo(err)
	}
	if err := o.f.Sync(); err != nil {
		return o.startOver(err)
	}
	o.size += int64(size)
	return nil
}

// undo cuts off what a failed write left.
func (o *output) undo(cause error) error {
	if err := o.f.Truncate(o.size); err != nil {
		return o.startOver(fmt.Errorf("%w (and cut it back: %w)", cause, err))
	}
	return cause
}

// startOver gives up a file handle that can't be trusted any more and opens the
// file anew, which cuts it back. If that fails, the next Send tries again.
func (o *output) startOver(cause error) error {
	if info, err := o.f.Stat(); err == nil {
		o.leftover = &leftover{info: info, size: o.size}
	}
	o.drop()
	if err := o.open(); err != nil {
		return fmt.Errorf("%w (and open it again: %w)", cause, err)
	}
	return cause
}

// drop closes the file, if it is open. A close has nothing left to lose: what was
// fsynced is safe, and what was not is cut off later.
func (o *output) drop() {
	if o.f != nil {
		_ = o.f.Close()
		o.f = nil
	}
}

// Close implements outputs.Output.
func (o *output) Close() error {
	if o.f == nil {
		return nil
	}
	err := o.f.Close()
	o.f = nil
	return err
}
