package kafka_test

import (
	"errors"
	"fmt"
	"maps"
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

// outcome is what Send says of one message that the broker answers with a code.
type outcome string

const (
	retried  outcome = "to be retried, nobody to blame"
	blamed   outcome = "to be retried, the message to blame"
	refused  outcome = "refused"
	notReady outcome = "not ready"
)

// TestErrorCodes has the broker answer with every code that Kafka has.
func TestErrorCodes(t *testing.T) {
	want := map[int16]outcome{}
	for code := int16(-1); code < 200; code++ {
		if code != 0 && kerr.ErrorForCode(code) != kerr.UnknownServerError || code == -1 {
			want[code] = blamed // what is not known to lie with the cluster
		}
	}
	for what, codes := range map[outcome][]*kerr.Error{
		retried: {
			kerr.UnknownTopicOrPartition, kerr.LeaderNotAvailable, kerr.NotLeaderForPartition, kerr.RequestTimedOut, kerr.BrokerNotAvailable,
			kerr.ReplicaNotAvailable, kerr.NetworkException, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.KafkaStorageError,
			kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.ThrottlingQuotaExceeded, kerr.UnknownTopicID, kerr.InconsistentTopicID,
			kerr.OutOfOrderSequenceNumber, kerr.DuplicateSequenceNumber, kerr.InvalidProducerEpoch, kerr.UnknownProducerID, kerr.ProducerFenced,
			kerr.InvalidProducerIDMapping,
		},
		refused: {kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp},
		notReady: {
			kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed, kerr.SaslAuthenticationFailed,
			kerr.IllegalSaslState, kerr.UnsupportedSaslMechanism, kerr.SecurityDisabled, kerr.InvalidTopicException, kerr.PolicyViolation,
			kerr.UnsupportedVersion, kerr.UnsupportedForMessageFormat, kerr.UnsupportedCompressionType, kerr.InvalidRequiredAcks, kerr.InvalidRequest,
		},
	} {
		for _, e := range codes {
			want[e.Code] = what
		}
	}
	f := newFake(t, nil)
	out := open(t, f.config(), kafka.Options{})
	var all []outputs.Message
	for _, code := range slices.Sorted(maps.Keys(want)) {
		e := kerr.TypedErrorForCode(code)
		f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: e})
		m := message(int(code)+2, "one")
		err := out.Send(t.Context(), []outputs.Message{m})
		if got := outcomeOf(err); got != want[code] {
			t.Errorf("%s: %s (%v), want %s", e.Message, got, err, want[code])
		}
		if want[code] != refused {
			deliver(t, out, []outputs.Message{m})
			all = append(all, m)
		}
	}
	inOrder(t, f.records(), all)
}

func outcomeOf(err error) outcome {
	var p *outputs.Partial
	if errors.As(err, &p) {
		if p.Results[0].Status == outputs.Refused {
			return refused
		}
		err = p.Results[0].Err
	}
	var n *outputs.NotReady
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &n):
		return notReady
	case outputs.IsTransient(err):
		return retried
	}
	return blamed
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

// TestLeadersMove: leaders move under load.
func TestLeadersMove(t *testing.T) {
	f := newFake(t, nil)
	out := open(t, f.config(), kafka.Options{})
	all := messages(1, 2000)
	for i := 0; i < len(all); i += 50 {
		if i%100 == 0 {
			f.cluster.ShufflePartitionLeaders()
		}
		deliver(t, out, all[i:i+50])
	}
	inOrder(t, f.records(), all)
}

// TestOnePartitionFails: what hangs up on one partition leaves those of other brokers alone.
func TestOnePartitionFails(t *testing.T) {
	f := newFake(t, nil)
	f.during(func(req kmsg.Request) (kmsg.Response, error, bool) {
		r, ok := req.(*kmsg.ProduceRequest)
		if !ok {
			return nil, nil, false
		}
		for _, x := range r.Topics {
			for _, p := range x.Partitions {
				if p.Partition == 2 {
					return nil, errDown, true
				}
			}
		}
		return nil, nil, false
	})
	out := open(t, f.config(), kafka.Options{})
	all := messages(1, 100)
	err := out.Send(t.Context(), all)
	var p *outputs.Partial
	if !errors.As(err, &p) {
		t.Fatalf("Send returned %v", err)
	}
	n := 0
	for _, r := range p.Results {
		if r.Status == outputs.Done {
			n++
		}
	}
	if n == 0 {
		t.Errorf("nothing was delivered to the other partitions")
	}
	f.during(nil)
	deliver(t, out, left(all, p))
	inOrder(t, f.records(), all)
}

func left(batch []outputs.Message, p *outputs.Partial) []outputs.Message {
	var list []outputs.Message
	for i, r := range p.Results {
		if r.Status == outputs.Retry {
			list = append(list, batch[i])
		}
	}
	return list
}

// TestNewPartitions: a topic gets more partitions, and they are used.
func TestNewPartitions(t *testing.T) {
	f := newFake(t, nil)
	now := time.Now()
	out := open(t, f.config(), kafka.Options{Now: func() time.Time { return now }})
	send(t, out, messages(1, 100))
	req := kmsg.NewPtrCreatePartitionsRequest()
	x := kmsg.NewCreatePartitionsRequestTopic()
	x.Topic, x.Count = topic, 12
	req.Topics = append(req.Topics, x)
	if _, err := req.RequestWith(t.Context(), f.reader); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Minute)
	batch := make([]outputs.Message, 200)
	for i := range batch {
		batch[i] = message(101+i, fmt.Sprint(i))
	}
	send(t, out, batch)
	used := map[int32]bool{}
	for _, r := range f.records() {
		used[r.Partition] = true
	}
	if len(used) != 12 {
		t.Errorf("%d of 12 partitions are used", len(used))
	}
}

// TestTopicIsMadeAnew: deleted and made again, a topic takes events again.
func TestTopicIsMadeAnew(t *testing.T) {
	f := newFake(t, nil)
	f.create("again", 4, nil)
	c := f.config()
	c.Topic = "again"
	out := open(t, c, kafka.Options{})
	send(t, out, messages(1, 100))
	if err := f.cluster.DeleteTopic("again"); err != nil {
		t.Fatal(err)
	}
	var n *outputs.NotReady
	for range 2 {
		if err := out.Send(t.Context(), messages(101, 10)); err == nil {
			t.Fatal("Send to a topic that was deleted returned nil")
		} else if errors.As(err, &n) {
			break
		}
	}
	if n == nil || !strings.Contains(n.Error(), "topic again") {
		t.Errorf("the topic is gone, and the output says %v", n)
	}
	f.create("again", 2, nil)
	deliver(t, out, messages(101, 100))
	if infos := f.cluster.PartitionInfos("again"); infos[0].HighWatermark+infos[1].HighWatermark != 100 {
		t.Errorf("the new topic has %d and %d records", infos[0].HighWatermark, infos[1].HighWatermark)
	}
}
