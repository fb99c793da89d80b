package syslog_test

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// TestRealRates lets webhooks pile up in the built program while no receiver is there,
// starts one, and takes the time until all are delivered: the spool is read, events
// are normalised, encoded and sent. SIEMRELAY_RATE_EVENTS says how many; a machine that
// is busy with other tests tells no rate, so few are the default. Figures are in
// docs/siem-feeds.md.
func TestRealRates(t *testing.T) {
	events := 5000
	if text := os.Getenv("SIEMRELAY_RATE_EVENTS"); text != "" {
		var err error
		if events, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	binary, err := endtoend.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, transport, keys string
		real                  bool
	}{
		{"tcp without hold", "tcp", "hold: 0s, ", false},
		{"tcp", "tcp", "", false},
		{"relp", "relp", "", false},
		{"rsyslog, relp", "relp", "", true},
		{"rsyslog, relp over tls", "relp+tls", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReal(t, "udp", "tcp", "tls", "gtls", "relp", "relp+tls")
			rig := r.rig(t, binary, c.transport, c.keys)
			load := endtoend.StartLoad(endtoend.LoadOptions{Client: rig.Client, Connections: 32, Records: 100, BodySize: 400})
			load.SetDoor(rig.Serving().Address)
			rig.Eventually("webhooks pile up", func() bool { return load.Accepted() >= events })
			load.Stop()
			accepted := load.Accepted()
			if c.real {
				r.startRsyslog("")
			} else {
				address := fmt.Sprint("127.0.0.1:", r.ports[c.transport])
				l, err := net.Listen("tcp", address)
				r.must(err)
				discardOn(t, l, c.transport == "relp")
			}
			began := time.Now()
			pending := func() int {
				n, err := strconv.Atoi(rig.Pending()["siem"])
				r.must(err)
				return n
			}
			rig.Eventually("the first are delivered", func() bool { return pending() < accepted })
			left, from := pending(), time.Now()
			rig.Eventually("all are delivered", func() bool { return pending() == 0 })
			t.Logf("%d events in %v: %.0f a second", accepted, time.Since(began).Round(time.Millisecond), float64(left)/time.Since(from).Seconds())
			if c.real {
				if n := len(r.lines()); n < accepted {
					t.Errorf("rsyslog has %d of %d", n, accepted)
				}
			}
		})
	}
}
