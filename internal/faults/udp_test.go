package faults_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// newDatagrams listens for datagrams, one event in each, on the address until the
// returned function is called or the test ends.
func newDatagrams(t *testing.T, address string) (s *lines, stop func()) {
	t.Helper()
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.UDPConn).SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	s = &lines{tb: t, address: c.LocalAddr().String(), got: map[string]int{}}
	done := make(chan struct{})
	go func() { // ends with the socket
		defer close(done)
		buffer := make([]byte, 1<<16)
		for {
			n, _, err := c.ReadFrom(buffer)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.raw = append(s.raw, string(buffer[:n]))
			s.mu.Unlock()
			s.add(string(buffer[:n]))
		}
	}()
	stop = func() {
		c.Close()
		<-done
	}
	t.Cleanup(stop)
	return s, stop
}

// TestDatagrams (F33): events over UDP count as sent and never as delivered, whether
// the network loses a fifth of them, or nobody listens. One that is too large for a
// datagram is cut, says so, and is still JSON; fragments of the network are no matter.
func TestDatagrams(t *testing.T) {
	if !ownNetwork(t, "nft") {
		return
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "mtu", "1500").CombinedOutput(); err != nil {
		t.Fatalf("set the MTU: %v: %s", err, out)
	}
	sink, stop := newDatagrams(t, "127.0.0.1:0")
	w := newWorld(t, endtoend.Setup{More: fmt.Sprintf(
		"  - name: siem\n    type: syslog\n    format: ecs\n    batch: {max_events: 20, max_wait: 2ms}\n    retry: {min: 10ms, max: 100ms}\n"+
			"    syslog: {address: \"udp://%s\", header: none, max_message_size: 8KiB}\n", sink.address)},
		endtoend.LoadOptions{Connections: 2, Records: 5, BodySize: 500})
	w.start()
	w.accepts(200)
	w.large("whole")
	w.drained("siem")
	w.Eventually("the large event has arrived", func() bool { return sink.has("whole") })
	before := len(sink.counts())
	sentBefore := w.Accounts()["siem"].Sent

	_, port, _ := net.SplitHostPort(sink.address)
	filter(t, "udp dport "+port+" numgen random mod 100 < 20 drop")
	w.accepts(1000)
	w.load.SetDoor("")
	w.drained("siem")
	filter(t)
	counted := w.Accounts()["siem"].Sent - sentBefore
	arrived := int64(len(sink.counts()) - before)
	t.Logf("20%% lost: %d events sent, %d arrived", counted, arrived)
	if arrived >= counted || arrived < counted/2 {
		t.Errorf("%d of %d arrived", arrived, counted)
	}

	stop() // nobody listens: the system says so
	w.load.SetDoor(w.Serving().Address)
	w.accepts(200)
	w.troubled("connection refused", "siem")
	again, _ := newDatagrams(t, sink.address)
	w.accepts(100)
	sent := w.finish("siem")
	if len(again.counts()) == 0 {
		t.Error("nothing arrived at the receiver that listens again")
	}
	account := w.Status()
	if o, _ := account.Output("siem"); o.Delivered != 0 || o.Sent != o.Entered {
		t.Errorf("the account is %+v", o.Account)
	}
	t.Logf("%d webhooks, %d arrived before the port was closed, %d after", len(sent), len(sink.counts()), len(again.counts()))
}

// large posts a webhook whose event does not fit a datagram of 8 KiB, and one that
// fits none of the network's packets.
func (w *world) large(title string) {
	w.t.Helper()
	for n, size := range []int{2000, 70_000} {
		body := fmt.Sprintf(`{"record_type":"Threat","id":"large-%d","trigger_action":"create","title":"%s","description":"%s"}`, n, title, strings.Repeat("ä", size/2))
		answer, err := w.Client().Post([]byte(body))
		if err == nil && !answer.Accepted() {
			err = fmt.Errorf("answer %+v", answer)
		}
		w.must(err)
	}
}

// has tells whether both large events are there, the second one cut.
func (s *lines) has(title string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := 0
	for _, text := range s.raw {
		var doc struct {
			Message    string
			Tags       []string
			Defensecom struct{ Threat struct{ ID string } }
		}
		if err := json.Unmarshal([]byte(text), &doc); err != nil || !utf8.ValidString(text) || len(text) > 8<<10 {
			s.tb.Errorf("a datagram of %d bytes: %v", len(text), err)
		}
		if doc.Message == title && slices.Contains(doc.Tags, "defensecom_cut") == (doc.Defensecom.Threat.ID == "large-1") {
			found++
		}
	}
	return found == 2
}
