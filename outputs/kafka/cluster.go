package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"github.com/siemrelay/siemrelay/outputs"
)

// metadataAge is how old the knowledge of a topic may become: how late new
// partitions are noticed. A leader that moved is noticed by the next request.
const metadataAge = time.Minute

// cluster is what is known of a cluster, and the connections to it. Only broker.get
// may be called by several goroutines, each for a broker of its own.
type cluster struct {
	dialer    *dialer
	bootstrap []string
	now       func() time.Time

	brokers    map[int32]*broker
	controller int32
	topics     map[string]*topic
}

// broker is one of the cluster's; conn is nil until it is needed.
type broker struct {
	id      int32
	address string
	dialer  *dialer
	conn    *conn
	batches []byte // of the request that is under way; its room serves the next
}

// get returns the connection to the broker, a new one if need be.
func (b *broker) get(ctx context.Context) (*conn, error) {
	if b.conn.alive() {
		return b.conn, nil
	}
	var err error
	b.conn, err = b.dialer.dial(ctx, b.address)
	return b.conn, err
}

func (b *broker) close() {
	if b.conn != nil {
		b.conn.close()
		b.conn = nil
	}
}

// topic is what is known of one topic.
type topic struct {
	name string
	// err is why nothing can be sent to the topic, nil if it can.
	err error
	// missing says that err is that the topic does not exist.
	missing bool
	// partitions has the topic's partitions in order.
	partitions []partition
	numbers    []int // 0 to len(partitions)-1
	learned    time.Time
	stale      bool
	// rights is the bit field of what the user may do, or unknownRights.
	rights int32
}

type partition struct {
	leader   int32 // noLeader if there is none now
	replicas int
	inSync   int
}

const (
	noLeader      = -1
	unknownRights = -1 << 31
	rightWrite    = 1 << 4 // org.apache.kafka.common.acl.AclOperation
)

func newCluster(d *dialer, bootstrap []string, now func() time.Time) *cluster {
	return &cluster{
		dialer: d, bootstrap: slices.Clone(bootstrap), now: now,
		brokers: map[int32]*broker{}, topics: map[string]*topic{},
	}
}

// learn makes sure that what is known of the topics is fresh. It asks about all of them
// if one isn't, so that they and the brokers fit together. The error is about the
// cluster as a whole; each topic has its own.
func (c *cluster) learn(ctx context.Context, names []string) error {
	if !slices.ContainsFunc(names, c.old) {
		return nil
	}
	nc, err := c.any(ctx)
	if err != nil {
		return err
	}
	m, err := nc.roundTrip(ctx, &metadata.Request{TopicNames: names, IncludeTopicAuthorizedOperations: true})
	if err != nil {
		if hungUp(err) && c.dialer.config.SASL.Mechanism == "" {
			err = fmt.Errorf("%w (the broker hung up; this port may expect a login)", err)
		}
		return fmt.Errorf("ask broker %s about topics: %w", nc.address, err)
	}
	c.note(m.(*metadata.Response), nc)
	for _, name := range names {
		if c.topics[name] == nil {
			return fmt.Errorf("ask broker %s about topics: the answer lacks topic %s", nc.address, name)
		}
	}
	return nil
}

// old tells whether a topic is to be asked about.
func (c *cluster) old(name string) bool {
	t := c.topics[name]
	return t == nil || t.stale || t.err != nil || c.now().Sub(t.learned).Abs() > metadataAge
}

// note takes in what a broker said. The connection it came by is kept if it leads to
// one of the brokers, else closed.
func (c *cluster) note(r *metadata.Response, by *conn) {
	old := c.brokers
	c.brokers, c.controller = map[int32]*broker{}, r.ControllerID
	for _, b := range r.Brokers {
		address := net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
		n := old[b.NodeID]
		if n == nil || n.address != address {
			n = &broker{id: b.NodeID, address: address, dialer: c.dialer}
		} else {
			delete(old, b.NodeID)
		}
		c.brokers[b.NodeID] = n
		if address == by.address && !n.conn.alive() {
			n.conn = by
		}
	}
	for _, b := range old {
		b.close()
	}
	if !slices.ContainsFunc(slices.Collect(maps.Values(c.brokers)), func(b *broker) bool { return b.conn == by }) {
		by.close()
	}
	for _, t := range r.Topics {
		c.topics[t.Name] = c.topic(t)
	}
	for _, t := range c.topics { // those that were not asked about may have lost a leader
		for i := range t.partitions {
			if p := &t.partitions[i]; c.brokers[p.leader] == nil {
				t.stale = t.stale || p.leader != noLeader
				p.leader = noLeader
			}
		}
	}
}

func (c *cluster) topic(r metadata.ResponseTopic) *topic {
	t := &topic{name: r.Name, learned: c.now(), rights: r.TopicAuthorizedOperations}
	code := kafka.Error(r.ErrorCode)
	switch {
	case code == 0:
	case code == kafka.UnknownTopicOrPartition, verdictOf(code) == forbidden:
		t.err, t.missing = notReady("topic "+r.Name, code, ""), code == kafka.UnknownTopicOrPartition
		return t
	default:
		t.err = &outputs.Transient{Err: fmt.Errorf("topic %s: %w", r.Name, codeError(code, ""))}
		return t
	}
	t.partitions = make([]partition, len(r.Partitions))
	for i := range t.partitions {
		t.numbers = append(t.numbers, i)
	}
	for _, p := range r.Partitions {
		if p.PartitionIndex < 0 || int(p.PartitionIndex) >= len(t.partitions) {
			t.err = &outputs.Transient{Err: fmt.Errorf("topic %s: the broker lists partition %d of %d", r.Name, p.PartitionIndex, len(r.Partitions))}
			return t
		}
		t.partitions[p.PartitionIndex] = partition{leader: p.LeaderID, replicas: len(p.ReplicaNodes), inSync: len(p.IsrNodes)}
	}
	if len(t.partitions) == 0 {
		t.err = &outputs.Transient{Err: fmt.Errorf("topic %s has no partition", r.Name)}
	}
	return t
}

// any returns a connection to some broker: an open one, else a new one to the first
// broker that can be reached, those of the configuration before the others.
func (c *cluster) any(ctx context.Context) (*conn, error) {
	for _, b := range c.brokers {
		if b.conn.alive() {
			return b.conn, nil
		}
	}
	addresses := slices.Clone(c.bootstrap)
	for _, b := range c.brokers {
		if !slices.Contains(addresses, b.address) {
			addresses = append(addresses, b.address)
		}
	}
	var errs []error
	for _, address := range addresses {
		nc, err := c.dialer.dial(ctx, address)
		if err == nil {
			c.prefer(address)
			return nc, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, joinErrors(errs)
}

// joinErrors joins errors on one line.
func joinErrors(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	all := errs[0]
	for _, err := range errs[1:] {
		all = fmt.Errorf("%w; %w", all, err)
	}
	return all
}

// prefer has the next search begin with an address of the configuration that worked.
func (c *cluster) prefer(address string) {
	if i := slices.Index(c.bootstrap, address); i > 0 {
		c.bootstrap[0], c.bootstrap[i] = c.bootstrap[i], c.bootstrap[0]
	}
}

// forget has what is known of a topic asked for again.
func (c *cluster) forget(name string) {
	if t := c.topics[name]; t != nil {
		t.stale = true
	}
}

func (c *cluster) close() {
	for _, b := range c.brokers {
		b.close()
	}
}

var errNoLeader = errors.New("has no leader now")
