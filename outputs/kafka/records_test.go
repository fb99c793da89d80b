package kafka_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/kafka"
)

// TestRecord is what a consumer sees of an event.
func TestRecord(t *testing.T) {
	f := newFake(t, nil)
	out := open(t, f.config(), kafka.Options{Headers: []kafka.Header{{Key: "ecs.version", Value: "9.4.0"}, {Key: "content-type", Value: "application/json"}}})
	var acks, wait atomic.Int64
	f.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		acks.Store(int64(req.(*kmsg.ProduceRequest).Acks))
		wait.Store(int64(req.(*kmsg.ProduceRequest).TimeoutMillis))
		return nil, nil, false
	})
	m := message(7, "a%2Fb")
	m.Accepted = time.UnixMilli(1_790_000_000_123).Add(456 * time.Microsecond)
	send(t, out, []outputs.Message{m})
	if acks.Load() != -1 || wait.Load() != 3750 { // all replicas, and less than our own 5 s
		t.Errorf("the request asks for %d acks within %d ms", acks.Load(), wait.Load())
	}
	r := f.records()[0]
	if string(r.Key) != m.Key || string(r.Value) != string(m.Body) || !r.Timestamp.Equal(time.UnixMilli(1_790_000_000_123)) {
		t.Errorf("key %q, value %q, time %v", r.Key, r.Value, r.Timestamp)
	}
	want := "[{event.id 00000000000000000000000000000007} {event.dataset defensecom.threat} {event.kind alert} {ecs.version 9.4.0} {content-type application/json}]"
	if got := headers(r); got != want {
		t.Errorf("headers are %s\nwant %s", got, want)
	}
}

func headers(r *kgo.Record) string {
	type pair struct{ Key, Value string }
	var list []pair
	for _, h := range r.Headers {
		list = append(list, pair{h.Key, string(h.Value)})
	}
	return fmt.Sprint(list)
}

// TestPartitioner holds the partitioner to the vectors of the Java client
// (org.apache.kafka.common.utils.UtilsTest.testMurmur2).
func TestPartitioner(t *testing.T) {
	const partitions = 97
	f := newFake(t, nil)
	f.create("wide", partitions, nil)
	c := f.config()
	c.Topic = "wide"
	out := open(t, c, kafka.Options{})
	vectors := map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	}
	for key := range vectors {
		m := message(1, "")
		m.Key = key
		send(t, out, []outputs.Message{m})
	}
	records := f.records("wide")
	if len(records) != len(vectors) {
		t.Errorf("%d records, want %d", len(records), len(vectors))
	}
	for _, r := range records {
		if want := (vectors[string(r.Key)] & 0x7fffffff) % partitions; r.Partition != want {
			t.Errorf("key %q is in partition %d, want %d", r.Key, r.Partition, want)
		}
	}
}

// TestRouting: the topic of the company comes first, then that of the kind.
func TestRouting(t *testing.T) {
	f := newFake(t, nil)
	for _, name := range []string{"threats", "rest", "acme"} {
		f.create(name, 2, nil)
	}
	c := f.config()
	c.Topic, c.Topics.Threat = "rest", "threats"
	out := open(t, c, kafka.Options{CompanyTopics: map[string]string{"17": "acme"}})
	var batch []outputs.Message
	for i, x := range []struct{ kind, company, topic string }{
		{"threat", "17", "acme"}, {"ticket", "17", "acme"}, {"threat", "18", "threats"}, {"ticket", "18", "rest"}, {"other", "", "rest"}, {"threat", "", "threats"},
	} {
		m := message(i, x.company)
		m.Kind, m.Company, m.Body = x.kind, x.company, []byte(x.topic)
		batch = append(batch, m)
	}
	send(t, out, batch)
	got := f.records("threats", "rest", "acme")
	if len(got) != len(batch) {
		t.Errorf("%d records, want %d", len(got), len(batch))
	}
	for _, r := range got {
		if r.Topic != string(r.Value) {
			t.Errorf("an event for topic %s is in %s", r.Value, r.Topic)
		}
	}
}
