package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/siemrelay/siemrelay/internal/load"
)

// defaultLoad is how long a load takes when neither its time nor its size is given.
const defaultLoad = 10 * time.Second

// progressEvery is how often a terminal shows how a load goes.
const progressEvery = 500 * time.Millisecond

// loadFlags say what a load consists of.
type loadFlags struct {
	connections    int
	newConnections bool
	rate           float64
	duration       time.Duration
	count          int64
	size           int
	acknowledged   string
	format         string
}

// loadNames are the flags of which any makes send a load generator.
func loadNames() []string {
	return []string{"connections", "new-connections", "rate", "duration", "count", "size", "acknowledged"}
}

func (l *loadFlags) addFlags(f *pflag.FlagSet) {
	f.IntVar(&l.connections, "connections", 64, "load: `NUMBER` of connections at once")
	f.BoolVar(&l.newConnections, "new-connections", false, "load: a new connection for each webhook, as Defense.com does")
	f.Float64Var(&l.rate, "rate", 0, "load: `NUMBER` of webhooks a second; 0 sends the next when the last is answered")
	f.DurationVar(&l.duration, "duration", 0, "load: `TIME` after which no more are sent (default 10s without --count)")
	f.Int64Var(&l.count, "count", 0, "load: `NUMBER` of webhooks after which no more are sent")
	f.IntVar(&l.size, "size", 1400, "load: `BYTES` of each body")
	f.StringVar(&l.acknowledged, "acknowledged", "", "load: `FILE` that gets the event id and the record id of each that was accepted")
	f.StringVarP(&l.format, "format", "o", "text", "load: `FORMAT` of what is printed: text or json")
}

// wanted tells whether any of the flags makes it a load.
func (l *loadFlags) wanted(f *pflag.FlagSet) bool { return slices.ContainsFunc(loadNames(), f.Changed) }

func (l *loadFlags) check(f *pflag.FlagSet, files []string) error {
	usage := func(format string, args ...any) error { return &exitError{exitUsage, fmt.Errorf(format, args...)} }
	alone := []string{"sample", "list-samples", "retries", "speed"}
	switch i := slices.IndexFunc(alone, f.Changed); {
	case len(files) > 0:
		return usage("files and a load don't go together: it makes its webhooks up")
	case i >= 0:
		return usage("--%s and a load don't go together", alone[i])
	case l.connections < 1:
		return usage("--connections %d: it must be 1 or more", l.connections)
	case l.rate < 0, math.IsNaN(l.rate), math.IsInf(l.rate, 0):
		return usage("--rate %v: it must be 0 or more", l.rate)
	case l.duration < 0:
		return usage("--duration %v: it must be more than 0", l.duration)
	case l.count < 0:
		return usage("--count %d: it must be 1 or more", l.count)
	case l.size < load.MinSize(), l.size > 64<<20:
		return usage("--size %d: it must be from %d to %d", l.size, load.MinSize(), 64<<20)
	case l.format != "text" && l.format != "json":
		return usage("-o %q: it must be text or json", l.format)
	}
	if l.duration == 0 && l.count == 0 {
		l.duration = defaultLoad
	}
	return nil
}

// generate sends a load and prints what became of it.
func (s *sending) generate(ctx context.Context, f *pflag.FlagSet, files []string) (err error) {
	if err := s.load.check(f, files); err != nil {
		return err
	}
	if err := s.prepare(nil); err != nil {
		return err
	}
	o := load.Options{
		URL: s.o.URL, Username: s.o.Username, Password: s.o.Password, TLS: s.o.TLS, Timeout: s.o.Timeout,
		Body: load.Webhook(s.load.size), Connections: s.load.connections, NewConnections: s.load.newConnections,
		Rate: s.load.rate, Duration: s.load.duration, Count: s.load.count,
	}
	if s.test {
		o.Body = markAsTest(o.Body)
	}
	if s.load.acknowledged != "" {
		ids, createErr := os.Create(s.load.acknowledged)
		if createErr != nil {
			return fmt.Errorf("create --acknowledged: %w", createErr)
		}
		defer func() { err = errors.Join(err, ids.Close()) }()
		o.Acknowledged = ids
	}
	g, err := load.New(o)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	stop := s.showLoad(g)
	report, err := g.Run(ctx)
	stop()
	if err == nil {
		err = s.printLoad(report)
	}
	if missing := report.Sent() - report.Acknowledged; err == nil && missing > 0 {
		err = fmt.Errorf("%d webhooks were not accepted", missing)
	}
	return errors.Join(err, ctx.Err())
}

// showLoad shows on a terminal how the load goes, until the returned function is called.
func (s *sending) showLoad(g *load.Generator) (stop func()) {
	if !isTerminal(s.std.err) {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() { // until stop
		defer close(done)
		line := meter{w: s.std.err}
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		before := int64(0)
		for {
			select {
			case <-ticker.C:
				now := g.Acknowledged()
				line.clear()
				fmt.Fprintf(s.std.err, "%d accepted, %.0f a second", now, float64(now-before)/progressEvery.Seconds())
				before = now
			case <-quit:
				line.clear()
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

// loadReport is what -o json prints.
type loadReport struct {
	Sent       int64            `json:"sent"`
	Accepted   int64            `json:"accepted"`
	Duplicates int64            `json:"duplicates"`
	Refused    map[string]int64 `json:"refused"` // by status
	Failed     int64            `json:"failed"`
	Failure    string           `json:"failure,omitempty"` // of the first that failed
	Seconds    float64          `json:"seconds"`
	PerSecond  float64          `json:"accepted_per_second"`
	Latency    struct {         // milliseconds
		P50 float64 `json:"p50"`
		P90 float64 `json:"p90"`
		P99 float64 `json:"p99"`
		Max float64 `json:"max"`
	} `json:"latency_ms"`
}

func (s *sending) printLoad(r load.Report) error {
	perSecond := 0.0
	if r.Took > 0 {
		perSecond = float64(r.Acknowledged) / r.Took.Seconds()
	}
	if s.load.format == "json" {
		out := loadReport{
			Sent: r.Sent(), Accepted: r.Acknowledged, Duplicates: r.Duplicates, Refused: map[string]int64{}, Failed: r.Failed,
			Seconds: r.Took.Seconds(), PerSecond: perSecond,
		}
		for status, n := range r.Refused {
			out.Refused[strconv.Itoa(status)] = n
		}
		if r.Failure != nil {
			out.Failure = r.Failure.Error()
		}
		ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
		l := &out.Latency
		l.P50, l.P90, l.P99, l.Max = ms(r.Latency.Quantile(0.5)), ms(r.Latency.Quantile(0.9)), ms(r.Latency.Quantile(0.99)), ms(r.Latency.Max())
		return printJSON(s.std.out, out)
	}
	t := newTable(s.std.out, "SENT", "ACCEPTED", "NOT", "PER SECOND", "P50", "P90", "P99", "SLOWEST")
	brief := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	q := r.Latency.Quantile
	t.AppendRow([]any{
		r.Sent(), r.Acknowledged, r.Sent() - r.Acknowledged, fmt.Sprintf("%.0f", perSecond),
		brief(q(0.5)), brief(q(0.9)), brief(q(0.99)), brief(r.Latency.Max()),
	})
	printTable(s.std.out, t)
	s.explainLoad(r)
	return nil
}

// explainLoad tells what else than an acceptance there was.
func (s *sending) explainLoad(r load.Report) {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(r.Refused)) {
		parts = append(parts, fmt.Sprintf("%d were answered with %d", r.Refused[status], status))
	}
	if r.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d got no answer, the first: %s", r.Failed, printable(r.Failure.Error())))
	}
	if r.Duplicates > 0 {
		parts = append(parts, fmt.Sprintf("%d were taken for retries", r.Duplicates))
	}
	if len(parts) > 0 {
		fmt.Fprintln(s.std.out, strings.Join(parts, "; "))
	}
}
