package kafka

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Topic says what topic is wanted.
type Topic struct {
	Name       string
	Partitions int32
	Copies     int16
	Config     map[string]string
}

const adminTimeout = 30 * time.Second

// Create makes a topic and waits until it can be written to.
func (c *Cluster) Create(t Topic) error {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(adminTimeout.Milliseconds())
	x := kmsg.NewCreateTopicsRequestTopic()
	x.Topic, x.NumPartitions, x.ReplicationFactor = t.Name, t.Partitions, max(t.Copies, 1)
	for key, value := range t.Config {
		y := kmsg.NewCreateTopicsRequestTopicConfig()
		y.Name, y.Value = key, &value
		x.Configs = append(x.Configs, y)
	}
	req.Topics = append(req.Topics, x)
	r, err := req.RequestWith(ctx, c.admin)
	if err == nil {
		err = kerr.ErrorForCode(r.Topics[0].ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("create topic %s: %w", t.Name, err)
	}
	for {
		leaders, err := c.Leaders(t.Name)
		if err == nil && len(leaders) == int(t.Partitions) && !slices.Contains(leaders, -1) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("wait for topic %s: %w", t.Name, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Allow lets every user see a topic and write to it, which is all that a producer needs;
// "*" is every topic.
func (c *Cluster) Allow(topic string) error {
	return c.rules(topic, kmsg.ACLPermissionTypeAllow, kmsg.ACLOperationDescribe, kmsg.ACLOperationWrite)
}

// Close keeps every user from a topic.
func (c *Cluster) Close(topic string) error {
	return c.rules(topic, kmsg.ACLPermissionTypeDeny, kmsg.ACLOperationAll)
}

// CloseForWriting lets every user see a topic and not write to it.
func (c *Cluster) CloseForWriting(topic string) error {
	return c.rules(topic, kmsg.ACLPermissionTypeDeny, kmsg.ACLOperationWrite)
}

func (c *Cluster) rules(topic string, permission kmsg.ACLPermissionType, operations ...kmsg.ACLOperation) error {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	req := kmsg.NewPtrCreateACLsRequest()
	for _, operation := range operations {
		x := kmsg.NewCreateACLsRequestCreation()
		x.ResourceType, x.ResourceName, x.ResourcePatternType = kmsg.ACLResourceTypeTopic, topic, kmsg.ACLResourcePatternTypeLiteral
		x.Principal, x.Host = "User:*", "*"
		x.Operation, x.PermissionType = operation, permission
		req.Creations = append(req.Creations, x)
	}
	r, err := req.RequestWith(ctx, c.admin)
	if err != nil {
		return fmt.Errorf("make rules for topic %s: %w", topic, err)
	}
	for _, x := range r.Results {
		if err := kerr.ErrorForCode(x.ErrorCode); err != nil {
			return fmt.Errorf("make rules for topic %s: %w", topic, err)
		}
	}
	return nil
}

// Leaders are the ids of the brokers that lead a topic's partitions; -1 is none.
// Broker i, counted from 0, has the id i+1.
func (c *Cluster) Leaders(topic string) ([]int32, error) {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	x := kmsg.NewMetadataRequestTopic()
	x.Topic = &topic
	req.Topics = append(req.Topics, x)
	r, err := req.RequestWith(ctx, c.admin)
	if err != nil {
		return nil, fmt.Errorf("ask about topic %s: %w", topic, err)
	}
	if err := kerr.ErrorForCode(r.Topics[0].ErrorCode); err != nil {
		return nil, fmt.Errorf("ask about topic %s: %w", topic, err)
	}
	leaders := make([]int32, len(r.Topics[0].Partitions))
	for _, p := range r.Topics[0].Partitions {
		leaders[p.Partition] = p.Leader
	}
	return leaders, nil
}

// Records reads a topic from its beginning to its end, partition by partition in their
// order.
func (c *Cluster) Records(topic string) ([]*kgo.Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	leaders, err := c.Leaders(topic)
	if err != nil {
		return nil, err
	}
	ends, err := c.ends(ctx, topic, len(leaders))
	if err != nil {
		return nil, err
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.Addresses(Plain)...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return nil, fmt.Errorf("make a consumer: %w", err)
	}
	defer reader.Close()
	lists := make([][]*kgo.Record, len(leaders))
	for missing(lists, ends) {
		f := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("read topic %s: %w: %w", topic, ctx.Err(), f.Err())
		}
		for _, r := range f.Records() {
			lists[r.Partition] = append(lists[r.Partition], r)
		}
	}
	return slices.Concat(lists...), nil
}

func missing(lists [][]*kgo.Record, ends []int64) bool {
	for i, list := range lists {
		if int64(len(list)) < ends[i] {
			return true
		}
	}
	return false
}

// ends are the offsets after the last record of each partition.
func (c *Cluster) ends(ctx context.Context, topic string, partitions int) ([]int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	for i := range partitions {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = int32(i), -1
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	ends := make([]int64, partitions)
	for _, shard := range c.admin.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, fmt.Errorf("ask for the ends of topic %s: %w", topic, shard.Err)
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, fmt.Errorf("ask for the end of partition %d of topic %s: %w", p.Partition, topic, err)
				}
				ends[p.Partition] = p.Offset
			}
		}
	}
	return ends, nil
}
