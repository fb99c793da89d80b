package file

import (
	"context"
	"fmt"
	"io"

	"github.com/siemrelay/siemrelay/outputs"
)

// stream writes to standard output: no fsync, no rotation, and nothing can be
// taken back. "Safe" means here: taken by the pipe or the terminal.
type stream struct {
	w     io.Writer
	lines lines
	// torn is set when the last write ended inside a line.
	torn bool
	// late is the result of a write that a Send gave up on; nil if there is none.
	late chan error
}

// Send implements outputs.Output. A pipe that nobody reads blocks a write for as
// long as it likes, so the write has a goroutine of its own, which ends with the
// write or with the process. Send waits for it or for ctx; the next Send waits for
// it before it touches the buffer that is being written.
func (s *stream) Send(ctx context.Context, batch []outputs.Message) error {
	if s.late != nil {
		if _, err := s.wait(ctx); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("write batch: %w", context.Cause(ctx))
	}
	prefix := ""
	if s.torn {
		prefix = "\n"
	}
	text, refused := s.lines.join(batch, prefix)
	if len(text) > 0 {
		s.late = make(chan error, 1)
		go s.write(text, s.late)
		failed, err := s.wait(ctx)
		if err != nil {
			return err
		}
		if failed != nil {
			return fmt.Errorf("write standard output: %w", failed)
		}
	}
	if refused != nil {
		return refused
	}
	return nil
}

// write sends its result and touches nothing else once it has done so.
func (s *stream) write(text []byte, result chan<- error) {
	n, err := s.w.Write(text)
	if err == nil && n < len(text) {
		err = io.ErrShortWrite
	}
	if n > 0 {
		s.torn = text[min(n, len(text))-1] != '\n'
	}
	result <- err
}

// wait returns the result of the write under way; its own error is that of ctx.
func (s *stream) wait(ctx context.Context) (failed, err error) {
	select {
	case failed = <-s.late:
	default:
		select {
		case failed = <-s.late:
		case <-ctx.Done():
			return nil, fmt.Errorf("write standard output: nobody reads it: %w", context.Cause(ctx))
		}
	}
	s.late = nil
	return failed, nil
}

// Check implements outputs.Checker: there is nothing to look at.
func (s *stream) Check(context.Context) error { return nil }

// Close implements outputs.Output. Standard output is not ours to close.
func (s *stream) Close() error { return nil }
