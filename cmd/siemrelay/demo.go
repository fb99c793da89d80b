package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/sender"
	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/outputs/file"
)

func newDemo(std streams) *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole thing on this machine, with no configuration",
		Long: `Starts siemrelay in a temporary folder, sends it one example webhook of every kind
through the real HTTPS door, as Defense.com would, and prints what comes out: for
each webhook the ECS document and the CEF line on standard output, and what is
going on on standard error. Then it tells where the console is, to be opened in a
browser, and waits for webhooks of your own until you stop it; with --once it exits
instead.

  siemrelay demo --once 2>/dev/null | grep ^CEF`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context(), once, std) },
	}
	cmd.Flags().BoolVar(&once, "once", false, "exit after the examples")
	return cmd
}

func demo(ctx context.Context, once bool, std streams) (err error) {
	dir, err := os.MkdirTemp("", "siemrelay-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg, first, err := demoConfig(dir)
	if err != nil {
		return err
	}
	// Who stops reading, "| head" for example, ends the demo, but its folder goes.
	signal.Ignore(syscall.SIGPIPE)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	p, err := start(cfg, newLogger(std.err, cfg.Log), &endingWriter{std.out, fail})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	d := &demonstration{process: p, std: std, first: first, url: "https://" + p.receiverAddr + cfg.Receiver.Path, page: p.consoleURL(cfg)}
	if err := d.sendSamples(ctx); err != nil || once {
		return err
	}
	return d.waitForMore(ctx)
}

// endingWriter ends the demo when its output can't be written: a relay would try
// again for ever.
type endingWriter struct {
	to   io.Writer
	fail context.CancelCauseFunc
}

func (w *endingWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if err != nil {
		w.fail(err)
	}
	return n, err
}

// demoConfig is a relay with two outputs to standard output, and one that keeps the
// events to be looked at, on free ports.
func demoConfig(dir string) (*config.Config, *firstStart, error) {
	cfg := config.Default()
	cfg.Receiver.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Spool.Dir = filepath.Join(dir, "spool")
	cfg.Spool.MaxSize, cfg.Spool.MinFree = 64*config.MiB, config.MiB
	cfg.Log.Level = "warn"
	cfg.Companies = map[string]config.Company{"abc12345-6789-0def-1234-56789abcdef0": {Name: "Example Ltd"}} // that of the samples
	for _, format := range []string{"ecs", "cef"} {
		out := config.DefaultOutput(format, outputTypes()[0].OutputType)
		out.Format = format
		out.Batch.MaxWait = time.Millisecond // one at a time, nothing to wait for
		out.Settings.(*file.Config).Path = "-"
		cfg.Outputs = append(cfg.Outputs, out)
	}
	store := config.DefaultOutput("local", localOutput().OutputType)
	store.Batch.MaxWait = time.Millisecond
	cfg.Outputs = append(cfg.Outputs, store)
	first, err := selfMade(cfg, dir, config.Options{})
	return cfg, first, err
}

type demonstration struct {
	*process
	std   streams
	first *firstStart
	url   string
	page  string // of the console
}

func (d *demonstration) sendSamples(ctx context.Context) error {
	roots, err := trustOnly(filepath.Join(d.first.dir, certificateIn))
	if err != nil {
		return fmt.Errorf("read the demo's certificate: %w", err)
	}
	s, err := sender.New(sender.Options{
		URL: d.url, Username: defaultUser, Password: d.first.password.Value(),
		TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, Retries: sender.MaxRetries, Speed: 60,
	})
	if err != nil {
		return err
	}
	samples := mappings.Samples()
	fmt.Fprintf(d.std.err, "siemrelay %s is running in %s.\nSending %d example webhooks to %s.\n", version, d.first.dir, len(samples), d.url)
	for _, sample := range samples {
		fmt.Fprintf(d.std.err, "\n%s\n", sample.Name)
		attempts := s.Send(ctx, sample.Body)
		last := attempts[len(attempts)-1]
		if !last.Accepted() {
			return fmt.Errorf("send example %s: %s", sample.Name, last)
		}
		if d.spool.Drained(ctx) != nil {
			return fmt.Errorf("wait for example %s to come out: %w", sample.Name, context.Cause(ctx))
		}
		fmt.Fprintf(d.std.err, "  answered %s\n", last)
	}
	fmt.Fprintf(d.std.err, "\n%d webhooks were answered, each after it was on disk, and came out as one ECS document and one CEF line.\n", len(samples))
	return nil
}

// waitForMore tells how to send webhooks and prints what comes until it is stopped.
func (d *demonstration) waitForMore(ctx context.Context) error {
	fmt.Fprintf(d.std.err, `
  Open %[6]s to see them in the console.

Now send your own; what comes out is printed here, and appears there:
  curl --cacert %[1]s --user "%[2]s:$(cat %[3]s)" --json '{"record_type":"Threat","id":"1","company_id":"1","trigger_action":"create","title":"My first threat","risk":"low","state":"detected","type":"User"}' %[4]s
Metrics are at %[6]smetrics. Ctrl-C ends the demo and removes %[5]s.
`, filepath.Join(d.first.dir, certificateIn), defaultUser, filepath.Join(d.first.dir, passwordIn), d.url, d.first.dir, d.page)
	select {
	case <-ctx.Done():
		if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	case err := <-d.failed:
		return err
	}
}
