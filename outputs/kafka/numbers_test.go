package kafka_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/kafka"
)

// liar is in front of a cluster. Where a broker answers of partition 0 of the topic
// "one" that it took a batch and that the replicas did not follow in time, the liar has
// it answer another code.
type liar struct{ code atomic.Int32 }

func (l *liar) listen(network, address string) (net.Listener, error) {
	in, err := net.Listen(network, address)
	return liarListener{in, l}, err
}

type liarListener struct {
	net.Listener
	liar *liar
}

func (l liarListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return liarConn{c, l.liar}, err
}

type liarConn struct {
	net.Conn
	liar *liar
}

func (c liarConn) Write(b []byte) (int, error) {
	// A topic of an answer: its name, one partition, its number, the code.
	head := []byte("\x00\x03one\x00\x00\x00\x01\x00\x00\x00\x00")
	truth := append(bytes.Clone(head), 0, byte(kerr.RequestTimedOut.Code))
	lie := binary.BigEndian.AppendUint16(head, uint16(c.liar.code.Load()))
	_, err := c.Conn.Write(bytes.ReplaceAll(b, truth, lie))
	return len(b), err
}

// TestTakenAndAnError: a broker can take a batch and answer with an error all the same:
// when it loses the lead while its replicas follow, or fails. What is sent next, and is
// as many messages, is not taken for a repeat of it.
func TestTakenAndAnError(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.RequestTimedOut, kerr.NotLeaderForPartition, kerr.UnknownTopicOrPartition, kerr.KafkaStorageError, kerr.UnknownServerError} {
		for _, n := range []int{1, 2, 3} {
			t.Run(e.Message, func(t *testing.T) {
				var l liar
				l.code.Store(int32(e.Code))
				f := newFake(t, nil, kfake.ListenFn(l.listen))
				f.create("one", 1, nil)
				c := f.config()
				c.Topic = "one"
				out := open(t, c, kafka.Options{})
				all := messages(1, 3*n)
				send(t, out, all[:n])
				// kfake takes the batch, and then answers that.
				f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "one", Err: kerr.RequestTimedOut})
				if err := out.Send(t.Context(), all[n:2*n]); err == nil {
					t.Fatal("Send returned nil")
				}
				deliver(t, out, all[2*n:])
				deliver(t, out, all[n:2*n])
				if got := firsts(f.records("one")); len(got) != len(all) {
					t.Errorf("%d events arrived, want %d", len(got), len(all))
				}
			})
		}
	}
}

// TestTakenAndAnErrorComesAgain: what a broker took and answered with an error is there
// once, if it comes again as it was.
func TestTakenAndAnErrorComesAgain(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.KafkaStorageError, kerr.UnknownServerError} {
		t.Run(e.Message, func(t *testing.T) {
			var l liar
			l.code.Store(int32(e.Code))
			f := newFake(t, nil, kfake.ListenFn(l.listen))
			f.create("one", 1, nil)
			c := f.config()
			c.Topic = "one"
			out := open(t, c, kafka.Options{})
			f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "one", Err: kerr.RequestTimedOut})
			if err := out.Send(t.Context(), messages(1, 1)); err == nil {
				t.Fatal("Send returned nil")
			}
			deliver(t, out, messages(1, 1))
			deliver(t, out, messages(2, 1))
			inOrder(t, f.records("one"), messages(1, 2))
		})
	}
}

// TestBrokerFailsAtADoubtfulBatch: a batch whose fate is not known can't be halved, and a
// broker that fails at it again is not asked for ever.
func TestBrokerFailsAtADoubtfulBatch(t *testing.T) {
	f := newFake(t, nil)
	out := open(t, f.config(), kafka.Options{})
	f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut})
	batch := marked(10)
	if err := out.Send(t.Context(), batch); err == nil {
		t.Fatal("Send returned nil")
	}
	fault := f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.UnknownServerError, Count: -1})
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := out.Send(ctx, batch); err == nil || ctx.Err() != nil {
			t.Fatalf("Send returned %v, its context says %v", err, ctx.Err())
		}
	}
	if n := fault.Hits(); n > 20 {
		t.Errorf("the broker was asked %d times", n)
	}
	fault.Remove()
	deliver(t, out, batch)
	if got := firsts(f.records()); len(got) != len(batch) {
		t.Errorf("%d events arrived, want %d", len(got), len(batch))
	}
}

// TestBrokerLeaves: one that leaves the cluster led partitions of a topic that nobody
// asked about since.
func TestBrokerLeaves(t *testing.T) {
	for name, check := range map[string]bool{"Send": false, "Check": true} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, nil)
			f.create("tickets", 3, nil)
			c := f.config()
			c.Topics.Ticket = "tickets"
			out := open(t, c, kafka.Options{})
			threats, tickets := messages(1, 50), messages(51, 50)
			for i := range tickets {
				tickets[i].Kind, tickets[i].Key = "ticket", "ticket/"+tickets[i].Key
			}
			send(t, out, threats)
			if err := f.cluster.RemoveNode(f.cluster.LeaderFor(topic, 0)); err != nil {
				t.Fatal(err)
			}
			deliver(t, out, tickets)
			if check {
				for tries := 0; ; tries++ {
					if err := out.(outputs.Checker).Check(t.Context()); err == nil {
						break
					} else if tries == 3 {
						t.Fatal(err)
					}
				}
			}
			more := messages(101, 50)
			deliver(t, out, more)
			inOrder(t, f.records(topic, "tickets"), append(append(threats, tickets...), more...))
		})
	}
}
