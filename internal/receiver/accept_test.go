package receiver_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/receiver"
	"github.com/siemrelay/siemrelay/internal/receiver/receivertest"
)

func TestAllow(t *testing.T) {
	for allow, want := range map[string]string{
		"":                       "2xx",
		"127.0.0.0/8":            "2xx",
		"127.0.0.1/32":           "2xx",
		"::ffff:127.0.0.0/104":   "2xx",
		"203.0.113.0/24,::/0":    "closed",
		"127.0.0.2/32":           "closed",
		"10.0.0.0/8,127.0.0.9/8": "2xx",
	} {
		t.Run(allow, func(t *testing.T) {
			d := open(t, false, func(o *receiver.Options) {
				for p := range strings.SplitSeq(allow, ",") {
					if p != "" {
						o.Allow = append(o.Allow, netip.MustParsePrefix(p))
					}
				}
			})
			for range 3 {
				if got := d.post(t, `{"id":"1"}`); got.Class() != want {
					t.Errorf("%s, want %s", got.Class(), want)
				}
			}
			refused, lines := 0.0, 0
			if want == "closed" {
				refused, lines = 3, 1
			}
			if n := d.metric(t, "siemrelay_receiver_connections_refused_total", "reason=address"); n != refused {
				t.Errorf("%v refusals counted", n)
			}
			if n := d.log.count("outside allow"); n != lines {
				t.Errorf("logged %d times", n)
			}
		})
	}
}

func TestMaxConnections(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			d := open(t, secure, func(o *receiver.Options) { o.MaxConnections = 2 })
			first, second := keepAlive(t, d), keepAlive(t, d)
			for range 3 {
				conn, err := net.Dial("tcp", d.Address)
				if err != nil {
					t.Fatal(err)
				}
				if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
					t.Fatal(err)
				}
				if secure {
					// Before TLS: not even an alert comes.
					if n, err := io.Copy(io.Discard, conn); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("%d bytes, %v; want a closed connection", n, err)
					}
					conn.Close()
					continue
				}
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(answer.Body)
				if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || !strings.Contains(string(body), `"rejected"`) {
					t.Errorf("answer %d %v %q", answer.StatusCode, answer.Header, body)
				}
				conn.Close()
			}
			if n := d.metric(t, "siemrelay_receiver_connections_refused_total", "reason=max_connections"); n != 3 {
				t.Errorf("%v counted", n)
			}
			second.again(t)
			first.Close()
			eventually(t, "there is room again", func() bool { return d.metric(t, "siemrelay_receiver_connections") == 1 })
			d.mustAccept(t)
		})
	}
}

// TestStrangersMakeRoom: a connection over max_connections takes the place of the
// oldest that has shown no login, wherever that one is, and never of one that has.
func TestStrangersMakeRoom(t *testing.T) {
	bothWays(t, func(t *testing.T, secure bool) {
		d := open(t, secure, func(o *receiver.Options) { o.MaxConnections = 4 })
		known := keepAlive(t, d)
		var strangers []net.Conn
		for _, sent := range []string{"", "POST / HTTP/1.1\r\n", "POST /webhooks/defense HTTP/1.1\r\nHost: h\r\n"} {
			conn := dial(t, d, 20*time.Second)
			defer conn.Close()
			if c, ok := conn.(*tls.Conn); ok {
				if err := c.Handshake(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
			strangers = append(strangers, conn)
		}
		eventually(t, "there is no room", func() bool { return d.metric(t, "siemrelay_receiver_connections") == 4 })
		for i, conn := range strangers {
			next := keepAlive(t, d)
			if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("stranger %d: %v, want it cut", i, err)
			}
			known.again(t)
			next.again(t)
		}
		if n := d.metric(t, "siemrelay_receiver_connections_refused_total", "reason=max_connections"); n != 3 {
			t.Errorf("%v counted, want 3", n)
		}
		// All have shown a login now.
		conn := dial(t, d, 20*time.Second)
		defer conn.Close()
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("there was room for one more")
		}
		known.again(t)
		if n := d.metric(t, "siemrelay_receiver_connections"); n != 4 {
			t.Errorf("%v connections, want 4", n)
		}
	})
}

// client is a keep-alive connection that has had its first answer.
type client struct {
	net.Conn
	in      *bufio.Reader
	request string
}

func keepAlive(t *testing.T, d *door) *client {
	t.Helper()
	c := &client{Conn: dial(t, d, 30*time.Second)}
	t.Cleanup(func() { c.Close() })
	c.in = bufio.NewReader(c)
	c.request = fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nAuthorization: Basic %s\r\nContent-Length: 2\r\n\r\n{}", d.Path, basic(username, password))
	c.again(t)
	return c
}

// again sends the request again, which has to be accepted.
func (c *client) again(t *testing.T) {
	t.Helper()
	if got := c.send(t); got.StatusCode != http.StatusOK {
		t.Fatalf("answer %d", got.StatusCode)
	}
}

// send sends the request and returns the answer, whose body has been read.
func (c *client) send(t *testing.T) *http.Response {
	t.Helper()
	if _, err := io.WriteString(c, c.request); err != nil {
		t.Error(err)
		return &http.Response{}
	}
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Error(err)
		return &http.Response{}
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Error(err)
	}
	return answer
}

// failingListener fails some times before it accepts.
type failingListener struct {
	net.Listener
	failures atomic.Int32
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestAcceptErrorsPass(t *testing.T) {
	d := &door{store: &recorder{}, log: &logBuffer{}}
	ln := &failingListener{Listener: listen(t)}
	ln.failures.Store(4)
	d.Target = receivertest.Target{Host: "h", Path: "/webhooks/defense", Username: username, Password: password}
	serve(t, receiver.Options{
		Credentials: []receiver.Credential{{Username: username, Password: func() string { return password }}},
		Store:       d.store, Logger: slog.New(slog.NewJSONHandler(d.log, nil)),
	}, ln, &d.Target)
	d.mustAccept(t)
	if d.log.count("can't accept") != 1 || d.log.count("accepting connections again") != 1 {
		t.Errorf("the log:\n%s", d.log)
	}
}

func TestServeEndsWhenItsListenerIsTaken(t *testing.T) {
	server, err := receiver.New(receiver.Options{InsecureNoAuth: true, Store: &recorder{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	ln.Close()
	if err := server.Serve(ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("serve: %v", err)
	}
}

// TestFileDescriptorsRunOut starts this test binary again as a process that may
// open few files, and takes them all away from it.
func TestFileDescriptorsRunOut(t *testing.T) {
	const variable = "SIEMRELAY_TEST_FEW_FILES"
	if os.Getenv(variable) != "" {
		serveWithFewFiles(t)
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestFileDescriptorsRunOut$", "-test.count=1")
	child.Env = append(os.Environ(), variable+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := child.StdinPipe() // the child ends when it is closed
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	address, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	d := &door{Target: receivertest.Target{Address: strings.TrimSpace(address), Host: "h", Path: "/webhooks/defense", Username: username, Password: password}}
	var conns []net.Conn
	for range 100 {
		conn, err := net.DialTimeout("tcp", d.Address, time.Second)
		if err != nil {
			break // the backlog is full as well
		}
		conns = append(conns, conn)
	}
	if text, err := lines.ReadString('\n'); err != nil || !strings.Contains(text, "can't accept") {
		t.Errorf("the child says %q, %v", text, err)
	}
	for _, c := range conns {
		c.Close()
	}
	d.mustAccept(t)
	in.Close()
	_, _ = io.Copy(io.Discard, lines) // to the end of the child
	if err := child.Wait(); err != nil {
		t.Errorf("the child: %v", err)
	}
}

func serveWithFewFiles(t *testing.T) {
	server, err := receiver.New(receiver.Options{
		Credentials: []receiver.Credential{{Username: username, Password: func() string { return password }}},
		Store:       &recorder{}, Logger: slog.New(slog.NewTextHandler(os.Stdout, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 40, Max: 40}); err != nil {
		t.Fatal(err)
	}
	fmt.Println(ln.Addr())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	login := []receiver.Credential{{Username: "u", Password: func() string { return "p" }}}
	secret := strings.Repeat("s3cret", 300)
	for _, c := range []struct {
		name   string
		change func(*receiver.Options)
		want   string // part of the error, empty for none
	}{
		{"good", func(*receiver.Options) {}, ""},
		{"no login, and that is intended", func(o *receiver.Options) { o.Credentials, o.InsecureNoAuth = nil, true }, ""},
		{"no login", func(o *receiver.Options) { o.Credentials = nil }, "insecure_no_auth"},
		{"empty user name", func(o *receiver.Options) { o.Credentials[0].Username = "" }, `user name ""`},
		{"colon in the user name", func(o *receiver.Options) { o.Credentials[0].Username = "a:b" }, `user name "a:b"`},
		{"newline in the user name", func(o *receiver.Options) { o.Credentials[0].Username = "a\n" }, `user name "a\n"`},
		{"no password", func(o *receiver.Options) { o.Credentials[0].Password = nil }, `password of user "u"`},
		{"empty password", func(o *receiver.Options) { o.Credentials[0].Password = func() string { return "" } }, `password of user "u"`},
		{"endless password", func(o *receiver.Options) { o.Credentials[0].Password = func() string { return secret } }, "1023 bytes"},
		{"no store", func(o *receiver.Options) { o.Store = nil }, "Store"},
		{"no logger", func(o *receiver.Options) { o.Logger = nil }, "Logger"},
		{"path without a slash", func(o *receiver.Options) { o.Path = "webhooks" }, `path "webhooks"`},
		{"path with a query", func(o *receiver.Options) { o.Path = "/a?b" }, `path "/a?b"`},
		{"path with a space", func(o *receiver.Options) { o.Path = "/a b" }, `path "/a b"`},
		{"negative max_body", func(o *receiver.Options) { o.MaxBody = -1 }, "max_body -1"},
		{"negative max_connections", func(o *receiver.Options) { o.MaxConnections = -1 }, "max_connections -1"},
		{"negative limit of failed logins", func(o *receiver.Options) { o.FailedLogins = -1 }, "FailedLogins is -1"},
		{"negative timeout", func(o *receiver.Options) { o.IdleTimeout = -time.Second }, "idle_timeout -1s"},
		{"invalid network", func(o *receiver.Options) { o.Allow = []netip.Prefix{{}} }, "allow"},
	} {
		o := receiver.Options{Credentials: []receiver.Credential{login[0]}, Store: &recorder{}, Logger: slog.New(slog.DiscardHandler)}
		c.change(&o)
		_, err := receiver.New(o)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error holds the password", c.name)
		}
	}
}

// TestRefusedSenderMayFinish refuses a body while it is being sent. Its sender
// must get to read the answer: it must not be cut off by a reset.
func TestRefusedSenderMayFinish(t *testing.T) {
	for _, secure := range []bool{false, true} {
		d := open(t, secure, nil)
		conn := dial(t, d, 30*time.Second)
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n", d.Path); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(conn)
		answer, err := http.ReadResponse(in, nil)
		if err != nil || answer.StatusCode != http.StatusUnauthorized {
			t.Fatalf("tls=%v: answer %v, %v", secure, answer, err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		for range 20 {
			if _, err := conn.Write(make([]byte, 1000)); err != nil {
				t.Fatalf("tls=%v: the sender was cut off: %v", secure, err)
			}
			time.Sleep(time.Millisecond) // so that a reset has the time to arrive
		}
		closeWrite(t, conn)
		if _, err := in.ReadByte(); err != io.EOF {
			t.Errorf("tls=%v: the end of the connection is %v", secure, err)
		}
	}
}
