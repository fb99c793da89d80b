package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"github.com/siemrelay/siemrelay/outputs"
)

// maxRequest is the most that a request takes before compression, unless its first
// batch is larger.
const maxRequest = 8 << 20

// keepBatches is the most that is kept of a broker's buffer from one request to the next.
const keepBatches = 3 << 20

// producer is the identity under which batches are numbered.
type producer struct {
	id    int64
	epoch int16
	known bool
	// lost says that the numbers can't be trusted any more.
	lost bool
	// none says that the cluster gives out no identity: batches are not numbered.
	none bool
}

// number makes sure that the lanes can be numbered. A batch whose fate is not known
// keeps its numbers if it comes again as it was; if it doesn't, a new identity is
// needed, since the numbers may be used up or not.
func (o *output) number(ctx context.Context, s *sending) error {
	p := &o.producer
	if len(s.lanes) == 0 {
		return nil
	}
	for _, l := range s.lanes {
		if l.slot.doubt != nil && !l.doubted() {
			p.lost = true
		}
	}
	if p.none || p.known && !p.lost {
		if p.none {
			o.restart()
		}
		return nil
	}
	c, err := o.cluster.any(ctx)
	if err != nil {
		return err
	}
	if !c.numbered {
		o.unnumbered(errors.New("the broker is too old"))
		return nil
	}
	r, err := askForID(ctx, c)
	if err != nil {
		return fmt.Errorf("ask broker %s for a producer id: %w", c.address, err)
	}
	switch code := kafka.Error(r.ErrorCode); {
	case code == 0:
		*p = producer{id: r.ProducerID, epoch: r.ProducerEpoch, known: true}
		o.restart()
	case verdictOf(code) == forbidden:
		o.unnumbered(codeError(code, ""))
	default:
		return fmt.Errorf("ask broker %s for a producer id: %w", c.address, codeError(code, ""))
	}
	return nil
}

const (
	idTries = 20
	idWait  = 50 * time.Millisecond
)

// askForID asks for a producer id. A broker that has none left gets some within a
// moment, and says until then that it is loading: that is no failure to report.
func askForID(ctx context.Context, c *conn) (*initproducerid.Response, error) {
	for tries := 1; ; tries++ {
		m, err := c.roundTrip(ctx, &initproducerid.Request{TransactionTimeoutMs: 60_000})
		if err != nil {
			return nil, err
		}
		r := m.(*initproducerid.Response)
		if r.ErrorCode != int16(kafka.GroupLoadInProgress) || tries == idTries {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(idWait):
		}
	}
}

func (o *output) unnumbered(why error) {
	o.producer = producer{none: true}
	o.restart()
	o.log.Warn("the cluster gives this user no producer id: a request that times out and lands later becomes a duplicate", "error", why)
}

// restart begins all numbers at 0.
func (o *output) restart() {
	for _, s := range o.slots {
		s.sequence, s.doubt = 0, nil
	}
}

func (o *output) stamp(l *lane) stamp {
	if o.producer.none {
		return unmarked()
	}
	return stamp{o.producer.id, o.producer.epoch, l.slot.sequence}
}

// produce sends all lanes: one goroutine for each broker, until each is through.
func (o *output) produce(ctx context.Context, s *sending) {
	led := map[int32][]*lane{}
	for _, l := range s.lanes {
		if !l.failed {
			led[l.leader] = append(led[l.leader], l)
		}
	}
	var running sync.WaitGroup
	for id, lanes := range led {
		running.Go(func() { o.drain(ctx, s, &drain{o.cluster.brokers[id], lanes}) })
	}
	running.Wait()
}

// drain is a broker with the lanes that it leads.
type drain struct {
	broker *broker
	lanes  []*lane
}

// fail gives up all lanes.
func (d *drain) fail(s *sending, err error) {
	for _, l := range d.lanes {
		if !l.failed {
			l.moved = true
			l.fail(s, err)
		}
	}
}

// drain sends the lanes of one broker, a batch of each at a time.
func (o *output) drain(ctx context.Context, s *sending, d *drain) {
	for {
		pieces, err := o.pieces(d)
		if err != nil {
			d.fail(s, err)
			return
		}
		if len(pieces) == 0 {
			return
		}
		c, err := d.broker.get(ctx)
		if err != nil {
			if !isNotReady(err) {
				err = &outputs.Transient{Err: err}
			}
			d.fail(s, err)
			return
		}
		m, err := c.roundTrip(ctx, o.request(pieces))
		if err != nil {
			err = fmt.Errorf("produce to broker %s: %w", c.address, err)
			for _, p := range pieces {
				p.unsure(s, err)
			}
			d.fail(s, &outputs.Transient{Err: err})
			return
		}
		o.settle(s, pieces, m.(*produce.Response))
	}
}

// pieces are the next batches of the lanes, as many as one request takes.
func (o *output) pieces(d *drain) ([]*piece, error) {
	var pieces []*piece
	size, b := 0, d.broker
	if b.batches = b.batches[:0]; cap(b.batches) > keepBatches {
		b.batches = nil
	}
	for _, l := range d.lanes {
		p := l.take(&o.encoder)
		if p == nil || size > 0 && size+p.size > maxRequest {
			continue
		}
		start := len(b.batches)
		batches, err := o.encoder.batch(b.batches, p.list, o.stamp(l))
		if err != nil {
			return nil, err
		}
		b.batches, p.data = batches, batches[start:]
		size += p.size
		pieces = append(pieces, p)
	}
	return pieces, nil
}

func (o *output) request(pieces []*piece) *rawproduce.Request {
	r := &rawproduce.Request{Acks: int16(kafka.RequireAll), Timeout: brokerTimeout(o.config.Timeout)}
	at := map[string]int{}
	for _, p := range pieces {
		name := p.lane.key.topic
		if _, ok := at[name]; !ok {
			at[name] = len(r.Topics)
			r.Topics = append(r.Topics, rawproduce.RequestTopic{Topic: name})
		}
		t := &r.Topics[at[name]]
		x := rawproduce.RequestPartition{Partition: int32(p.lane.key.partition)}
		x.RecordSet.Reader = bytes.NewReader(p.data)
		t.Partitions = append(t.Partitions, x)
	}
	return r
}

// settle acts on a broker's answer.
func (o *output) settle(s *sending, pieces []*piece, r *produce.Response) {
	answers := map[slotKey]*produce.ResponsePartition{}
	for i := range r.Topics {
		t := &r.Topics[i]
		for j := range t.Partitions {
			answers[slotKey{t.Topic, int(t.Partitions[j].Partition)}] = &t.Partitions[j]
		}
	}
	for _, p := range pieces {
		a := answers[p.lane.key]
		if a == nil {
			p.unsure(s, fmt.Errorf("produce to %s: the broker's answer does not mention it", p.lane.key))
			continue
		}
		o.judge(s, p, a)
	}
}

func (k slotKey) String() string {
	return fmt.Sprintf("partition %d of topic %s", k.partition, k.topic)
}

// judge acts on what a broker said of one batch.
func (o *output) judge(s *sending, p *piece, a *produce.ResponsePartition) {
	code := kafka.Error(a.ErrorCode)
	what := verdictOf(code)
	l := p.lane
	doubted := l.slot.doubt != nil
	if what == taken || what == repeated && doubted {
		p.done(s)
		return
	}
	err := fmt.Errorf("produce to %s: %w", l.key, codeError(code, a.ErrorMessage))
	alone := len(p.list) == 1
	switch {
	case what == confused, what == repeated, doubted && (what == tooLarge || what == bad),
		doubted && what == suspect && !alone: // it can't be halved under the same numbers
		l.confused = true
		l.fail(s, &outputs.Transient{Err: err})
	case what == unsure, what == moved:
		p.unsure(s, err)
	case what == later:
		l.fail(s, &outputs.Transient{Err: err})
	case what == forbidden:
		l.moved = true
		l.fail(s, notReady("produce to "+l.key.String(), code, a.ErrorMessage))
	case alone && what == tooLarge:
		p.refuse(s, fmt.Errorf("%w (the event takes %d bytes with its key and headers, %d in its batch; the limit is the topic's max.message.bytes)",
			err, p.size-batchOverhead, len(p.data)-4))
	case alone && what == bad:
		p.refuse(s, err)
	case alone: // suspect
		p.doubt()
		l.fail(s, err)
	case what == tooLarge:
		l.slot.limit, l.slot.limited = p.size/2, o.now()
	default:
		l.halved = l.halved || what == suspect
		l.most = len(p.list) / 2
	}
}
