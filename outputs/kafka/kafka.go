// Package kafka is the output that produces events to Kafka topics.
//
// It guarantees that a Send that returned nil has its events acknowledged by all
// in-sync replicas (acks=all), and that nothing is queued or sent behind Send's back:
// it keeps no message, starts no goroutine that outlives Send, and has one request
// in flight for each partition. What it could not learn the fate of, after a timeout
// or a broken connection, is to be sent again. Where the cluster gives out producer
// ids (Kafka 0.11 and later) that costs no duplicate: the same messages come again
// with the same sequence numbers, and the partition's leader takes them once, however
// late the first request lands. A restart of siemrelay is a new producer, so what was
// in flight then may be there twice, with the same event.id.
//
// Messages of one Key are in one partition, that which a Java producer would choose,
// in order; new partitions of a topic change which. A message that the broker will
// not take, because of its size or its contents, is refused alone: its batch is halved
// until it is found.
//
// Of the library it uses the protocol, not the Writer nor the Client: those route and
// retry by themselves on connections of their own, and mark no batches.
//
// It refuses to know formats: a body is bytes, and headers that depend on the format
// are given to New.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
)

// Options are what an output needs besides its configuration.
type Options struct {
	// CompanyTopics has the topic of every event of a company, by its id. It comes
	// before the topics of the configuration.
	CompanyTopics map[string]string
	// Headers are on every record, after event.id, event.dataset and event.kind.
	Headers []Header
	// Logger is told of what is odd but stops nothing. Nil discards.
	Logger *slog.Logger
	// Now is the clock that tells how old knowledge of the cluster is and how long a
	// connection was idle; nil is time.Now.
	Now func() time.Time
}

// New makes an output from a configuration. It connects to nothing; the error is
// about the configuration.
func New(c Config, o Options) (outputs.Output, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(o.CompanyTopics)) {
		if name := o.CompanyTopics[id]; !isTopic(name) {
			return nil, fmt.Errorf("check kafka output: the topic %q of company %s %s", name, id, topicForm)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if c.TLS.InsecureSkipVerify {
		o.Logger.Warn("tls.insecure_skip_verify is set: anybody on the way to the brokers can read and change events, and learn the password")
	}
	if c.SASL.Mechanism == "PLAIN" && !c.TLS.Enabled {
		o.Logger.Warn("sasl.mechanism PLAIN without tls sends the password readable")
	}
	return &output{
		config:  c,
		company: maps.Clone(o.CompanyTopics),
		encoder: newEncoder(codecs()[c.Compression], slices.Clone(o.Headers)),
		cluster: newCluster(&dialer{config: c, log: o.Logger, now: o.Now}, c.Brokers, o.Now),
		log:     o.Logger,
		now:     o.Now,
		slots:   map[slotKey]*slot{},
	}, nil
}

// output is used by one goroutine at a time. During a Send one goroutine for each
// broker has that broker and the lanes that it leads to itself.
type output struct {
	config  Config
	company map[string]string // id to topic
	encoder encoder
	cluster *cluster
	log     *slog.Logger
	now     func() time.Time

	producer producer
	slots    map[slotKey]*slot
}

// topicOf is where a message goes: the topic of its company, else that of its kind,
// else the one for all.
func (o *output) topicOf(m *outputs.Message) string {
	if name := o.company[m.Company]; name != "" {
		return name
	}
	var name string
	switch m.Kind {
	case "threat":
		name = o.config.Topics.Threat
	case "ticket":
		name = o.config.Topics.Ticket
	default:
		name = o.config.Topics.Other
	}
	if name == "" {
		name = o.config.Topic
	}
	return name
}

// topicNames are all topics that events may go to.
func (o *output) topicNames() []string {
	t := o.config.Topics
	names := append([]string{o.config.Topic, t.Threat, t.Ticket, t.Other}, slices.Collect(maps.Values(o.company))...)
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	slices.Sort(names)
	return slices.Compact(names)
}

// Send implements outputs.Output. It returns within the timeout of the configuration
// for each request that the batch takes, most often one for each broker.
func (o *output) Send(ctx context.Context, batch []outputs.Message) error {
	if ctx.Err() != nil {
		return fmt.Errorf("produce: %w", context.Cause(ctx))
	}
	s := newSending(batch)
	names := make(map[string]bool)
	for i := range batch {
		names[o.topicOf(&batch[i])] = true
	}
	if err := o.learn(ctx, slices.Sorted(maps.Keys(names))); err != nil {
		return err
	}
	o.plan(s)
	if err := o.number(ctx, s); err != nil {
		return err
	}
	o.produce(ctx, s)
	for _, l := range s.lanes {
		if l.moved {
			o.cluster.forget(l.key.topic)
		}
		if l.confused || l.halved {
			o.producer.lost = true
		}
	}
	return s.outcome()
}

// learn finds out where the topics are, and makes those that are missing if it may.
func (o *output) learn(ctx context.Context, names []string) error {
	if err := o.cluster.learn(ctx, names); err != nil {
		return err
	}
	if !o.config.CreateTopics {
		return nil
	}
	return o.create(ctx, names)
}

// Close implements outputs.Output.
func (o *output) Close() error {
	o.cluster.close()
	return nil
}

// sending is what becomes of one batch.
type sending struct {
	batch   []outputs.Message
	results []outputs.Result
	lanes   []*lane
}

var errNotReached = errors.New("was not reached")

func newSending(batch []outputs.Message) *sending {
	s := &sending{batch: batch, results: make([]outputs.Result, len(batch))}
	notReached := &outputs.Transient{Err: errNotReached}
	for i := range s.results {
		s.results[i] = outputs.Result{Status: outputs.Retry, Err: notReached}
	}
	return s
}

// outcome is what Send returns. A batch of which nothing was taken or refused, and no
// message is to blame, is one error.
func (s *sending) outcome() error {
	var first error
	done, whole, mended := 0, true, true
	for _, r := range s.results {
		switch r.Status {
		case outputs.Done:
			done++
			whole = false
		case outputs.Refused:
			whole = false
		case outputs.Retry:
			if first == nil {
				first = r.Err
			}
			whole = whole && outputs.IsTransient(r.Err)
			mended = mended && isNotReady(r.Err) == isNotReady(first)
		}
	}
	switch {
	case done == len(s.results):
		return nil
	case whole && mended:
		return first
	}
	return &outputs.Partial{Results: s.results}
}
