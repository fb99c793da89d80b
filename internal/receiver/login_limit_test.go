package receiver_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/receiver"
)

// TestFailedLoginLimit: 429 for failures over the limit, from the headers alone;
// the right login works all the time, and other addresses are not meant.
func TestFailedLoginLimit(t *testing.T) {
	bothWays(t, func(t *testing.T, secure bool) {
		var later atomic.Int64
		d := open(t, secure, func(o *receiver.Options) {
			o.FailedLogins = 3
			begun := time.Now()
			o.Now = func() time.Time { return begun.Add(time.Duration(later.Load())) }
		})
		fail := func(from string, want int) {
			t.Helper()
			answer := wrongLogin(t, d, from)
			if answer.StatusCode != want {
				t.Errorf("a failed login from %s got %d, want %d", from, answer.StatusCode, want)
			}
			limited := want == http.StatusTooManyRequests
			if (answer.Header.Get("Retry-After") == "60") != limited || (answer.Header.Get("WWW-Authenticate") != "") == limited {
				t.Errorf("header of the %d: %v", want, answer.Header)
			}
		}
		for range 3 {
			fail("127.0.0.1", 401)
		}
		for range 4 {
			fail("127.0.0.1", 429)
			d.mustAccept(t)
		}
		fail("127.0.0.2", 401)
		later.Store(int64(time.Minute))
		fail("127.0.0.1", 401)

		for reason, want := range map[string]float64{"credentials": 5, "login_limit": 4} {
			if n := d.metric(t, "siemrelay_receiver_rejected_total", "reason="+reason); n != want {
				t.Errorf("%v counted as %s, want %v", n, reason, want)
			}
		}
		// Two addresses, and one of them a minute later again.
		if d.log.count("login failed") != 3 || d.log.count("too many failed logins") != 1 {
			t.Errorf("the log:\n%s", d.log)
		}
	})
}

// wrongLogin announces a large body that it never sends, and returns the answer,
// after which the connection must end.
func wrongLogin(t *testing.T, d *door, from string) *http.Response {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	raw, err := dialer.Dial("tcp", d.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := raw.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn := over(raw, d.TLS)
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nAuthorization: Basic %s\r\nExpect: 100-continue\r\nContent-Length: 900000\r\n\r\n", d.Path, basic(username, "wrong"))
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(answer.Body); err != nil || len(body) > 120 || !answer.Close {
		t.Errorf("answer %v, body %q, %v", answer, body, err)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("after the answer: %v", err)
	}
	return answer
}
