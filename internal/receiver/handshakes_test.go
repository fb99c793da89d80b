package receiver

import (
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/siemrelay/siemrelay/internal/certificate"
)

// TestTurns: a turn goes to the newest and the oldest of those who wait, in turn; each
// gets one, and none is lost.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := turns{free: 1}
		all.take()
		got := make(chan int, 4)
		for i := range 4 {
			go func() { // ends when it has had its turn
				all.take()
				got <- i
				all.give()
			}()
			synctest.Wait() // it waits for its turn
		}
		all.give()
		for _, want := range []int{3, 0, 2, 1} {
			if i := <-got; i != want {
				t.Errorf("the turn went to %d, want %d", i, want)
			}
		}
		synctest.Wait()
		if all.free != 1 || len(all.waiting) != 0 {
			t.Errorf("%d turns are free and %d wait, want 1 and 0", all.free, len(all.waiting))
		}
	})
}

// TestPlainHTTPHoldsNoTurn: a client that speaks plain HTTP to TLS has a second to read why
// it is refused, and takes that from no handshake.
func TestPlainHTTPHoldsNoTurn(t *testing.T) {
	s := newServer(t, io.Discard)
	s.certificate = &certificate.Pair{} // nobody gets so far as to see one
	free := s.handshakes.free
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }() // ends with Shutdown
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(client); err != nil || len(answer) == 0 {
		t.Errorf("answer %q, %v", answer, err)
	}
	s.handshakes.mu.Lock() // the server waits for the client's end now
	if s.handshakes.free != free {
		t.Errorf("%d turns are free, want %d", s.handshakes.free, free)
	}
	s.handshakes.mu.Unlock()
	client.Close()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
