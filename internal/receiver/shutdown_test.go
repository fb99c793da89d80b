package receiver_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/receiver"
)

func TestShutdownAnswersWhatIsInHand(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			d := open(t, secure, nil)
			busy, other, retry, bystander := keepAlive(t, d), keepAlive(t, d), keepAlive(t, d), keepAlive(t, d)
			other.request = d.request(`{"new":1}`)
			retry.request = d.request(`{"again":1}`)
			entered, release := make(chan struct{}, 9), make(chan struct{})
			d.store.before = func(body []byte) error {
				switch {
				case strings.Contains(string(body), "new"):
					return errors.New("append event: the spool is closed")
				case strings.Contains(string(body), "again"):
					return nil
				}
				entered <- struct{}{}
				<-release
				return nil
			}
			inHand := make(chan *http.Response, 1)
			go func() { inHand <- busy.send(t) }()
			<-entered

			stopped := make(chan error, 1)
			go func() { stopped <- d.server.Shutdown(context.Background()) }()
			eventually(t, "new connections are refused", func() bool {
				c, err := net.Dial("tcp", d.Address)
				if err == nil {
					c.Close()
				}
				return err != nil
			})
			// The store decides, and then the connection ends.
			for sender, want := range map[*client]int{other: http.StatusServiceUnavailable, retry: http.StatusOK} {
				if got := sender.send(t); got.StatusCode != want || !got.Close {
					t.Errorf("a request on an open connection got %d %v, want %d", got.StatusCode, got.Header, want)
				}
			}
			select {
			case err := <-stopped:
				t.Fatalf("stopped with a request in hand: %v", err)
			default:
			}
			close(release)
			if got := <-inHand; got.StatusCode != http.StatusOK || !got.Close {
				t.Errorf("the request in hand got %d, and its connection closes: %v", got.StatusCode, got.Close)
			}
			if err := <-stopped; err != nil {
				t.Errorf("shutdown: %v", err)
			}
			if n, _ := bystander.Read(make([]byte, 1)); n != 0 {
				t.Error("an idle connection got bytes")
			}
			if len(d.store.stored()) != 6 {
				t.Errorf("%d stored", len(d.store.stored()))
			}
			if err := d.server.Shutdown(context.Background()); err != nil {
				t.Errorf("a second shutdown: %v", err)
			}
			ln := listen(t)
			if err := d.server.Serve(ln); !errors.Is(err, receiver.ErrStopped) {
				t.Errorf("serve after shutdown: %v", err)
			}
		})
	}
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	d := open(t, false, nil)
	stuck := keepAlive(t, d)
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	d.store.before = func([]byte) error {
		close(entered)
		<-release
		return nil
	}
	if _, err := stuck.Write([]byte(stuck.request)); err != nil {
		t.Fatal(err)
	}
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := d.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	if n, err := stuck.in.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the connection is still open: %d, %v", n, err)
	}
}

func TestShutdownBeforeServe(t *testing.T) {
	server, err := receiver.New(receiver.Options{InsecureNoAuth: true, Store: &recorder{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := server.Serve(listen(t)); !errors.Is(err, receiver.ErrStopped) {
		t.Errorf("serve: %v", err)
	}
}
