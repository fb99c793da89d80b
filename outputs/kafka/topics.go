package kafka

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/createtopics"

	"github.com/siemrelay/siemrelay/outputs"
)

// safeReplicas is how many copies a topic must have to lose one broker and still take
// events that two have.
const safeReplicas = 3

// create makes the topics that do not exist. They are not there at once: the messages
// of this batch that belong to them are sent again.
func (o *output) create(ctx context.Context, names []string) error {
	req := &createtopics.Request{TimeoutMs: brokerTimeout(o.config.Timeout)}
	for _, name := range names {
		if !o.cluster.topics[name].missing {
			continue
		}
		t := createtopics.RequestTopic{
			Name:              name,
			NumPartitions:     int32(o.config.Partitions),
			ReplicationFactor: int16(o.config.ReplicationFactor),
		}
		if o.config.ReplicationFactor >= safeReplicas {
			t.Configs = append(t.Configs, createtopics.RequestConfig{Name: minInSync, Value: "2"})
		}
		req.Topics = append(req.Topics, t)
	}
	if len(req.Topics) == 0 {
		return nil
	}
	c, err := o.cluster.control(ctx)
	if err != nil {
		return err
	}
	m, err := c.roundTrip(ctx, req)
	if err != nil {
		return fmt.Errorf("create topics at broker %s: %w", c.address, err)
	}
	for _, r := range m.(*createtopics.Response).Topics {
		t := o.cluster.topics[r.Name]
		if t == nil {
			continue
		}
		t.stale = true
		switch code := kafka.Error(r.ErrorCode); code {
		case 0:
			o.log.Info("topic created", "topic", r.Name, "partitions", o.config.Partitions, "replication_factor", o.config.ReplicationFactor)
			fallthrough
		case kafka.TopicAlreadyExists:
			t.err = &outputs.Transient{Err: fmt.Errorf("topic %s was created just now", r.Name)}
		case kafka.TopicAuthorizationFailed, kafka.ClusterAuthorizationFailed, kafka.PolicyViolation, kafka.InvalidTopic,
			kafka.InvalidReplicationFactor, kafka.InvalidPartitionNumber, kafka.InvalidConfiguration:
			t.err = notReady("create topic "+r.Name, code, r.ErrorMessage)
		default:
			t.err = &outputs.Transient{Err: fmt.Errorf("create topic %s: %w", r.Name, codeError(code, r.ErrorMessage))}
		}
	}
	return nil
}

// control returns a connection to the controller, or, where that is not known, to any
// broker: those of today pass the request on.
func (c *cluster) control(ctx context.Context) (*conn, error) {
	if b := c.brokers[c.controller]; b != nil {
		return b.get(ctx)
	}
	return c.any(ctx)
}
