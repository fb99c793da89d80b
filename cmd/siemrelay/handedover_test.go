package main_test

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// datagrams is a receiver of syslog over UDP that remembers which events it got.
type datagrams struct {
	conn net.PacketConn
	mu   sync.Mutex
	ids  map[string]bool
}

func listenUDP(t *testing.T) *datagrams {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &datagrams{conn: conn, ids: map[string]bool{}}
	var reading sync.WaitGroup
	reading.Go(d.read) // until the socket is closed
	t.Cleanup(func() {
		conn.Close()
		reading.Wait()
	})
	return d
}

var idInHeader = regexp.MustCompile(` id="([0-9a-f]{32})"`)

func (d *datagrams) read() {
	b := make([]byte, 64<<10)
	for {
		n, _, err := d.conn.ReadFrom(b)
		if err != nil {
			return
		}
		if m := idInHeader.FindSubmatch(b[:n]); m != nil {
			d.mu.Lock()
			d.ids[string(m[1])] = true
			d.mu.Unlock()
		}
	}
}

func (d *datagrams) has(ids ...string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		if !d.ids[id] {
			return false
		}
	}
	return true
}

// syslogTo is an output called siem.
func syslogTo(address string) string {
	return fmt.Sprintf(`  - name: siem
    type: syslog
    when: kind == "threat"
    batch: {max_events: 20, max_wait: 2ms}
    retry: {min: 10ms, max: 250ms}
    syslog: {address: %q, hold: 1ms}
`, address)
}

// TestHandedOver: what goes out over UDP is sent and never delivered, in the metrics and
// the status, across restarts and kills, and stays so when the output is moved to TCP.
func TestHandedOver(t *testing.T) {
	receiver := listenUDP(t)
	udp := syslogTo("udp://" + receiver.conn.LocalAddr().String())
	d := openLab(t, endtoend.Setup{Outputs: []endtoend.Output{{Format: "ecs"}}, More: udp})
	ids := d.batch(30)
	d.post(`{"record_type":"Ticket","id":"1","trigger_action":"create","subject":"not for it"}`)
	want := endtoend.Account{Entered: 31, Sent: 30, Filtered: 1}
	d.account("siem", want)
	d.account("ecs", allDelivered(31))
	d.Eventually("the receiver has every event", func() bool { return receiver.has(ids...) })
	if table := d.Must("status"); !strings.Contains(table, "DELIVERED  SENT  FILTERED") {
		t.Errorf("the status does not show what was sent:\n%s", table)
	}
	for _, killed := range []bool{false, true} {
		d.restart(killed)
		d.account("siem", want)
		ids = d.batch(10)
		want.Entered, want.Sent = want.Entered+10, want.Sent+10
		d.account("siem", want)
		d.Eventually("the receiver has every event", func() bool { return receiver.has(ids...) })
	}
	d.end(true)
	if o, _ := d.Status().Output("siem"); o.Account != want {
		t.Errorf("the status of a relay that was killed is %+v, want %+v", o.Account, want)
	}

	// Over TCP events are delivered. What was sent stays sent.
	tcp := discard(t)
	d.Configure(func(s *endtoend.Setup) { s.More = syslogTo("tcp://" + tcp) })
	d.start()
	d.batch(10)
	want.Entered, want.Delivered = want.Entered+10, 10
	d.account("siem", want)
	d.end(false)

	// A replay over UDP is sent too.
	d.Configure(func(s *endtoend.Setup) { s.More = udp })
	d.start()
	d.Must("replay", "--output", "siem", "--since", "1h", "--wait")
	want = endtoend.Account{Entered: 2 * want.Entered, Delivered: 10, Sent: 50 + 60, Filtered: 2}
	d.account("siem", want)
	d.Stop(d.process)
}

// discard is a receiver of syslog over TCP that reads and keeps nothing.
func discard(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { // until the listener is closed
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { // until the relay hangs up, which it does when it ends
				defer conn.Close()
				_, _ = io.Copy(io.Discard, conn) // how it ends does not matter
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

// TestHandedOverKilled: every scrape adds up, and in the end every webhook that was
// accepted counts as sent exactly once, while the relay is killed again and again.
func TestHandedOverKilled(t *testing.T) {
	random := moments(t)
	receiver := listenUDP(t)
	r := startAudited(t, small(endtoend.Setup{
		Outputs: []endtoend.Output{{Format: "ecs", MaxEvents: 50}},
		More:    strings.Replace(syslogTo("udp://"+receiver.conn.LocalAddr().String()), `when: kind == "threat"`, `start: now`, 1),
	}), endtoend.LoadOptions{Connections: 4, Records: 3, BodySize: 500})
	for range share(8) {
		p := r.start()
		time.Sleep(within(random, 300*time.Millisecond)) // the random moment
		kill(t, p)
		r.ended()
	}
	p := r.start()
	r.Eventually("there is something to count", func() bool { return r.load.Accepted() > 500 })
	sent := r.load.Stop()
	r.AwaitDrained()
	r.Eventually("everything is sent", func() bool { return r.Pending()["siem"] == "0" })
	ecs := r.Accounts()["ecs"] // more than was accepted, if an answer was lost
	r.AwaitAccount("siem", endtoend.Account{Entered: ecs.Entered, Sent: ecs.Entered})
	if _, problems := r.audit.Stop(); len(problems) > 0 {
		t.Errorf("%d problems, the first: %s", len(problems), problems[0])
	}
	got := 0
	for _, s := range sent {
		if s.Accepted() && receiver.has(s.Answer.ID) {
			got++
		}
	}
	t.Logf("%d webhooks accepted, %d of them received", r.load.Accepted(), got)
	if got == 0 {
		t.Error("the receiver has got nothing")
	}
	r.Stop(p)
}
