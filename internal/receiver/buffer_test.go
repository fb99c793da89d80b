package receiver_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/siemrelay/siemrelay/internal/receiver"
)

// sloppy is a Store that keeps the caller's memory, which it must not.
type sloppy struct {
	*recorder
	mu   sync.Mutex
	kept [][]byte
}

func (s *sloppy) Append(body []byte) (receiver.Receipt, error) {
	s.mu.Lock()
	s.kept = append(s.kept, body)
	s.mu.Unlock()
	return s.recorder.Append(body)
}

// TestBodyIsReusedAfterAppend shows a Store that keeps what it was lent another
// event's bytes in it. Without that, no test could tell whether a Store copies.
func TestBodyIsReusedAfterAppend(t *testing.T) {
	store := &sloppy{recorder: &recorder{}}
	d := open(t, false, func(o *receiver.Options) { o.Store = store })
	c := keepAlive(t, d)
	for i := range 500 { // the pool may let go of a buffer now and then
		c.request = d.request(fmt.Sprintf(`{"id":"%06d"}`, i))
		c.again(t)
		for j, kept := range store.kept { // nobody else is sending
			if !bytes.Equal(kept, store.stored()[j]) {
				return
			}
		}
	}
	t.Error("no body's memory was used again in 500 requests")
}

// TestBodyIsValidDuringAppend would fail if a body's memory went back to the
// pool while the store is at work: the deliveries of others would be in it.
func TestBodyIsValidDuringAppend(t *testing.T) {
	d := open(t, false, nil)
	slow, other := keepAlive(t, d), keepAlive(t, d)
	for i := range 100 {
		entered, release := make(chan struct{}), make(chan struct{})
		want := fmt.Sprintf(`{"slow":"%06d"}`, i)
		d.store.before = func(body []byte) error {
			if !strings.Contains(string(body), "slow") {
				return nil
			}
			close(entered)
			<-release
			if string(body) != want {
				t.Errorf("round %d: the body became %q", i, body)
			}
			return nil
		}
		if _, err := io.WriteString(slow, d.request(want)); err != nil {
			t.Fatal(err)
		}
		<-entered
		for range 4 {
			other.request = d.request(fmt.Sprintf(`{"else":"%06d"}`, i))
			other.again(t)
		}
		close(release)
		answer, err := http.ReadResponse(slow.in, nil)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("answer %v, %v", answer, err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
	}
}
