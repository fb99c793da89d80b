package main

import (
	"crypto/subtle"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs/file"
)

const (
	benchConnections = 64
	benchLogin       = "Basic ZGVmZW5zZTpzM2NyZXQ=" // defense:s3cret
)

// benchWebhook is a threat of 1.4 KB.
var benchWebhook = []byte(`{"record_type":"Threat","id":"0f9c8b7a-1234-5678-9abc-def012345678","company_id":"abc12345-6789-0def-1234-56789abcdef0","trigger_action":"update","title":"Outdated software detected on a public facing server","description":"` +
	strings.Repeat("A version of the software was found. ", 26) +
	`","risk":"high","state":"detected","type":"Scanner::Site","url":"https://my.defense.com/threats/0f9c8b7a-1234-5678-9abc-def012345678","created_at":"2026-06-19T09:30:00Z"}`)

// BenchmarkAnswers compares, over 64 keep-alive connections of plain HTTP, what
// the whole relay answers, each event on disk and a file output attached, with a
// bare fasthttp server that reads the body, checks the login and answers 200.
func BenchmarkAnswers(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			_ = ctx.PostBody()
			if subtle.ConstantTimeCompare(ctx.Request.Header.Peek("Authorization"), []byte(benchLogin)) != 1 {
				ctx.SetStatusCode(fasthttp.StatusUnauthorized)
			}
			ctx.SetBodyString(`{"status":"accepted"}`)
		}}
		done := make(chan error, 1)
		go func() { done <- server.Serve(ln) }()
		post(b, ln.Addr().String())
		if err := server.Shutdown(); err != nil {
			b.Fatal(err)
		}
		<-done
	})
	b.Run("durable", func(b *testing.B) {
		dir := b.TempDir()
		cfg := config.Default()
		cfg.Receiver.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
		cfg.Receiver.InsecureHTTP = true
		cfg.Receiver.BasicAuth = []config.BasicAuth{{Username: "defense", Password: config.NewSecret("s3cret")}}
		cfg.Spool.Dir = filepath.Join(dir, "spool")
		out := config.DefaultOutput("archive", outputTypes()[0].OutputType)
		out.Settings.(*file.Config).Path = filepath.Join(dir, "events.ndjson")
		cfg.Outputs = []config.Output{out}
		p, err := start(cfg, slog.New(slog.DiscardHandler), io.Discard)
		if err != nil {
			b.Fatal(err)
		}
		post(b, p.receiverAddr)
		if err := p.stop(); err != nil {
			b.Fatal(err)
		}
	})
}

// post sends b.N webhooks over benchConnections connections.
func post(b *testing.B, address string) {
	b.SetBytes(int64(len(benchWebhook)))
	client := &fasthttp.Client{MaxConnsPerHost: benchConnections}
	defer client.CloseIdleConnections()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for range benchConnections {
		wg.Go(func() {
			var req fasthttp.Request
			var resp fasthttp.Response
			req.SetRequestURI("http://" + address + "/webhooks/defense")
			req.Header.SetMethod(fasthttp.MethodPost)
			req.Header.Set(fasthttp.HeaderAuthorization, benchLogin)
			for left.Add(-1) >= 0 {
				req.SetBody(benchWebhook)
				if err := client.Do(&req, &resp); err != nil || resp.StatusCode() != fasthttp.StatusOK {
					b.Errorf("answer is %d, %v", resp.StatusCode(), err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
}
