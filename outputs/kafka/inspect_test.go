package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/kafka"
)

type inspector interface {
	Inspect(ctx context.Context) (facts, warnings []string, err error)
}

func inspect(t *testing.T, out outputs.Output) (facts, warnings []string) {
	t.Helper()
	facts, warnings, err := out.(inspector).Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return facts, warnings
}

func TestInspect(t *testing.T) {
	for _, x := range []struct {
		replicas int
		safe     string
		warning  string
	}{
		{3, "2", ""},
		{3, "1", "min.insync.replicas is 1"},
		{1, "1", "there is one copy of each event"},
		{2, "2", "nothing can be delivered while one broker is down"},
	} {
		t.Run(fmt.Sprintf("%d copies, %s in sync", x.replicas, x.safe), func(t *testing.T) {
			f := newFake(t, nil)
			req := kmsg.NewPtrCreateTopicsRequest()
			c := kmsg.NewCreateTopicsRequestTopic()
			c.Topic, c.NumPartitions, c.ReplicationFactor = "checked", 2, int16(x.replicas)
			y := kmsg.NewCreateTopicsRequestTopicConfig()
			y.Name, y.Value = "min.insync.replicas", &x.safe
			c.Configs = append(c.Configs, y)
			req.Topics = append(req.Topics, c)
			if r, err := req.RequestWith(t.Context(), f.reader); err != nil || r.Topics[0].ErrorCode != 0 {
				t.Fatal(err, r)
			}
			k := f.config()
			k.Topic = "checked"
			facts, warnings := inspect(t, open(t, k, kafka.Options{}))
			want := fmt.Sprintf("topic checked: 2 partitions, replication factor %d, min.insync.replicas %s", x.replicas, x.safe)
			if len(facts) != 1 || facts[0] != want {
				t.Errorf("facts are %q, want %q", facts, want)
			}
			if x.warning == "" && len(warnings) > 0 || x.warning != "" && (len(warnings) != 1 || !strings.Contains(warnings[0], x.warning)) {
				t.Errorf("warnings are %q, want %q", warnings, x.warning)
			}
		})
	}
}

func TestInspectWithoutRights(t *testing.T) {
	f := newFake(t, nil)
	f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	facts, warnings := inspect(t, open(t, f.config(), kafka.Options{}))
	if len(facts) != 1 || !strings.Contains(facts[0], "min.insync.replicas unknown") || len(warnings) != 1 || !strings.Contains(warnings[0], "DescribeConfigs") {
		t.Errorf("facts %q, warnings %q", facts, warnings)
	}
}

// TestCheckFails: what would keep a Send from arriving.
func TestCheckFails(t *testing.T) {
	f := newFake(t, nil)
	c := f.config()
	c.Topic, c.Topics.Threat = "missing", topic
	err := open(t, c, kafka.Options{}).(outputs.Checker).Check(t.Context())
	mustBeNotReady(t, err, "topic missing")
	c.CreateTopics, c.Partitions, c.ReplicationFactor = true, 3, 1
	facts, _ := inspect(t, open(t, c, kafka.Options{}))
	if len(facts) != 2 || !strings.Contains(strings.Join(facts, "\n"), "topic missing does not exist; the first event for it creates it") {
		t.Errorf("facts are %q", facts)
	}
	if f.cluster.TopicInfo("missing") != nil {
		t.Errorf("the check made a topic")
	}
	// A broker that can't be reached by the address that it advertises.
	f.during(func(req kmsg.Request) (kmsg.Response, error, bool) {
		r, ok := req.(*kmsg.MetadataRequest)
		if !ok {
			return nil, nil, false
		}
		m := r.ResponseKind().(*kmsg.MetadataResponse)
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port = 1, "127.0.0.1", 1
		x := kmsg.NewMetadataResponseTopic()
		name := topic
		x.Topic = &name
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Leader, p.Replicas, p.ISR = 1, []int32{1}, []int32{1}
		x.Partitions = append(x.Partitions, p)
		m.Brokers, m.Topics = append(m.Brokers, b), append(m.Topics, x)
		return m, nil, true
	})
	err = open(t, f.config(), kafka.Options{}).(outputs.Checker).Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || !strings.Contains(err.Error(), "advertises") {
		t.Errorf("the check says %v", err)
	}
}

func TestTopicsAreMade(t *testing.T) {
	f := newFake(t, nil)
	c := f.config()
	c.Topic = "made"
	mustBeNotReady(t, open(t, c, kafka.Options{}).Send(t.Context(), messages(1, 3)), "topic made: [3] Unknown Topic Or Partition")
	c.CreateTopics, c.Partitions, c.ReplicationFactor = true, 5, 3
	out := open(t, c, kafka.Options{CompanyTopics: map[string]string{"99": "made-for-99"}})
	batch := messages(1, 100)
	batch[0].Company, batch[0].Key = "99", "threat/99/rec-1"
	deliver(t, out, batch)
	if n := len(f.cluster.PartitionInfos("made")); n != 5 {
		t.Errorf("the topic has %d partitions, want 5", n)
	}
	info := f.cluster.TopicInfo("made-for-99")
	if info == nil || info.NumReplicas != 3 || info.Configs["min.insync.replicas"] == nil || *info.Configs["min.insync.replicas"] != "2" {
		t.Errorf("the company's topic is %+v", info)
	}
	inOrder(t, f.records("made", "made-for-99"), batch)
}

func TestTopicsThatMayNotBeMade(t *testing.T) {
	for code, want := range map[*kerr.Error]string{
		kerr.TopicAuthorizationFailed: "create topic made", kerr.InvalidReplicationFactor: "replication_factor", kerr.PolicyViolation: "a policy of the cluster",
	} {
		f := newFake(t, nil)
		f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: code, Count: -1})
		c := f.config()
		c.Topic, c.CreateTopics, c.Partitions, c.ReplicationFactor = "made", true, 5, 3
		mustBeNotReady(t, open(t, c, kafka.Options{}).Send(t.Context(), messages(1, 3)), want)
	}
}

// TestOneTopicIsMissing: the others go on, and the messages of the missing one wait
// without blame.
func TestOneTopicIsMissing(t *testing.T) {
	f := newFake(t, nil)
	c := f.config()
	c.Topics.Ticket = "missing"
	c.Timeout = time.Second
	batch := messages(1, 10)
	batch[3].Kind, batch[4].Kind = "ticket", "ticket"
	err := open(t, c, kafka.Options{}).Send(t.Context(), batch)
	var p *outputs.Partial
	if !errors.As(err, &p) {
		t.Fatalf("Send returned %v", err)
	}
	for i, r := range p.Results {
		var n *outputs.NotReady
		if i == 3 || i == 4 {
			if r.Status != outputs.Retry || !errors.As(r.Err, &n) {
				t.Errorf("message %d is %v: %v", i, r.Status, r.Err)
			}
		} else if r.Status != outputs.Done {
			t.Errorf("message %d is %v: %v", i, r.Status, r.Err)
		}
	}
}
