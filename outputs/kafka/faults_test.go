package kafka_test

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/kafka"
)

// TestLateRequest: a request that the broker carries out long after its Send has given
// up comes too late to repeat or reorder anything.
func TestLateRequest(t *testing.T) {
	for name, numbered := range map[string]bool{"numbered": true, "without producer ids": false} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, nil)
			if !numbered {
				f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.ClusterAuthorizationFailed, Count: -1})
			}
			var late atomic.Bool
			release, landed := make(chan struct{}), make(chan struct{})
			f.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
				if !late.Swap(true) { // the first request only
					f.cluster.SleepControl(func() { <-release })
					close(landed)
				}
				return nil, nil, false
			})
			c := f.config()
			c.Timeout = 300 * time.Millisecond
			out := open(t, c, kafka.Options{})
			all := messages(1, 60)
			first := slices.Clone(all[:20])
			for i := range first {
				first[i].Key = all[0].Key // one partition, so that one request is late
			}
			copy(all, first)
			if err := out.Send(t.Context(), first); err == nil || !outputs.IsTransient(err) {
				t.Fatalf("the broker did not answer, and Send returned %v", err)
			}
			send(t, out, first)
			send(t, out, all[20:40])
			close(release)
			<-landed
			send(t, out, all[40:])
			records := f.records()
			if !numbered {
				if len(records) != len(all)+len(first) {
					t.Errorf("%d records, want %d: the late request did not land, so the test shows nothing", len(records), len(all)+len(first))
				}
				records = firsts(records)
			}
			inOrder(t, records, all)
		})
	}
}

// firsts leaves out repeats, as a consumer does.
func firsts(records []*kgo.Record) []*kgo.Record {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(records), func(r *kgo.Record) bool {
		id := header(r, "event.id")
		defer func() { seen[id] = true }()
		return seen[id]
	})
}

// TestDoubtfulBatchThatDoesNotComeAgain: its numbers may be used up or not, and others
// are delivered all the same.
func TestDoubtfulBatchThatDoesNotComeAgain(t *testing.T) {
	f := newFake(t, nil)
	out := open(t, f.config(), kafka.Options{})
	all := messages(1, 50)
	send(t, out, all[:10])
	for i, stored := range []bool{true, false} {
		var fault *kfake.FaultHandle
		if stored {
			fault = f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut, Count: -1})
		} else {
			f.during(down)
		}
		if err := out.Send(t.Context(), all[10:20]); err == nil {
			t.Fatal("Send returned nil")
		}
		if stored {
			fault.Remove()
		} else {
			f.during(nil)
		}
		deliver(t, out, all[20+10*i:30+10*i])
	}
	deliver(t, out, all[10:20])
	if got := firsts(f.records()); len(got) != 40 {
		t.Errorf("%d events arrived, want 40", len(got))
	}
}

// TestDoubtfulBatchComesWithOthers: it is told apart from them, and is not there twice.
func TestDoubtfulBatchComesWithOthers(t *testing.T) {
	f := newFake(t, nil)
	out := open(t, f.config(), kafka.Options{})
	batch := marked(30)
	f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicasAfterAppend})
	if err := out.Send(t.Context(), batch[:10]); err == nil || !outputs.IsTransient(err) {
		t.Fatalf("Send returned %v", err)
	}
	send(t, out, batch)
	inOrder(t, f.records(), batch)
}

// TestIDsComeLate: a broker that has no producer id left gets some within a moment.
func TestIDsComeLate(t *testing.T) {
	f := newFake(t, nil)
	f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.CoordinatorLoadInProgress, Count: 2, TopLevel: true})
	out := open(t, f.config(), kafka.Options{})
	send(t, out, messages(1, 10))
	inOrder(t, f.records(), messages(1, 10))
}

// TestTooLarge: of a thousand messages ten are larger than the topic takes.
func TestTooLarge(t *testing.T) {
	for _, compression := range []string{"none", "zstd"} {
		t.Run(compression, func(t *testing.T) {
			f := newFake(t, nil)
			f.create("small", 3, map[string]string{"max.message.bytes": "50000"})
			c := f.config()
			c.Topic, c.Compression = "small", compression
			out := open(t, c, kafka.Options{})
			batch := messages(1, 1000)
			var want []outputs.Message
			for i := range batch {
				if i%100 == 50 {
					batch[i].Body = large(60_000)
				} else {
					want = append(want, batch[i])
				}
			}
			requests := f.count(kmsg.Produce)
			no, reasons := deliver(t, out, batch)
			if len(no) != 10 {
				t.Fatalf("%d messages were refused, want 10", len(no))
			}
			for i, m := range no {
				if len(m.Body) != 60_000 {
					t.Errorf("message %s was refused, and it is small", m.ID)
				}
				if text := reasons[i].Error(); !strings.Contains(text, "takes 60") || !strings.Contains(text, "max.message.bytes") {
					t.Errorf("the reason is %q: it does not tell the size", text)
				}
			}
			inOrder(t, f.records("small"), want)
			t.Logf("%d produce requests", requests())
			if requests() > 100 {
				t.Errorf("it took %d produce requests", requests())
			}
		})
	}
}

// count counts requests from now on.
func (f *fake) count(key kmsg.Key) func() int64 {
	h := f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Observe: true, Count: -1})
	return func() int64 { return int64(h.Hits()) }
}

// withMarker fails every batch with a message that has the marker.
func (f *fake) withMarker(e *kerr.Error) {
	f.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Err: e, Count: -1,
		When: func(req kmsg.Request) bool { return contains(req.(*kmsg.ProduceRequest), marker) },
	})
}

const marker = "the-broker-hates-this"

// marked makes messages of one record of which some have the marker.
func marked(n int, bad ...int) []outputs.Message {
	batch := make([]outputs.Message, n)
	for i := range batch {
		batch[i] = message(i+1, "one")
		if slices.Contains(bad, i) {
			batch[i].Body = []byte(marker)
		}
	}
	return batch
}

// TestBadRecord: a message that the broker refuses is found among its neighbours.
func TestBadRecord(t *testing.T) {
	f := newFake(t, nil)
	f.withMarker(kerr.InvalidRecord)
	c := f.config()
	c.Compression = "none"
	out := open(t, c, kafka.Options{})
	batch := marked(300, 0, 7, 8, 299)
	no, _ := deliver(t, out, batch)
	if len(no) != 4 {
		t.Fatalf("%d messages were refused, want 4", len(no))
	}
	want := slices.DeleteFunc(slices.Clone(batch), func(m outputs.Message) bool { return string(m.Body) == marker })
	inOrder(t, f.records(), want)
}

// TestPoison: a message that the broker fails at is the one that is blamed; those before
// it arrive, those after it wait.
func TestPoison(t *testing.T) {
	f := newFake(t, nil)
	f.withMarker(kerr.UnknownServerError)
	c := f.config()
	c.Compression = "none"
	out := open(t, c, kafka.Options{})
	batch := marked(100, 60)
	err := out.Send(t.Context(), batch)
	var p *outputs.Partial
	if !errors.As(err, &p) {
		t.Fatalf("Send returned %v", err)
	}
	for i, r := range p.Results {
		switch {
		case i < 60 && r.Status != outputs.Done:
			t.Errorf("message %d before the bad one is %v: %v", i, r.Status, r.Err)
		case i == 60 && (r.Status != outputs.Retry || outputs.IsTransient(r.Err)):
			t.Errorf("the bad message is %v: %v", r.Status, r.Err)
		case i > 60 && (r.Status != outputs.Retry || !outputs.IsTransient(r.Err)):
			t.Errorf("message %d after the bad one is %v: %v", i, r.Status, r.Err)
		}
	}
}
