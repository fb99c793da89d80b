package elasticsearch

import (
	"bytes"
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
	"github.com/elastic/go-elasticsearch/v8/esapi"

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
		// The client's pool of compressors takes a buffer back that a request which
		// failed early may still be reading, so it is not used.
		CompressRequestBody: c.Gzip,
		Transport:           t,
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

// bulk sends a body to _bulk and reads a reply with up to n items.
func (c *client) bulk(ctx context.Context, body []byte, n int) (answer, error) {
	r := esapi.BulkRequest{
		Body:       bytes.NewReader(body),
		FilterPath: []string{"errors", "items.*._id", "items.*.status", "items.*.result", "items.*.error", "items.*.failure_store"},
		Header:     http.Header{"Content-Type": {ndjsonType}},
	}
	res, err := r.Do(ctx, c.es)
	if err != nil {
		return answer{}, c.failed("send batch", err)
	}
	return c.read("send batch", &http.Response{StatusCode: res.StatusCode, Header: res.Header, Body: res.Body}, maxReply+n*maxItem+len(body))
}

// maxItem is how much of a reply one item may take, beyond what an error repeats of the document.
const maxItem = 16 << 10

// request is anything but _bulk.
type request struct {
	method, path string
	body         []byte
	limit        int // of the reply, in bytes; 0 is maxReply
}

// do sends a request. The error is that of the way, never of a status.
func (c *client) do(ctx context.Context, q request) (answer, error) {
	what := strings.ToLower(q.method) + " " + strings.SplitN(q.path, "?", 2)[0]
	var body io.Reader
	if q.body != nil {
		body = bytes.NewReader(q.body)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, q.path, body)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", what, err)
	}
	if q.body != nil {
		r.Header.Set("Content-Type", jsonType)
	}
	res, err := c.es.Perform(r)
	if err != nil {
		return answer{}, c.failed(what, err)
	}
	return c.read(what, res, max(q.limit, maxReply))
}

// read takes a reply whole, or none of it.
func (c *client) read(what string, res *http.Response, limit int) (answer, error) {
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, int64(limit)+1))
	if err == nil && len(body) > limit {
		err = errReplySize
	}
	if err != nil {
		return answer{}, c.failed(what+": read the reply", err)
	}
	return answer{res.StatusCode, res.Header, body, res.Header.Get(seenHeader)}, nil
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
