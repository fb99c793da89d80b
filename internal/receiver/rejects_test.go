package receiver_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/receiver"
)

// keeper remembers what was rejected.
type keeper struct {
	mu   sync.Mutex
	kept []receiver.Rejected
}

func (k *keeper) keep(r receiver.Rejected) {
	r.Body = bytes.Clone(r.Body)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = append(k.kept, r)
}

// take returns what was kept since the last take.
func (k *keeper) take() []receiver.Rejected {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept := k.kept
	k.kept = nil
	return kept
}

func gzipped(tb testing.TB, text string) string {
	tb.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write([]byte(text)); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.String()
}

func TestRejectedBodiesAreHandedOver(t *testing.T) {
	var k keeper
	at := time.Unix(1.7e9, 0)
	d := open(t, false, func(o *receiver.Options) {
		o.Rejects = k.keep
		o.MaxBody = 30_000
		o.Now = func() time.Time { return at }
	})
	head := "POST $PATH HTTP/1.1\r\nHost: $HOST\r\nAuthorization: $AUTH\r\n"
	post := func(body, fields string) string {
		return fmt.Sprintf("%s%sContent-Length: %d\r\n\r\n%s", head, fields, len(body), body)
	}
	gz := "Content-Encoding: gzip\r\n"
	long := strings.Repeat("long ", 4000)
	whole := gzipped(t, `{"id":"1"}`)
	for name, c := range map[string]struct {
		request, reason, body string // no reason: not kept
		status                int
	}{
		"cut JSON":          {post(`{"id":`, ""), "json", `{"id":`, 400},
		"long":              {post(long, ""), "json", long, 400},
		"in chunks":         {head + "Transfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n", "not_object", "[1,2]", 400},
		"two objects":       {post(`{}{}`, ""), "trailing_bytes", `{}{}`, 400},
		"deep":              {post(strings.Repeat(`{"a":`, 65)+"1"+strings.Repeat("}", 65), ""), "too_deep", strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), 400},
		"blank":             {post(" \n", ""), "empty", " \n", 400},
		"empty":             {post("", ""), "empty", "", 400},
		"no length":         {head + "\r\n", "no_length", "", 400},
		"gzip of no object": {post(gzipped(t, "[1]"), gz), "not_object", "[1]", 400},
		"cut gzip":          {post(whole[:len(whole)-1], gz), "gzip", `{"id":"1"}`, 400},
		"said to be gzip":   {post(`{"id":"1"}`, gz), "gzip", `{"id":"1"}`, 400},

		"good":                {post(`{"id":"1"}`, ""), "", "", 200},
		"good gzip":           {post(whole, gz), "", "", 200},
		"too large":           {post(strings.Repeat(" ", 30_001), ""), "", "", 413},
		"broke off":           {head + "Content-Length: 100\r\n\r\n{", "", "", 400},
		"broken framing":      {head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\nnonsense\r\n", "", "", 400},
		"encoding":            {post("x", "Content-Encoding: br\r\n"), "", "", 415},
		"no login":            {"POST $PATH HTTP/1.1\r\nHost: $HOST\r\nContent-Length: 1\r\n\r\nx", "", "", 401},
		"no login nor length": {"POST $PATH HTTP/1.1\r\nHost: $HOST\r\n\r\n", "", "", 401},
		"other path":          {"POST /x HTTP/1.1\r\nHost: $HOST\r\nAuthorization: $AUTH\r\nContent-Length: 1\r\n\r\nx", "", "", 404},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "broke off" || name == "broken framing" {
				conn := dial(t, d, 20*time.Second)
				defer conn.Close()
				if _, err := conn.Write([]byte(strings.NewReplacer("$PATH", d.Path, "$HOST", "h", "$AUTH", "Basic "+basic(username, password)).Replace(c.request))); err != nil {
					t.Fatal(err)
				}
				closeWrite(t, conn)
				if got := lastStatus(t, conn); got != c.status {
					t.Errorf("answer %d, want %d", got, c.status)
				}
			} else if got := d.send(t, c.request); len(got.Statuses) != 1 || got.Statuses[0] != c.status {
				t.Errorf("answers %v, want %d", got.Statuses, c.status)
			}
			kept := k.take()
			if c.reason == "" {
				if len(kept) != 0 {
					t.Errorf("kept %+v", kept)
				}
				return
			}
			if len(kept) != 1 {
				t.Fatalf("kept %+v", kept)
			}
			r := kept[0]
			if r.Reason != c.reason || string(r.Body) != c.body || r.Address != "127.0.0.1" || !r.At.Equal(at) {
				t.Errorf("kept %+v, body %.100q", r, r.Body)
			}
			if n := d.metric(t, "siemrelay_receiver_rejected_total", "reason="+c.reason); n < 1 {
				t.Errorf("there is no metric of the reason %q", c.reason)
			}
		})
	}
}

func TestPanicOfRejectsChangesNothing(t *testing.T) {
	d := open(t, false, func(o *receiver.Options) {
		o.Rejects = func(receiver.Rejected) { panic("store of the rejected broke") }
	})
	for _, raw := range []string{d.request(`{`), strings.Replace(d.request(""), "Content-Length: 0\r\n", "", 1)} {
		if got := d.send(t, raw); len(got.Statuses) != 1 || got.Statuses[0] != 400 {
			t.Errorf("answers %v", got.Statuses)
		}
	}
	d.mustAccept(t)
	if n := d.log.count("store of the rejected broke"); n != 2 {
		t.Errorf("%d panics in the log:\n%s", n, d.log)
	}
}
