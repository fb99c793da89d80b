package syslog_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/syslog"
)

// TestRealDefaultsFit sends events that are too long, with the limits that are the
// default on both sides: they come cut, not broken.
func TestRealDefaultsFit(t *testing.T) {
	long := strings.Repeat("日本 \\\\ ", 3000)
	cef := sample(shortCEF + " msg=" + long)
	document := sample(`{"message":"` + long + `","event":{"id":"i","original":"` + long + `"}}`)
	for _, daemon := range []struct {
		name       string
		start      func(testing.TB) *realReceiver
		transports []string
	}{
		{"rsyslog", func(tb testing.TB) *realReceiver { return startRsyslogWith(tb, "") }, []string{"udp", "tcp", "tls", "gtls", "relp", "relp+tls"}},
		{"syslog-ng", startSyslogNG, []string{"udp", "tcp", "octets", "tls"}},
	} {
		t.Run(daemon.name, func(t *testing.T) {
			r := daemon.start(t)
			for _, transport := range daemon.transports {
				unset := func(c *syslog.Config) { c.MaxMessageSize = 0 }
				out := newOutput(t, r.url(transport), useCertificates(r.files, transport), r.framing(transport), unset)
				before := len(r.lines())
				if err := sendTo(out, []outputs.Message{cef, document}); err != nil {
					t.Fatalf("%s: %v", transport, err)
				}
				limit := 8000
				if transport == "udp" {
					limit = 2 << 10
				}
				records := r.await(before, 2)
				if len(records) != 2 {
					t.Fatalf("%s: %d records of 2 events", transport, len(records))
				}
				for _, x := range records {
					if len(x.Raw) > limit || len(x.Raw) < limit-64 || !strings.Contains(x.Raw, `cut="true"`) {
						t.Errorf("%s: %d bytes: %s", transport, len(x.Raw), x.Raw)
					}
				}
				p, err := parseCEF(records[0].Msg)
				if err != nil || !strings.HasSuffix(p.Values["msg"], "[cut]") || p.Values["cs6"] != "x" {
					t.Errorf("%s: %v in %s", transport, err, records[0].Msg)
				}
				if !json.Valid([]byte(records[1].Msg)) || !strings.Contains(records[1].Msg, "defensecom_cut") {
					t.Errorf("%s: %s", transport, records[1].Msg)
				}
				out.Close()
			}
		})
	}
}
