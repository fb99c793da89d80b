package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a spool in memory.
type source struct {
	mu      sync.Mutex
	raws    []normalize.Raw
	at      int    // of the next event
	next    uint64 // the cursor
	more    chan struct{}
	lent    []byte // the body that the last Next returned
	commits []uint64
	// readErr and commitErr are asked before each call. Nil is no error.
	readErr, commitErr func() error
}

func newSource(raws ...normalize.Raw) *source {
	return &source{raws: raws, next: 1, more: make(chan struct{})}
}

// Next lends a body, and overwrites the one that it lent before.
func (s *source) Next() (normalize.Raw, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readErr != nil {
		if err := s.readErr(); err != nil {
			return normalize.Raw{}, false, err
		}
	}
	for i := range s.lent {
		s.lent[i] = '!'
	}
	if s.at == len(s.raws) {
		s.lent = nil
		return normalize.Raw{}, false, nil
	}
	raw := s.raws[s.at]
	s.at++
	s.lent = bytes.Clone(raw.Body)
	raw.Body = s.lent
	return raw, true, nil
}

func (s *source) Ready() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at < len(s.raws) {
		c := make(chan struct{})
		close(c)
		return c
	}
	return s.more
}

func (s *source) Commit(next uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.commitErr != nil {
		if err := s.commitErr(); err != nil {
			return err
		}
	}
	s.next = next
	s.commits = append(s.commits, next)
	return nil
}

// add accepts events.
func (s *source) add(raws ...normalize.Raw) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raws = append(s.raws, raws...)
	close(s.more)
	s.more = make(chan struct{})
}

func (s *source) cursor() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

// event is a threat's update; text is in its title.
func event(sequence int, record, text string) normalize.Raw {
	return normalize.Raw{
		ID:       fmt.Sprintf("%032x", sequence),
		Sequence: uint64(sequence),
		Accepted: time.Unix(1_800_000_000, int64(sequence)).UTC(),
		Body: fmt.Appendf(nil, `{"record_type":"threat","trigger_action":"update","id":%q,"company_id":17,"title":%q}`,
			record, text),
	}
}

// events are n events of seven records.
func events(n int) []normalize.Raw {
	var raws []normalize.Raw
	for i := 1; i <= n; i++ {
		raws = append(raws, event(i, fmt.Sprint("rec-", i%7), "x"))
	}
	return raws
}

// output is a receiver in memory; answer, which may be nil, says what becomes of a
// batch. Only what it calls done is delivered.
type output struct {
	mu        sync.Mutex
	answer    func(ctx context.Context, batch []outputs.Message) error
	sends     [][]uint64 // the sequences of each Send
	times     []time.Time
	delivered []outputs.Message
}

func (o *output) Send(ctx context.Context, batch []outputs.Message) error {
	o.mu.Lock()
	o.sends = append(o.sends, sequences(batch))
	o.times = append(o.times, time.Now())
	answer := o.answer
	o.mu.Unlock()
	var err error
	if answer != nil {
		err = answer(ctx, batch)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var p *outputs.Partial
	partial := errors.As(err, &p) && p != nil && len(p.Results) == len(batch)
	for i, m := range batch {
		if err == nil || partial && p.Results[i].Status == outputs.Done {
			m.Body = bytes.Clone(m.Body)
			o.delivered = append(o.delivered, m)
		}
	}
	return err
}

func (o *output) Close() error { return nil }

// set changes what becomes of batches.
func (o *output) set(answer func(ctx context.Context, batch []outputs.Message) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = answer
}

func fails(err error) func(context.Context, []outputs.Message) error {
	return func(context.Context, []outputs.Message) error { return err }
}

// script answers the first Sends one by one, and all later ones with nil.
func script(answers ...func(ctx context.Context, batch []outputs.Message) error) func(context.Context, []outputs.Message) error {
	return func(ctx context.Context, batch []outputs.Message) error {
		if len(answers) == 0 {
			return nil
		}
		answer := answers[0]
		answers = answers[1:]
		return answer(ctx, batch)
	}
}

func (o *output) sent() [][]uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.sends)
}

func (o *output) got() []uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return sequences(o.delivered)
}

func sequences(batch []outputs.Message) []uint64 {
	var list []uint64
	for _, m := range batch {
		list = append(list, m.Sequence)
	}
	return list
}

func upTo(n int) []uint64 {
	var list []uint64
	for i := 1; i <= n; i++ {
		list = append(list, uint64(i))
	}
	return list
}

// rig is a relay with its surroundings.
type rig struct {
	t      *testing.T
	source *source
	output *output
	log    logBuffer
	reg    *prometheus.Registry
	stop   context.CancelFunc
	done   chan error
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
		Name: "test", Source: s, Mapping: mapping(t), Encode: encodeKey, Namespace: "default", Output: o,
		Batch:   relay.Batch{MaxEvents: 10, MaxBytes: 1 << 20, MaxWait: 0},
		Retry:   relay.Retry{Min: time.Second, Max: 20 * time.Second},
		Logger:  slog.New(slog.NewTextHandler(&r.log, nil)),
		Metrics: relay.NewMetrics(r.reg),
		Rand:    func() float64 { return 0 },
	}
	for _, f := range set {
		f(&options)
	}
	rl, err := relay.New(options)
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	go func() { r.done <- rl.Run(ctx) }()
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
	for _, state := range []string{"ok", "retrying", "paused"} {
		if is := r.metric("siemrelay_output_state", state) == 1; is != (state == want) {
			r.t.Errorf("siemrelay_output_state{state=%q} is %v, want the state %s", state, is, want)
		}
	}
}

func mapping(tb testing.TB) *normalize.Mapping {
	tb.Helper()
	m, err := normalize.ParseMapping(mappings.File, mappings.Defensecom(), normalize.MappingOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// encodeKey writes what a test can recognise an event by.
func encodeKey(dst []byte, e *normalize.Event) []byte {
	return fmt.Appendf(dst, "%d %s %s", e.Sequence, e.Key, e.EventKind)
}
