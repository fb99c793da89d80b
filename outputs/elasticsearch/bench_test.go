package elasticsearch_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
)

// discarding is an endpoint that confirms n documents, whatever comes.
func discarding(b *testing.B, n int) (url string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var reply bytes.Buffer
	reply.WriteString(`{"took":1,"errors":false,"items":[`)
	for i := range n {
		if i > 0 {
			reply.WriteByte(',')
		}
		fmt.Fprintf(&reply, `{"create":{"_id":"%032x","status":201,"result":"created"}}`, i+1)
	}
	reply.WriteString(`]}`)
	// Its pool of workers ends this long after the server.
	server := &fasthttp.Server{MaxRequestBodySize: 64 << 20, MaxIdleWorkerDuration: 50 * time.Millisecond, Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.Response.Header.Set("X-Elastic-Product", "Elasticsearch")
		ctx.SetContentType("application/json")
		ctx.SetBody(reply.Bytes())
	}}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }() // until the benchmark ends
	b.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			b.Error(err)
		}
		<-done
	})
	return "http://" + l.Addr().String()
}

// BenchmarkSend sends batches of events of the usual size to an endpoint that reads
// and forgets.
func BenchmarkSend(b *testing.B) {
	m := newMaker(b)
	for _, gzip := range []bool{false, true} {
		for _, n := range []int{1, 100, 1000} {
			b.Run(fmt.Sprintf("gzip=%v/events=%d", gzip, n), func(b *testing.B) {
				c := elasticsearch.Default()
				c.URLs, c.Gzip = []string{discarding(b, n)}, gzip
				out := newOutput(b, c)
				batch := make([]outputs.Message, n)
				size := int64(0)
				for i := range batch {
					more := fmt.Sprintf(`,"description":%q`, strings.Repeat(fmt.Sprintf("Finding %d on this host. ", i), 40))
					batch[i] = m.messageOf(uint64(i+1), threat(fmt.Sprint(i), "create", "detected", more))
					size += int64(len(batch[i].Body))
				}
				b.SetBytes(size)
				b.ReportAllocs()
				for b.Loop() {
					if err := out.Send(context.Background(), batch); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}
