package kafka

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/siemrelay/siemrelay/outputs"
)

const (
	// maxBatch is the most that a batch takes before compression, unless it is one
	// message: a little less than what brokers take by default (max.message.bytes).
	maxBatch = 1_000_000
	// limitAge is how long a lower limit is kept that a broker taught us.
	limitAge = 10 * time.Minute
)

type slotKey struct {
	topic     string
	partition int
}

// slot is what is remembered of a partition between two Sends.
type slot struct {
	// sequence is the number of the next record under the current producer id.
	sequence int32
	// doubt is the batch whose fate is not known, nil if there is none.
	doubt *doubt
	// limit is the most that a batch may take, if limited is not too long ago.
	limit   int
	limited time.Time
}

// doubt tells a batch whose fate is not known from others, without keeping it.
type doubt struct {
	n   int
	ids [sha256.Size]byte
}

func digest(list []*outputs.Message) [sha256.Size]byte {
	h := sha256.New()
	for _, m := range list {
		h.Write([]byte(m.ID))
		h.Write([]byte{0})
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// lane is the part of a batch that goes to one partition, in order.
type lane struct {
	key    slotKey
	leader int32
	slot   *slot

	list  []*outputs.Message
	index []int // of each message in the batch
	next  int   // the first that is not settled
	// most is how many messages the next batch may have while one is looked for that
	// the broker doesn't take; 0 is any number.
	most int

	// halved says that the broker failed at a batch, of which nothing was taken under
	// the same numbers since. It may have it.
	halved bool

	failed   bool // nothing more is sent
	moved    bool // what is known of the topic is out of date
	confused bool // the sequence numbers are
}

// plan sorts the messages into lanes. Those whose topic or partition can't be sent to
// now are settled already.
func (o *output) plan(s *sending) {
	lanes := map[slotKey]*lane{}
	for i := range s.batch {
		m := &s.batch[i]
		t := o.cluster.topics[o.topicOf(m)]
		if t.err != nil {
			s.results[i].Err = t.err
			continue
		}
		number := partitionOf(m.Key, t.numbers)
		key := slotKey{t.name, number}
		l := lanes[key]
		if l == nil {
			l = &lane{key: key, leader: t.partitions[number].leader, slot: o.slot(key)}
			lanes[key] = l
			s.lanes = append(s.lanes, l)
		}
		l.list, l.index = append(l.list, m), append(l.index, i)
	}
	for _, l := range s.lanes {
		if l.leader == noLeader {
			l.moved = true
			l.fail(s, &outputs.Transient{Err: fmt.Errorf("partition %d of topic %s %w", l.key.partition, l.key.topic, errNoLeader)})
		}
	}
}

// partitionOf is the one of all partitions that the Java producer chooses for a record
// with this key.
func partitionOf(key string, all []int) int {
	return kafka.Murmur2Balancer{}.Balance(kafka.Message{Key: []byte(key)}, all...)
}

func (o *output) slot(key slotKey) *slot {
	s := o.slots[key]
	if s == nil {
		s = &slot{}
		o.slots[key] = s
	}
	if s.limit == 0 || o.now().Sub(s.limited).Abs() > limitAge {
		s.limit = maxBatch
	}
	return s
}

// piece is a batch for one partition.
type piece struct {
	lane *lane
	list []*outputs.Message
	size int // at most, before compression
	data []byte
}

// take returns the next piece of a lane, nil if there is none left.
func (l *lane) take(e *encoder) *piece {
	rest := l.list[l.next:]
	if l.failed || len(rest) == 0 {
		return nil
	}
	p := &piece{lane: l, size: batchOverhead}
	for n, m := range rest {
		switch {
		case l.slot.doubt != nil && n == l.slot.doubt.n,
			l.slot.doubt == nil && l.most > 0 && n == l.most,
			l.slot.doubt == nil && n > 0 && p.size+e.size(m) > l.slot.limit:
			return p
		}
		p.list, p.size = rest[:n+1:n+1], p.size+e.size(m)
	}
	return p
}

// doubted tells whether the lane begins with the batch whose fate is not known.
func (l *lane) doubted() bool {
	d := l.slot.doubt
	return d != nil && len(l.list) >= d.n && digest(l.list[:d.n]) == d.ids
}

// done settles a piece that is safe.
func (p *piece) done(s *sending) {
	l := p.lane
	for range p.list {
		s.results[l.index[l.next]] = outputs.Result{Status: outputs.Done}
		l.next++
	}
	// Sequence numbers go on at 0 after the highest.
	l.slot.sequence = int32((int64(l.slot.sequence) + int64(len(p.list))) & (1<<31 - 1))
	l.slot.doubt, l.halved = nil, false
	l.most *= 2
	if l.most > len(l.list) {
		l.most = 0
	}
}

// refuse settles the one message of a piece for good.
func (p *piece) refuse(s *sending, err error) {
	l := p.lane
	s.results[l.index[l.next]] = outputs.Result{Status: outputs.Refused, Err: err}
	l.next++
}

// doubt notes that the piece may be in the partition, or may come to it yet.
func (p *piece) doubt() { p.lane.slot.doubt = &doubt{len(p.list), digest(p.list)} }

// unsure is doubt, and gives up the lane.
func (p *piece) unsure(s *sending, err error) {
	p.doubt()
	p.lane.moved = true
	p.lane.fail(s, &outputs.Transient{Err: err})
}

var errWaits = errors.New("waits for an earlier event of its partition")

// fail gives up what is left of a lane: all of it is to be sent again. An error that
// is about a message is about the first.
func (l *lane) fail(s *sending, err error) {
	l.failed = true
	for _, i := range l.index[l.next:] {
		s.results[i] = outputs.Result{Status: outputs.Retry, Err: err}
		if !outputs.IsTransient(err) {
			err = &outputs.Transient{Err: errWaits}
		}
	}
}
