package endtoend

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Delivery is one webhook that was sent once, and what it got.
type Delivery struct {
	Record string // its record's id
	Number int    // counts the record's deliveries, from 1; it is the title
	Hash   string // SHA-256 of the body, as event.hash has it
	Answer Answer
	Err    error         // why no answer came: it may have been accepted or not
	Wrong  string        // what was wrong with the answer to a retry
	Took   time.Duration // until the answer or the error, with all retries
}

// Accepted tells whether the sender was told that the relay has it.
func (d Delivery) Accepted() bool { return d.Err == nil && d.Answer.Accepted() }

// LoadOptions say what a load consists of.
type LoadOptions struct {
	Client      func() *Client // makes one for each connection; its address does not count
	Connections int
	Records     int // that each connection writes to, in turn
	BodySize    int // up to so many bytes are added to each body
	// Retries makes the senders send each webhook again until it is accepted, and one
	// of three once more, as if the answer had been lost. Each has the trigger create.
	Retries bool
	Mark    func(number int) string // is added to the text of a record's webhook; nil: nothing
	Pause   time.Duration           // of each connection between two webhooks
}

// Load is senders that post webhooks as fast as they are answered, each waiting
// for one answer before it sends the next webhook. Nothing is sent twice, but for
// LoadOptions.Retries.
type Load struct {
	o        LoadOptions
	address  atomic.Value // string: the door; empty while there is none
	stop     chan struct{}
	stopOnce sync.Once
	senders  sync.WaitGroup
	mu       sync.Mutex
	sent     []Delivery
	accepted atomic.Int64
	refused  atomic.Int64
	doubt    atomic.Bool
	doubtful atomic.Int64
}

// ErrDoubt is the error of a delivery that was accepted while the power was being
// cut. In truth nobody is left then who could answer, so what counts is what was
// accepted before. Linux shuts ext4 down in steps, between which an fdatasync that
// is under way can succeed and what it wrote be gone all the same: a program that
// does nothing but pwrite and fdatasync sees that too, in one of twenty cuts.
var ErrDoubt = errors.New("accepted while the power was cut")

// StartLoad starts the senders, which wait for a door. Stop ends them.
func StartLoad(o LoadOptions) *Load {
	l := &Load{o: o, stop: make(chan struct{})}
	l.address.Store("")
	for i := range o.Connections {
		c := o.Client()
		l.senders.Go(func() { l.send(c, i) })
	}
	return l
}

// SetDoor tells the senders where the relay is now; empty makes them wait.
func (l *Load) SetDoor(address string) { l.address.Store(address) }

// Accepted is how many webhooks were accepted so far.
func (l *Load) Accepted() int { return int(l.accepted.Load()) }

// Refused is how many webhooks were answered, but not accepted.
func (l *Load) Refused() int { return int(l.refused.Load()) }

// Doubt says from when to when what is accepted may be lost all the same.
func (l *Load) Doubt(from bool) { l.doubt.Store(from) }

// Doubtful is how many webhooks were accepted in doubt.
func (l *Load) Doubtful() int { return int(l.doubtful.Load()) }

// Stop ends the senders, if they have not ended yet, and returns what they sent,
// each record's in order.
func (l *Load) Stop() []Delivery {
	l.stopOnce.Do(func() { close(l.stop) })
	l.senders.Wait()
	return l.sent
}

func (l *Load) send(c *Client, connection int) {
	defer c.Close()
	trigger := "update"
	if l.o.Retries {
		trigger = "create"
	}
	numbers := make([]int, l.o.Records)
	var sent []Delivery
	for turn := 0; !l.stopped(); turn++ {
		if !l.connect(c) {
			time.Sleep(2 * time.Millisecond) // a poll
			continue
		}
		i := turn % l.o.Records
		numbers[i]++
		d := Delivery{Record: fmt.Sprintf("load-%d-%d", connection, i), Number: numbers[i]}
		body := fmt.Appendf(nil, `{"record_type":"Threat","id":%q,"company_id":"c-1","trigger_action":%q,"title":"%d","risk":"high","state":"detected","type":"User","description":%q}`,
			d.Record, trigger, d.Number, strings.Repeat("x", turn*7919%(l.o.BodySize+1))+l.o.mark(d.Number))
		sum := sha256.Sum256(body)
		d.Hash = hex.EncodeToString(sum[:])
		began := time.Now()
		l.post(c, &d, body)
		d.Took = time.Since(began)
		if d.Accepted() && l.doubt.Load() {
			d.Err = ErrDoubt
			l.doubtful.Add(1)
		}
		l.count(d)
		sent = append(sent, d)
		l.pause()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, sent...)
}

func (o LoadOptions) mark(number int) string {
	if o.Mark == nil {
		return ""
	}
	return o.Mark(number)
}

// post sends a webhook, as often as the options say.
func (l *Load) post(c *Client, d *Delivery, body []byte) {
	d.Answer, d.Err = c.Post(body)
	if !l.o.Retries {
		return
	}
	for !d.Accepted() && (!l.stopped() || l.address.Load() != "") {
		time.Sleep(2 * time.Millisecond) // who is refused does not try again at once
		if l.connect(c) {
			d.Answer, d.Err = c.Post(body)
		}
	}
	if !d.Accepted() || d.Number%3 != 0 {
		return
	}
	again, err := c.Post(body)
	switch {
	case err != nil: // the process is gone
	case !again.Accepted() && again.Status != 503, again.Accepted() && (again.ID != d.Answer.ID || !again.Duplicate):
		d.Wrong = fmt.Sprintf("a retry of what was answered with %+v got %+v", d.Answer, again)
	}
}

func (l *Load) count(d Delivery) {
	switch {
	case d.Accepted():
		l.accepted.Add(1)
	case d.Err == nil:
		l.refused.Add(1)
		time.Sleep(time.Millisecond) // who is refused does not try again at once
	}
}

func (l *Load) pause() {
	if l.o.Pause == 0 {
		return
	}
	select {
	case <-time.After(l.o.Pause):
	case <-l.stop:
	}
}

func (l *Load) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// connect makes sure that there is a connection to where the relay is now.
func (l *Load) connect(c *Client) bool {
	address := l.address.Load().(string)
	if address != c.Address {
		c.Close()
		c.Address = address
	}
	return address != "" && c.Dial() == nil
}
