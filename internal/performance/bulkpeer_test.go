package performance_test

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// bulkPeer is an Elasticsearch endpoint that confirms every document and keeps the ids.
type bulkPeer struct {
	listener net.Listener
	server   *fasthttp.Server
	done     chan struct{}
	gzip     bool
	mu       sync.Mutex
	got      [][]byte
	err      error
}

func newBulkPeer(t *testing.T) peer     { t.Helper(); return startBulkPeer(t, false) }
func newGzipBulkPeer(t *testing.T) peer { t.Helper(); return startBulkPeer(t, true) }

func startBulkPeer(t *testing.T, gzip bool) peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &bulkPeer{listener: l, done: make(chan struct{}), gzip: gzip}
	// Its pool of workers ends this long after the server.
	p.server = &fasthttp.Server{Handler: p.handle, MaxRequestBodySize: 64 << 20, MaxIdleWorkerDuration: 50 * time.Millisecond}
	go func() { // until close
		defer close(p.done)
		if err := p.server.Serve(l); err != nil {
			p.fail(err)
		}
	}()
	return p
}

func (p *bulkPeer) output(name string) string {
	gzip := "false"
	if p.gzip {
		gzip = "true"
	}
	return "  - {name: " + name + ", type: elasticsearch, elasticsearch: {urls: [\"http://" + p.listener.Addr().String() + "\"], gzip: " + gzip + "}}\n"
}

func (p *bulkPeer) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

func (p *bulkPeer) handle(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("X-Elastic-Product", "Elasticsearch")
	ctx.SetContentType("application/json")
	if ctx.IsGet() {
		ctx.SetBodyString(`{"name":"n1","version":{"number":"8.19.0"},"tagline":"You Know, for Search"}`)
		return
	}
	body, err := ctx.Request.BodyUncompressed()
	if err != nil {
		p.fail(err)
		ctx.SetStatusCode(fasthttp.StatusBadRequest)
		return
	}
	var ids [][]byte
	reply := append(ctx.Response.Body(), `{"took":1,"errors":false,"items":[`...)
	for len(body) > 0 {
		var action []byte
		action, body, _ = bytes.Cut(body, []byte("\n"))
		_, body, _ = bytes.Cut(body, []byte("\n")) // the document
		id := bytes.Clone(within(action, `"_id":"`, `"`))
		if len(ids) > 0 {
			reply = append(reply, ',')
		}
		reply = append(append(append(reply, `{"create":{"_id":"`...), id...), `","result":"created","status":201}}`...)
		ids = append(ids, id)
	}
	ctx.SetBody(append(reply, `]}`...))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, ids...)
}

func (p *bulkPeer) events(take func([]byte)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range p.got {
		take(id)
	}
	return p.err
}

func (p *bulkPeer) close() {
	if err := p.server.Shutdown(); err != nil {
		p.fail(err)
	}
	<-p.done
}
