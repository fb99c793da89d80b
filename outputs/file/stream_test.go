package file_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/file"
)

func newStream(t *testing.T, w *pipe) outputs.Output {
	t.Helper()
	out, err := file.New(file.Config{Path: "-"}, file.Options{Stdout: w})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestBrokenPipe: what nobody reads is not delivered.
func TestBrokenPipe(t *testing.T) {
	w := &pipe{err: syscall.EPIPE}
	out := newStream(t, w)
	if err := send(out, "a"); !errors.Is(err, syscall.EPIPE) {
		t.Fatalf("a broken pipe gives %v", err)
	}
	w.mend()
	mustSend(t, out, "a")
	if got := w.buf.String(); got != "a\n" {
		t.Errorf("standard output has %q", got)
	}
}

// TestTornLineOnStandardOutput: half a line can't be taken back, so the next
// batch begins on a new one.
func TestTornLineOnStandardOutput(t *testing.T) {
	w := &pipe{most: 5}
	out := newStream(t, w)
	if err := send(out, "abc", "def"); err == nil {
		t.Fatal("a short write is taken for a success")
	}
	w.most = 0
	mustSend(t, out, "abc", "def")
	mustSend(t, out, "ghi")
	if got, want := w.buf.String(), "abc\nd\nabc\ndef\nghi\n"; got != want {
		t.Errorf("standard output has %q, want %q", got, want)
	}
}

// TestLateWrite: a write that Send gave up on is over before the next begins, and
// its text stays what it was.
func TestLateWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &pipe{}
		out := newStream(t, w)
		w.set(nil, true)
		for _, body := range []string{"first", "never"} {
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error)
			go func() { done <- out.Send(ctx, batchOf(body)) }()
			synctest.Wait()
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Fatalf("got the error %v, want that of the context", err)
			}
		}
		w.mend()
		mustSend(t, out, "second")
		if got, want := w.buf.String(), "first\nsecond\n"; got != want {
			t.Errorf("standard output has %q, want %q", got, want)
		}
	})
}

func TestStandardOutputRefusesLineEndings(t *testing.T) {
	w := &pipe{}
	var p *outputs.Partial
	if err := send(newStream(t, w), "a", "b\nc"); !errors.As(err, &p) || p.Results[1].Status != outputs.Refused {
		t.Errorf("got the error %v, want one message refused", err)
	}
	if got := w.buf.String(); got != "a\n" {
		t.Errorf("standard output has %q", got)
	}
}
