package outputstest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
)

// batchOf makes n messages of seven records, all of one kind.
func (d *driver) batchOf(n int) []outputs.Message {
	batch := make([]outputs.Message, n)
	for i := range batch {
		batch[i] = d.message(fmt.Sprint("rec-", i%7), strings.Repeat("x", i%50))
	}
	return batch
}

func oneMessage(d *driver) {
	d.open()
	d.mustSend(d.message("a", "one"))
}

func manyMessages(d *driver) {
	d.open()
	for range 3 {
		d.mustSend(d.batchOf(210)...)
	}
	d.mustSend(d.message("a", "after many"))
}

// oddBodies are one-line JSON objects that a careless output changes, cuts or splits.
func oddBodies(d *driver) {
	d.open()
	d.mustSend(d.messageOf("a", []byte(`{}`)))
	frame := len(d.message("a", "").Body) + 1 // the number may have one digit more
	large := strings.Repeat("x", d.h.MaxBody-frame)
	d.mustSend(d.message("a", "before large"), d.message("a", large), d.message("a", "after large"))
	var odd []outputs.Message
	for _, text := range []string{
		`\u0000 \n \r \" \\ \/`,                     // escapes stay escapes
		"\u007f \u0080 \u0085 \u009f",               // DEL and C1 controls
		"\u2028 \u2029 \u200b \u202e \ufeff \ufffd", // what looks like a line end, or like nothing
		"\u00e9 e\u0301 \u65e5\u672c \U0001f600",    // composed, combining, wide, beyond the basic plane
		"\ue000 \ufdd0 \U0010ffff",                  // private use and non-characters
		"%s %n ${env:HOME} {{.}} <b> & ' = | #",     // nothing is expanded or escaped again
		"  spaces  ",
	} {
		odd = append(odd, d.message("b", text))
	}
	d.mustSend(odd...)
}

func brokenReceiver(d *driver) {
	d.open()
	d.mustSend(d.batchOf(5)...)
	batch := d.batchOf(20)
	d.s.Break()
	left := d.mustFail(batch)
	left = d.mustFail(left)
	d.s.Mend()
	d.deliver(left)
	d.deliver(d.batchOf(5))
}

// forgetsFailedBatch: the relay decides what is sent again, perhaps after a
// restart, so a batch that failed must not come back by itself.
func forgetsFailedBatch(d *driver) {
	d.open()
	d.mustSend(d.batchOf(2)...)
	lost := d.batchOf(10)
	d.s.Break()
	lost = d.mustFail(lost)
	early := len(d.s.Received())
	d.s.Mend()
	d.deliver(d.batchOf(3))
	d.close()
	late := d.s.Received()[early:]
	for _, m := range lost {
		if slices.ContainsFunc(late, func(b []byte) bool { return string(b) == string(m.Body) }) {
			d.tb.Fatalf("message %d of a batch that failed was delivered later, without a Send", m.Sequence)
		}
	}
}

func constructorDoesNotDial(d *driver) {
	d.s.Break()
	d.open()
	d.s.Mend()
	d.deliver(d.batchOf(3))
}

func closeWithoutSend(d *driver) {
	d.open()
	d.within("Close", func() {
		if err := d.out.Close(); err != nil {
			d.tb.Errorf("close an output that sent nothing: %v", err)
		}
	})
	d.out = nil
	if n := len(d.s.Received()); n > 0 {
		d.tb.Errorf("the receiver has %d messages, and none was sent", n)
	}
}

func closeWhileBroken(d *driver) {
	d.open()
	d.mustSend(d.batchOf(2)...)
	d.s.Break()
	d.mustFail(d.batchOf(2))
	d.close()
	d.s.Mend()
}

func endedContext(d *driver) {
	d.open()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d.repeats = true
	batch := d.batchOf(4)
	err := d.send(ctx, batch)
	d.blamesNone(err)
	left, _ := d.settle(batch, err)
	d.verify()
	d.deliver(left)
}

func contextEndsDuringSend(d *driver) {
	d.open()
	d.mustSend(d.batchOf(2)...)
	batch := d.batchOf(4)
	d.s.Hang()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	err := d.send(ctx, batch)
	if err == nil {
		d.tb.Fatalf("Send returned nil, and the receiver never answered")
	}
	d.repeats = true
	d.blamesNone(err)
	left, _ := d.settle(batch, err)
	d.s.Mend()
	d.deliver(left)
}

// spoiled makes a message that is refused.
func (d *driver) spoiled(key string) outputs.Message {
	m := d.message(key, "spoiled")
	m.Body = d.s.Spoil(m.Body)
	return m
}

// mustRefuse delivers a batch of which exactly one message is refused.
func (d *driver) mustRefuse(batch []outputs.Message, bad outputs.Message) {
	d.tb.Helper()
	refused := d.deliver(batch)
	if len(refused) != 1 || refused[0].Sequence != bad.Sequence {
		d.tb.Fatalf("%d messages were refused, want exactly number %d", len(refused), bad.Sequence)
	}
	if d.has(bad.Body) {
		d.tb.Errorf("the receiver has a message that was called refused")
	}
}

func refusedMessages(d *driver) {
	d.open()
	batch := d.batchOf(3)
	bad := d.spoiled("rec-1")
	batch = append(batch, bad)
	batch = append(batch, d.batchOf(3)...)
	d.mustRefuse(batch, bad)
}

func allRefused(d *driver) {
	d.open()
	bad := d.spoiled("rec-1")
	d.mustRefuse([]outputs.Message{bad}, bad)
	d.deliver(d.batchOf(2))
}

func deferredMessages(d *driver) {
	const marker = "not-now"
	d.open()
	d.s.Defer(marker)
	var batch []outputs.Message
	for i, text := range []string{"", "", marker, "", "", ""} {
		m := d.message("", text)
		m.Key, m.Kind, m.Dataset = fmt.Sprint("threat/17/", i%2), "threat", "defensecom.threat"
		batch = append(batch, m)
	}
	left := d.mustFail(batch)
	if !slices.ContainsFunc(left, func(m outputs.Message) bool { return m.Sequence == batch[2].Sequence }) {
		d.tb.Errorf("a message that the receiver put off is not to be sent again")
	}
	d.s.Mend()
	d.deliver(left)
}
