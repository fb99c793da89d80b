package elasticsearch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/elastic/go-elasticsearch/v8"

	"github.com/siemrelay/siemrelay/outputs"
)

const (
	// productHeader is how Elasticsearch tells who it is.
	productHeader = "X-Elastic-Product"
	// seenHeader keeps what the product header was: the client refuses every reply
	// without it, and OpenSearch has none.
	seenHeader = "Siemrelay-Seen-Product"

	jsonType   = "application/json"
	ndjsonType = "application/x-ndjson"
)

// client speaks HTTP with a cluster: each request once, with the credentials as they
// are now, and with replies that are bounded in size.
type client struct {
	config    Config
	transport *transport
	es        *elasticsearch.BaseClient
}

func newClient(c Config) (*client, error) {
	t := &transport{config: c, bases: map[string]*http.Transport{}}
	es, err := elasticsearch.NewBaseClient(elasticsearch.Config{
		Addresses: c.URLs, CloudID: c.CloudID,
		DisableRetry:      true, // the relay retries, and knows what
		DisableMetaHeader: true,
		Transport:         t,
	})
	if err != nil {
		return nil, fmt.Errorf("make elasticsearch client: %w", err)
	}
	return &client{config: c, transport: t, es: es}, nil
}

func (c *client) close() {
	_ = c.es.Close(context.Background()) // there is no discovery to wait for
	c.transport.close()
}

// transport adds to each request what go-elasticsearch would fix when it is made.
type transport struct {
	config Config

	mu    sync.Mutex
	bases map[string]*http.Transport // by host, guarded by mu
}

// base returns the transport for a host. Each host has one of its own, because that is
// how the check of a certificate gets to know whose it must be: a connection to an IP
// address doesn't tell.
func (t *transport) base(host string) *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bases[host] == nil {
		dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
		t.bases[host] = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           dialer.DialContext,
			TLSClientConfig:       t.config.TLS.tlsConfig(host),
			TLSHandshakeTimeout:   10 * time.Second,
			ExpectContinueTimeout: time.Second,
			IdleConnTimeout:       90 * time.Second,
			MaxIdleConnsPerHost:   2,
			ForceAttemptHTTP2:     true,
		}
	}
	return t.bases[host]
}

func (t *transport) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, base := range t.bases {
		base.CloseIdleConnections()
	}
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if a := t.config.authorization(); a != "" {
		r.Header.Set("Authorization", a)
	}
	r.Header.Set("Accept", jsonType)
	if r.Header.Get("Content-Type") != ndjsonType && r.Header.Get("Content-Type") != "" {
		r.Header.Set("Content-Type", jsonType) // not the vendor's own type, which old versions and OpenSearch refuse
	}
	res, err := t.base(r.URL.Hostname()).RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Header.Set(seenHeader, res.Header.Get(productHeader))
	res.Header.Set(productHeader, "Elasticsearch")
	return res, nil
}

// answer is a reply that was read to its end.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	product string // of the product header
}

// maxReply is how much of a reply is read, beyond what its items may take.
const maxReply = 1 << 20

var errReplySize = errors.New("reply is larger than one to this request can be")

// bulkPath asks for what parseBulk reads, and no more.
const bulkPath = "/_bulk?filter_path=errors,items.*._id,items.*.status,items.*.result,items.*.error,items.*.failure_store"

// bulk sends operations to _bulk and reads the reply, which is good until the next use
// of b.
func (c *client) bulk(ctx context.Context, b *buffers, ops []operation) (answer, error) {
	parts, size := b.encode(ops)
	return c.perform(ctx, b, request{
		what: "send batch", method: http.MethodPost, path: bulkPath, kind: ndjsonType, parts: parts,
		limit: maxReply + len(ops)*maxItem + size,
	})
}

// maxItem is how much of a reply one item may take, beyond what an error repeats of the document.
const maxItem = 16 << 10

// request is one to a cluster.
type request struct {
	method, path string
	body         []byte
	limit        int // of the reply, in bytes; 0 is maxReply

	what  string   // for errors; "" is the method and the path
	kind  string   // the content type; "" is jsonType
	parts [][]byte // a body in parts, instead of body
}

// do sends a request. The error is that of the way, never of a status.
func (c *client) do(ctx context.Context, q request) (answer, error) {
	return c.perform(ctx, &buffers{}, q)
}

// perform is do with the buffers of another request. What it returns is good until they
// are used again.
func (c *client) perform(ctx context.Context, b *buffers, q request) (answer, error) {
	what := cmp.Or(q.what, strings.ToLower(q.method)+" "+strings.SplitN(q.path, "?", 2)[0])
	r, err := http.NewRequestWithContext(ctx, q.method, q.path, nil)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", what, err)
	}
	if q.body != nil {
		q.parts = [][]byte{q.body}
	}
	if q.parts != nil {
		r.Header.Set("Content-Type", cmp.Or(q.kind, jsonType))
		if c.config.Gzip {
			packed, err := b.pack(q.parts)
			if err != nil {
				return answer{}, fmt.Errorf("%s: compress: %w", what, err)
			}
			q.parts = [][]byte{packed}
			r.Header.Set("Content-Encoding", "gzip")
		}
		p := newPayload(q.parts)
		defer p.takeBack()
		r.Body, r.ContentLength = p.reader(), p.size
		r.GetBody = func() (io.ReadCloser, error) { return p.reader(), nil }
	}
	res, err := c.es.Perform(r)
	if err != nil {
		return answer{}, c.failed(what, err)
	}
	defer res.Body.Close()
	if b.reply, err = readAll(res.Body, b.reply, max(q.limit, maxReply)); err != nil {
		return answer{}, c.failed(what+": read the reply", err)
	}
	return answer{res.StatusCode, res.Header, b.reply, res.Header.Get(seenHeader)}, nil
}

// failed describes a request that got no whole reply.
func (c *client) failed(what string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w (timeout is %v)", err, c.config.Timeout)
	}
	return explainConnection(&outputs.Transient{Err: fmt.Errorf("%s: %w", what, err)})
}

// clean makes a server's text fit for a log: one line, short, without our secrets.
func (c *client) clean(text string) string {
	for _, secret := range c.config.secrets() {
		text = strings.ReplaceAll(text, secret, "***")
	}
	text = strings.Join(strings.Fields(text), " ")
	text = strings.ToValidUTF8(text, "\uFFFD")
	if r := []rune(text); len(r) > maxText {
		text = string(r[:maxText]) + "…"
	}
	return text
}

// maxText is how many characters of a server's text are kept.
const maxText = 400

// notReady makes the error that pauses the output.
func notReady(format string, args ...any) error {
	return &outputs.NotReady{Err: fmt.Errorf(format, args...)}
}
