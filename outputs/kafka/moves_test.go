package kafka_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/kafka"
)

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
