package relay_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/siemrelay/siemrelay/internal/relay"
)

// rig is a relay with its surroundings.
type rig struct {
	t      *testing.T
	source *source
	output *output
	// letters are where dead letters go.
	letters letters
	relay   *relay.Relay
	log     logBuffer
	reg     *prometheus.Registry
	stop    context.CancelFunc
	done    chan error
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start runs a relay inside a synctest bubble. The waits are as long as they can be.
func start(t *testing.T, s *source, o *output, set ...func(o *relay.Options)) *rig {
	t.Helper()
	r := &rig{t: t, source: s, output: o, reg: prometheus.NewRegistry(), done: make(chan error, 1)}
	options := relay.Options{
		Name: "test", Lanes: []relay.Lane{{Source: s}}, Letters: &r.letters,
		Mapping: mapping(t), Encode: encodeKey, Namespace: "default", Output: o,
		Batch:   relay.Batch{MaxEvents: 10, MaxBytes: 1 << 20, MaxWait: 0},
		Retry:   relay.Retry{Min: time.Second, Max: 20 * time.Second},
		Logger:  slog.New(slog.NewTextHandler(&r.log, nil)).With("output", "test"),
		Metrics: relay.NewMetrics(r.reg),
		Rand:    func() float64 { return 0 },
	}
	for _, f := range set {
		f(&options)
	}
	var err error
	if r.relay, err = relay.New(options); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	go func() { r.done <- r.relay.Run(ctx) }()
	synctest.Wait()
	return r
}

// end stops the relay and waits for it.
func (r *rig) end() {
	r.t.Helper()
	r.stop()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run returned %v, want nil", err)
	}
}

// after lets time pass.
func (r *rig) after(d time.Duration) {
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
}

// lines counts the log lines that contain text.
func (r *rig) lines(text string) int {
	n := 0
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (r *rig) wantLines(want int, text string) {
	r.t.Helper()
	if n := r.lines(text); n != want {
		r.t.Errorf("the log has %d lines with %q, want %d:\n%s", n, text, want, r.log.String())
	}
}

func (r *rig) wantDelivered(want ...uint64) {
	r.t.Helper()
	if got := r.output.got(); !slices.Equal(got, want) {
		r.t.Errorf("delivered %v, want %v", got, want)
	}
}

func (r *rig) wantSent(want ...[]uint64) {
	r.t.Helper()
	if got := r.output.sent(); !slices.EqualFunc(got, want, slices.Equal) {
		r.t.Errorf("sent %v, want %v", got, want)
	}
}

func (r *rig) wantCursor(want uint64) {
	r.t.Helper()
	if got := r.source.cursor(); got != want {
		r.t.Errorf("the cursor is at %d, want %d", got, want)
	}
}

func (r *rig) wantLetters(want ...string) {
	r.t.Helper()
	if got := r.letters.list(); !slices.Equal(got, want) {
		r.t.Errorf("dead letters are %q, want %q", got, want)
	}
}

// wantSettled checks what was committed, all in all: delivered, filtered, dead.
func (r *rig) wantSettled(want ...uint64) {
	r.t.Helper()
	c := r.source.total()
	if got := []uint64{c.Delivered, c.Filtered, c.Dead}; !slices.Equal(got, want) {
		r.t.Errorf("committed are %v events delivered, filtered, dead, want %v", got, want)
	}
}

// metric returns the value of the counter or gauge with the given labels.
func (r *rig) metric(name string, labels ...string) float64 {
	r.t.Helper()
	m := r.find(name, labels...)
	if m.GetGauge() != nil {
		return m.GetGauge().GetValue()
	}
	return m.GetCounter().GetValue()
}

func (r *rig) find(name string, labels ...string) *dto.Metric {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if family.GetName() == name && slices.Equal(values, append([]string{"test"}, labels...)) {
				return m
			}
		}
	}
	r.t.Fatalf("there is no metric %s%q", name, labels)
	return nil
}

func (r *rig) wantState(want string) {
	r.t.Helper()
	if got := r.relay.Status().State; got != want {
		r.t.Errorf("the status is %s, want %s", got, want)
	}
	for _, state := range []string{"ok", "retrying", "paused"} {
		if is := r.metric("siemrelay_output_state", state) == 1; is != (state == want) {
			r.t.Errorf("siemrelay_output_state{state=%q} is %v, want the state %s", state, is, want)
		}
	}
}
