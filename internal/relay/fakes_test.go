package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

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
	commits []relay.Settled
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

func (s *source) Commit(settled relay.Settled) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.commitErr != nil {
		if err := s.commitErr(); err != nil {
			return err
		}
	}
	settled.Sequences = slices.Clone(settled.Sequences)
	s.next = settled.Next
	s.commits = append(s.commits, settled)
	return nil
}

// total is what was committed, all in all.
func (s *source) total() (total relay.Settled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.commits {
		total.Next = c.Next
		total.Delivered += c.Delivered
		total.Sent += c.Sent
		total.Filtered += c.Filtered
		total.Dead += c.Dead
		total.Sequences = append(total.Sequences, c.Sequences...)
	}
	return total
}

// letters are dead letters in memory.
type letters struct {
	mu     sync.Mutex
	stored []relay.Letter
	puts   int
	// err is asked before each Put. Nil is no error.
	err func() error
}

func (l *letters) Put(list []relay.Letter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.puts++
	if l.err != nil {
		if err := l.err(); err != nil {
			return err
		}
	}
	for _, x := range list {
		x.Body = bytes.Clone(x.Body)
		l.stored = append(l.stored, x)
	}
	return nil
}

func (l *letters) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = func() error { return err }
}

// list shows each stored letter as its sequence and reason.
func (l *letters) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []string
	for _, x := range l.stored {
		list = append(list, fmt.Sprint(x.Sequence, " ", x.Reason))
	}
	return list
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
