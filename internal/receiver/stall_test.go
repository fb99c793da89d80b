package receiver_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/receiver"
)

// short makes a server impatient.
func short(o *receiver.Options) {
	o.ReadTimeout, o.WriteTimeout, o.IdleTimeout = 300*time.Millisecond, 300*time.Millisecond, 200*time.Millisecond
}

// TestStalledClientsAreCut has one client of each kind, all at once, and a good
// one that must not notice them. A client that the server does not cut makes
// the test time out: patience is far longer than the server's.
func TestStalledClientsAreCut(t *testing.T) {
	const patience = 20 * time.Second
	login := "Authorization: Basic " + basic(username, password) + "\r\n"
	head := "POST /webhooks/defense HTTP/1.1\r\nHost: h\r\n" + login
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			t.Parallel()
			d := open(t, secure, short)
			for _, c := range []struct {
				name, at, slowly string // sent at once, then a byte every 50 ms
				want             int    // 0: closed without an answer
			}{
				{"nothing", "", "", 408},
				{"slow request line", "", head, 408},
				{"slow headers", "POST /webhooks/defense HTTP/1.1\r\n", "Host: h\r\nX: " + strings.Repeat("x", 500), 408},
				{"slow body", head + "Content-Length: 500\r\n\r\n{", strings.Repeat(" ", 499), 408},
				{"no body", head + "Content-Length: 500\r\n\r\n", "", 408},
				{"slow chunks", head + "Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\n \r\n", 200), 408},
				{"stops in a chunk size", head + "Transfer-Encoding: chunked\r\n\r\n1", "", 408},
				{"slow gzip", head + "Content-Encoding: gzip\r\nContent-Length: 500\r\n\r\n\x1f\x8b\x08\x00", strings.Repeat("\x00", 496), 408},
				{"expects to continue", head + "Expect: 100-continue\r\nContent-Length: 9\r\n\r\n", "", 408},
				{"idle after a request", head + "Content-Length: 2\r\n\r\n{}", "", 200},
			} {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					conn := dial(t, d, patience)
					var writer sync.WaitGroup
					defer writer.Wait()
					defer conn.Close()
					writer.Go(func() { trickle(conn, c.at, c.slowly) })
					if got := lastStatus(t, conn); got != c.want {
						t.Errorf("answer %d, want %d", got, c.want)
					}
				})
			}
			t.Run("a good client meanwhile", func(t *testing.T) {
				t.Parallel()
				for range 20 {
					d.mustAccept(t)
				}
			})
		})
	}
}

// trickle sends until the server has had enough.
func trickle(conn net.Conn, at, slowly string) {
	if _, err := io.WriteString(conn, at); err != nil {
		return
	}
	for i := range len(slowly) {
		time.Sleep(50 * time.Millisecond) // it is what a slow client does
		if _, err := conn.Write([]byte{slowly[i]}); err != nil {
			return
		}
	}
}

func dial(t *testing.T, d *door, patience time.Duration) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", d.Address)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return over(conn, d.TLS)
}

// over puts TLS over a client's connection, unless config is nil.
func over(conn net.Conn, config *tls.Config) net.Conn {
	if config == nil {
		return conn
	}
	return tls.Client(conn, config)
}

// lastStatus reads until the server closes; it is 0 if there was no answer.
func lastStatus(t *testing.T, conn net.Conn) int {
	t.Helper()
	in := bufio.NewReader(conn)
	last := 0
	for {
		answer, err := http.ReadResponse(in, nil)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatal("the server did not cut the connection")
		}
		if err != nil {
			return last
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		if answer.StatusCode >= 200 {
			last = answer.StatusCode
		}
	}
}

// TestStalledHandshakesAreCut stalls below TLS.
func TestStalledHandshakesAreCut(t *testing.T) {
	d := open(t, true, short)
	for name, sent := range map[string]string{
		"nothing":              "",
		"half a record":        "\x16\x03\x01\x02",
		"half a ClientHello":   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"garbage":              strings.Repeat("\x00garbage", 100),
		"the end of the world": "\x15\x03\x03\x00\x02\x02\x50",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", d.Address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, conn)
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Error("the server did not cut the connection")
			}
		})
	}
}

func TestPlainHTTPOnTheTLSPort(t *testing.T) {
	d := open(t, true, nil)
	d.TLS = nil
	got := d.send(t, "POST $PATH HTTP/1.1\r\nHost: $HOST\r\nAuthorization: $AUTH\r\nContent-Length: 2\r\n\r\n{}")
	if len(got.Statuses) != 1 || got.Statuses[0] != 400 || !strings.Contains(got.Body, "https") {
		t.Errorf("answer %v %q", got.Statuses, got.Body)
	}
	if len(d.store.stored()) != 0 {
		t.Error("a plain request was stored")
	}
}

func TestTLSVersionsAndProtocols(t *testing.T) {
	d := open(t, true, nil)
	trust := d.TLS
	for _, c := range []struct {
		name   string
		change func(*tls.Config)
		ok     bool
	}{
		{"TLS 1.3", func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, true},
		{"TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, true},
		{"TLS 1.1", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false},
		{"offers h2 and http/1.1", func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }, true},
		{"offers only h2", func(c *tls.Config) { c.NextProtos = []string{"h2"} }, false},
	} {
		config := trust.Clone()
		c.change(config)
		conn, err := tls.Dial("tcp", d.Address, config)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			if p := conn.ConnectionState().NegotiatedProtocol; p != "" && p != "http/1.1" {
				t.Errorf("%s: negotiated %q", c.name, p)
			}
			conn.Close()
		}
	}
	d.mustAccept(t)
}

// TestIdleConnectionsDoNotHarm holds thousands of connections that do nothing.
func TestIdleConnectionsDoNotHarm(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	idle := int(min(2000, limit.Cur/3)) // each takes two descriptors here
	d := open(t, false, nil)
	for range idle {
		conn, err := net.Dial("tcp", d.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	eventually(t, "all of them are accepted", func() bool {
		return int(d.metric(t, "siemrelay_receiver_connections")) == idle
	})
	for range 50 {
		d.mustAccept(t)
	}
}

// TestStalledHandshakesHoldNoTurn: few handshakes compute at a time, and one that
// waits for its client is none of them, wherever it stalls.
func TestStalledHandshakesHoldNoTurn(t *testing.T) {
	d := open(t, true, func(o *receiver.Options) { o.ReadTimeout = time.Hour }) // none is cut meanwhile
	for _, sent := range []string{"", "\x16\x03\x01\x02", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"} {
		for range 100 {
			conn, err := net.Dial("tcp", d.Address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
		}
	}
	// These send a whole ClientHello and do not read on.
	for range 100 {
		conn := dial(t, d, 20*time.Second).(*tls.Conn)
		defer conn.Close()
		if err := conn.SetReadDeadline(time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := conn.Handshake(); err == nil {
			t.Fatal("the handshake got through without reading")
		}
	}
	eventually(t, "all of them are accepted", func() bool {
		return d.metric(t, "siemrelay_receiver_connections") == 400
	})
	for range 20 {
		d.mustAccept(t)
	}
}
