package receiver_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/receiver"
	"github.com/siemrelay/siemrelay/internal/receiver/receivertest"
)

// FuzzConnection sends raw bytes to a real listener. Whatever they are, there
// is no panic and no 5xx but 505, the answers are well-formed and JSON, what is
// stored is one JSON object, and nothing is stored, or kept among the rejected,
// without the password in the bytes. The password is a word that mutation does not find by itself.
func FuzzConnection(f *testing.F) {
	var k keeper
	d := open(f, false, func(o *receiver.Options) { o.ReadTimeout, o.Rejects = 2*time.Second, k.keep })
	cases, err := receivertest.Cases()
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range cases {
		requests, err := c.Requests(d.Target)
		if err != nil {
			f.Fatal(err)
		}
		for _, r := range requests {
			if len(r) < 4096 {
				f.Add(r)
			}
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := len(d.store.stored())
		accepted, refused := 0, 0
		for _, a := range answersTo(t, d, raw) {
			if a.StatusCode >= 500 && a.StatusCode != http.StatusHTTPVersionNotSupported {
				t.Errorf("%d in answer to %q", a.StatusCode, raw)
			}
			switch a.StatusCode {
			case http.StatusOK:
				accepted++
			case http.StatusBadRequest:
				refused++
			}
		}
		kept := k.take()
		if len(kept) > refused {
			t.Errorf("%d refused with 400, %d kept, of %q", refused, len(kept), raw)
		}
		stored := d.store.stored()[before:]
		if len(stored) != accepted {
			t.Errorf("%d accepted, %d stored, of %q", accepted, len(stored), raw)
		}
		for _, b := range stored {
			if !json.Valid(b) || !bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
				t.Errorf("stored %q", b)
			}
		}
		if len(stored)+len(kept) > 0 && !bytes.Contains(raw, []byte(basic(username, password))) {
			t.Errorf("stored or kept without a login: %q", raw)
		}
		if d.log.count("panic") > 0 {
			t.Fatalf("panic after %q:\n%s", raw, d.log)
		}
	})
}

// answersTo sends raw, ends the client's side, and reads all there is.
func answersTo(t *testing.T, d *door, raw []byte) []*http.Response {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", d.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the connection
		_, _ = conn.Write(raw)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("read answers to %q: %v", raw, err)
	}
	var answers []*http.Response
	in := bufio.NewReader(bytes.NewReader(all))
	for {
		if _, err := in.Peek(1); err != nil {
			return answers
		}
		a, err := http.ReadResponse(in, nil)
		if err != nil {
			// The answer to HEAD has a length and no body; it is the last one.
			if bytes.Contains(raw, []byte("HEAD")) {
				return answers
			}
			t.Fatalf("answers %q to %q: %v", all, raw, err)
		}
		answers = append(answers, a)
		body, err := io.ReadAll(a.Body)
		if bytes.Contains(raw, []byte("HEAD")) {
			continue
		}
		if a.StatusCode >= 200 && (err != nil || !json.Valid(body) || strings.Contains(string(body), "\n")) {
			t.Fatalf("answer %q to %q: %v", body, raw, err)
		}
	}
}
