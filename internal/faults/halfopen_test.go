package faults_test

import (
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// TestPacketsVanish (F32): from one moment on every packet from and to the receivers
// vanishes, and nobody is told: no RST, no FIN. Each output notices within its timeout
// and tries again; the door and the file output do not notice. When packets go through
// again, everything comes out.
func TestPacketsVanish(t *testing.T) {
	t.Parallel() // it waits, most of the time
	if !ownNetwork(t, "nft") {
		return
	}
	r := newReceivers(t)
	w := newWorld(t, endtoend.Setup{Outputs: twoFiles()[:1], More: r.outputs(r.searchAddress(), r.siem.address)}, ordinary)
	w.start()
	for _, o := range remote {
		w.delivers(o, 50)
	}
	for range *thorough {
		filter(t, "tcp dport "+r.ports()+" drop", "tcp sport "+r.ports()+" drop")
		began := time.Now()
		w.accepts(300)
		w.troubled("", remote...)
		t.Logf("all three outputs noticed within %v, their timeout is 2s", time.Since(began).Round(100*time.Millisecond))
		w.drained("ecs")
		filter(t)
		for _, o := range remote {
			w.delivers(o, 50)
		}
	}
	sent := w.finish(remote...)
	r.check(sent)
	for _, d := range sent {
		if !d.Accepted() {
			t.Errorf("webhook %d of record %s got %+v, %v", d.Number, d.Record, d.Answer, d.Err)
		}
	}
}

// TestPoorNetwork (F34): of the packets to and from the receivers one of twenty is lost,
// and only 200 KB get through in a second. Everything takes longer, and nothing else.
func TestPoorNetwork(t *testing.T) {
	t.Parallel() // it waits, most of the time
	if !ownNetwork(t, "nft") {
		return
	}
	r := newReceivers(t)
	// TCP waits longer each time that a packet is lost again: for a segment that is lost
	// four times, more than the two seconds of the others.
	patient := strings.ReplaceAll(r.outputs(r.searchAddress(), r.siem.address), "timeout: 2s", "timeout: 15s")
	w := newWorld(t, endtoend.Setup{Outputs: twoFiles()[:1], More: patient}, ordinary)
	w.start()
	for _, o := range remote {
		w.delivers(o, 50)
	}
	filter(t, "tcp dport "+r.ports()+" numgen random mod 100 < 5 drop", "tcp sport "+r.ports()+" numgen random mod 100 < 5 drop",
		"tcp dport "+r.ports()+" limit rate over 200 kbytes/second burst 100 kbytes drop")
	before, began := w.Accounts(), time.Now()
	w.accepts(1000)
	w.drained("ecs")
	took := time.Since(began)
	w.load.Stop() // what is there keeps such a network busy
	t.Logf("1000 webhooks were accepted within %v; pending then %v", took.Round(time.Millisecond), w.Pending())
	for _, o := range remote {
		w.Eventually("100 events more are delivered to "+o, func() bool { return w.Accounts()[o].Delivered >= before[o].Delivered+100 })
	}
	filter(t)
	r.check(w.finish(remote...))
}
