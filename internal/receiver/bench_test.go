package receiver_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/siemrelay/siemrelay/internal/receiver"
)

// connections is how many keep-alive connections the benchmarks hold.
const connections = 64

// nullStore keeps nothing, so that a benchmark shows what the door costs.
type nullStore struct{}

func (nullStore) Append([]byte) (receiver.Receipt, error) {
	return receiver.Receipt{ID: "0123456789abcdef0123456789abcdef"}, nil
}

func (nullStore) Unanswered(receiver.Receipt) {}

// webhook is a request of the usual size, some 1.4 KB of body.
func webhook() []byte {
	body := `{"record_type":"Threat","id":"46ce8496-9989-5fbb-a1f3-0a1bc8d920a2","company_id":"abc12345-6789-0def-1234-56789abcdef0",` +
		`"trigger_action":"create","title":"Outdated software","description":"` + strings.Repeat("The host runs software with known weaknesses.\\n", 20) +
		`","risk":"high","state":"detected","type":"Scanner::Site","url":"https://my.defense.com/threats/46ce8496","created_at":"2026-06-19T09:30:00Z"}`
	return fmt.Appendf(nil, "POST /webhooks/defense HTTP/1.1\r\nHost: relay.example.com\r\nAuthorization: Basic %s\r\nContent-Type: application/json\r\nUser-Agent: Ruby\r\nAccept: */*\r\nContent-Length: %d\r\n\r\n%s",
		base64.StdEncoding.EncodeToString([]byte("defense:correct horse")), len(body), body)
}

// BenchmarkBare is the yardstick: fasthttp with nothing around it but a login.
func BenchmarkBare(b *testing.B) {
	want := sha256.Sum256([]byte("Basic " + base64.StdEncoding.EncodeToString([]byte("defense:correct horse"))))
	// Its pool of workers ends this long after the server.
	server := &fasthttp.Server{MaxIdleWorkerDuration: 50 * time.Millisecond, Handler: func(ctx *fasthttp.RequestCtx) {
		got := sha256.Sum256(ctx.Request.Header.Peek("Authorization"))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			ctx.SetStatusCode(http.StatusUnauthorized)
			return
		}
		if len(ctx.PostBody()) == 0 {
			ctx.SetStatusCode(http.StatusBadRequest)
			return
		}
		ctx.SetBodyString(`{"status":"accepted"}`)
	}}
	ln := listen(b)
	go func() { _ = server.Serve(ln) }() // ends with the listener
	defer server.Shutdown()
	load(b, ln.Addr().String(), nil)
}

// BenchmarkReceiver is what the door costs, over plain HTTP and over TLS.
func BenchmarkReceiver(b *testing.B) {
	for _, secure := range []bool{false, true} {
		b.Run(map[bool]string{false: "http", true: "https"}[secure], func(b *testing.B) {
			d := open(b, secure, func(o *receiver.Options) {
				o.Credentials = []receiver.Credential{{Username: "defense", Password: func() string { return "correct horse" }}}
				o.Store = nullStore{}
				o.Logger = slog.New(slog.DiscardHandler)
			})
			load(b, d.Address, d.TLS)
		})
	}
}

// load sends b.N webhooks over keep-alive connections.
func load(b *testing.B, address string, secure *tls.Config) {
	request := webhook()
	b.SetBytes(int64(len(request)))
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	var clients sync.WaitGroup
	var conns []net.Conn
	for range connections {
		c, err := net.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		if secure != nil {
			c = tls.Client(c, secure)
		}
		conns = append(conns, c)
	}
	b.ResetTimer()
	for _, c := range conns {
		clients.Go(func() {
			in := bufio.NewReader(c)
			for left.Add(-1) >= 0 {
				if err := exchange(c, in, request); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	b.StopTimer()
}

// exchange sends one request and reads its answer, without allocating.
func exchange(c net.Conn, in *bufio.Reader, request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	length := -1
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return fmt.Errorf("answer: %s", line)
		}
		if len(line) == 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length = 0
			for _, d := range bytes.TrimSpace(v) {
				length = 10*length + int(d-'0')
			}
		}
	}
	if length < 0 {
		return io.ErrUnexpectedEOF
	}
	_, err := in.Discard(length)
	return err
}
