package kafka_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/kafka"
)

const topic = "events"

// fake is a cluster that a test controls, with a consumer that is not our own code.
type fake struct {
	tb      testing.TB
	cluster *kfake.Cluster
	reader  *kgo.Client
	got     []*kgo.Record

	mu    sync.Mutex
	fault func(req kmsg.Request) (kmsg.Response, error, bool)
}

// newFake starts a cluster of three brokers that has the topic "events" with four
// partitions. Options of the reader are for clusters that want TLS or a login.
func newFake(tb testing.TB, reader []kgo.Opt, o ...kfake.Opt) *fake {
	tb.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3)}, o...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	f := &fake{tb: tb, cluster: c}
	f.create(topic, 4, nil)
	c.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		f.mu.Lock()
		fault := f.fault
		f.mu.Unlock()
		if fault == nil {
			return nil, nil, false
		}
		return fault(req)
	})
	f.reader, err = kgo.NewClient(append(reader, kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics(".*"), kgo.ConsumeRegex(),
		kgo.FetchMaxWait(20*time.Millisecond), kgo.MetadataMinAge(10*time.Millisecond), kgo.MetadataMaxAge(100*time.Millisecond))...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(f.reader.Close)
	return f
}

func (f *fake) create(name string, partitions int32, config map[string]string) {
	f.tb.Helper()
	if err := f.cluster.CreateTopic(name, partitions, config); err != nil {
		f.tb.Fatal(err)
	}
}

// during has fault answer every request until it is nil.
func (f *fake) during(fault func(req kmsg.Request) (kmsg.Response, error, bool)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

var errDown = errors.New("down")

// down hangs up on whoever produces.
func down(req kmsg.Request) (kmsg.Response, error, bool) {
	switch req.Key() {
	case int16(kmsg.Produce), int16(kmsg.InitProducerID):
		return nil, errDown, true
	}
	return nil, nil, false
}

// silent never answers whoever produces.
func silent(req kmsg.Request) (kmsg.Response, error, bool) {
	return nil, nil, req.Key() == int16(kmsg.Produce)
}

// records are all that the topics have, partition by partition in their order.
func (f *fake) records(topics ...string) []*kgo.Record {
	f.tb.Helper()
	if len(topics) == 0 {
		topics = []string{topic}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var all []*kgo.Record
	for _, name := range topics {
		for _, p := range f.cluster.PartitionInfos(name) {
			for {
				list := recordsOf(f.got, name, p.Partition)
				if int64(len(list)) == p.HighWatermark {
					all = append(all, list...)
					break
				}
				fetches := f.reader.PollFetches(ctx)
				if ctx.Err() != nil {
					f.tb.Fatalf("partition %d of %s has %d records, but only %d could be read: %v", p.Partition, name, p.HighWatermark, len(list), fetches.Err())
				}
				f.got = append(f.got, fetches.Records()...)
			}
		}
	}
	return all
}

func recordsOf(list []*kgo.Record, topic string, partition int32) []*kgo.Record {
	var found []*kgo.Record
	for _, r := range list {
		if r.Topic == topic && r.Partition == partition {
			found = append(found, r)
		}
	}
	return found
}

// config is that of an output of the cluster.
func (f *fake) config() kafka.Config {
	c := kafka.Default()
	c.Brokers = f.cluster.ListenAddrs()
	c.Topic = topic
	c.Timeout = 5 * time.Second
	return c
}

func open(tb testing.TB, c kafka.Config, o kafka.Options) outputs.Output {
	tb.Helper()
	out, err := kafka.New(c, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = out.Close() })
	return out
}

// message makes the nth event of a record.
func message(n int, record string) outputs.Message {
	return outputs.Message{
		ID: fmt.Sprintf("%032x", n), Key: "threat/17/" + record, Kind: "threat", Company: "17", Dataset: "defensecom.threat",
		EventKind: "alert", Accepted: time.UnixMilli(1_790_000_000_000 + int64(n)), Sequence: uint64(n),
		Body: fmt.Appendf(nil, `{"n":%d,"record":%q}`, n, record),
	}
}

// messages makes n events of seven records.
func messages(from, n int) []outputs.Message {
	list := make([]outputs.Message, n)
	for i := range list {
		list[i] = message(from+i, fmt.Sprint("rec-", (from+i)%7))
	}
	return list
}

// large makes a body of n bytes that can't be compressed.
func large(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func send(tb testing.TB, out outputs.Output, batch []outputs.Message) {
	tb.Helper()
	if err := out.Send(tb.Context(), batch); err != nil {
		tb.Fatalf("send %d messages: %v", len(batch), err)
	}
}

// deliver sends until all is settled, as the relay does, and returns what was refused.
func deliver(tb testing.TB, out outputs.Output, batch []outputs.Message) (refused []outputs.Message, reasons []error) {
	tb.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for len(batch) > 0 {
		err := out.Send(tb.Context(), batch)
		var p *outputs.Partial
		switch {
		case err == nil:
			return refused, reasons
		case errors.As(err, &p):
			var left []outputs.Message
			for i, r := range p.Results {
				switch r.Status {
				case outputs.Retry:
					left = append(left, batch[i])
				case outputs.Refused:
					refused, reasons = append(refused, batch[i]), append(reasons, r.Err)
				case outputs.Done:
				}
			}
			batch = left
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%d messages can't be delivered: %v", len(batch), err)
		}
	}
	return refused, reasons
}

// inOrder checks that the records are those of the messages, each exactly once, and
// in order for each key.
func inOrder(tb testing.TB, records []*kgo.Record, want []outputs.Message) {
	tb.Helper()
	seen := map[string]int{}
	byKey := map[string][]string{}
	for _, r := range records {
		id := header(r, "event.id")
		if seen[id]++; seen[id] == 1 {
			byKey[string(r.Key)] = append(byKey[string(r.Key)], id)
		} else {
			tb.Errorf("event %s is there %d times", strings.TrimLeft(id, "0"), seen[id])
		}
	}
	wantByKey := map[string][]string{}
	for _, m := range want {
		wantByKey[m.Key] = append(wantByKey[m.Key], m.ID)
	}
	for key, ids := range wantByKey {
		if fmt.Sprint(byKey[key]) != fmt.Sprint(ids) {
			tb.Errorf("key %s has %d events, want %d in the order of acceptance:\n%v\n%v", key, len(byKey[key]), len(ids), byKey[key], ids)
		}
	}
	if len(seen) != len(want) {
		tb.Errorf("%d events arrived, want %d", len(seen), len(want))
	}
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// fakeGoroutines are those of the cluster and of the consumer.
func fakeGoroutines() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).write"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read.func1"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kgo.(*Client).updateMetadataLoop"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kgo.(*source).fetch"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kgo.(*fetchManager).manageFetchConcurrency"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kgo.(*broker).handleReqs"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kgo.(*brokerCxn).handleResps"),
	}
}
