package syslog_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/siemrelay/siemrelay/outputs"
)

// TestRealReceiversGetEveryEventWhole sends every sample and every hostile value in
// both formats through each transport to rsyslog and syslog-ng. What the receivers
// understood is compared field by field, and what they got is read once more by an
// independent parser.
func TestRealReceiversGetEveryEventWhole(t *testing.T) {
	for _, daemon := range []struct {
		name       string
		start      func(testing.TB) *realReceiver
		transports []string
	}{
		{"rsyslog", startRsyslog, []string{"udp", "tcp", "tls", "gtls", "relp", "relp+tls"}},
		{"syslog-ng", startSyslogNG, []string{"udp", "tcp", "octets", "tls"}},
	} {
		t.Run(daemon.name, func(t *testing.T) {
			r := daemon.start(t)
			for _, format := range []string{"cef", "ecs"} {
				batch := events(t, format)
				for _, transport := range daemon.transports {
					t.Run(transport+" "+format, func(t *testing.T) {
						r.exchange(t, transport, batch)
					})
				}
			}
		})
	}
}

// exchange sends a batch and checks what arrived.
func (r *realReceiver) exchange(t *testing.T, transport string, batch []outputs.Message) {
	out := newOutput(t, r.url(transport), useCertificates(r.files, transport), r.framing(transport))
	defer out.Close()
	piece := len(batch)
	if transport == "udp" {
		piece = 10 // more than a receiver takes at once is lost
	}
	for rest := batch; len(rest) > 0; rest = rest[piece:] {
		piece = min(piece, len(rest))
		before := len(r.lines())
		if err := sendTo(out, rest[:piece]); err != nil {
			t.Fatal(err)
		}
		records := r.await(before, piece)
		if len(records) != piece {
			t.Fatalf("%d records of %d events", len(records), piece)
		}
		if strings.HasPrefix(transport, "relp") { // events of different records may overtake each other
			slices.SortStableFunc(records, func(a, b record) int { return sequenceOf(a) - sequenceOf(b) })
		}
		for i, x := range records {
			checkRecord(t, x, &rest[i])
		}
	}
}

// sequenceOf is the sequence of an event in its header, 0 if there is none.
func sequenceOf(x record) int {
	n, _ := strconv.Atoi(between(x.Raw, `sequence="`, `"`))
	return n
}

// checkRecord compares what a receiver understood with what it was sent.
func checkRecord(t *testing.T, x record, m *outputs.Message) {
	t.Helper()
	want := record{
		Host: "relay01", App: "siemrelay", MsgID: m.Kind + "." + m.Trigger, Facility: "local0", Severity: fmt.Sprint(m.SyslogSeverity),
		EventID: m.ID, Sequence: fmt.Sprint(m.Sequence), RecordID: recordOf(m.Key),
	}
	got := x
	message, err := rfc5424.NewParser().Parse([]byte(x.Raw))
	if err != nil {
		t.Fatalf("an independent parser can't read event %d: %v in %q", m.Sequence, err, x.Raw)
	}
	parsed := message.(*rfc5424.SyslogMessage)
	data := (*parsed.StructuredData)["siemrelay@32473"]
	got.EventID, got.RecordID, got.Sequence = data["id"], data["record"], data["sequence"]
	got.Raw, got.Msg, got.SD, got.Time, got.Input, got.CEF, got.CEFFailed = "", "", "", "", "", "", ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event %d: -want +got:\n%s", m.Sequence, diff)
	}
	if x.EventID != "" && (x.EventID != want.EventID || x.Sequence != want.Sequence) {
		t.Errorf("event %d: the receiver reads the structured data as %+v", m.Sequence, x)
	}
	when, err := time.Parse(time.RFC3339Nano, x.Time)
	if err != nil || !when.Equal(m.Accepted) || !parsed.Timestamp.Equal(m.Accepted) {
		t.Errorf("event %d of %v has the time %q (%v)", m.Sequence, m.Accepted, x.Time, err)
	}
	if parsed.Message == nil || x.Msg != *parsed.Message {
		t.Errorf("event %d: the receiver's message %q is not that of an independent parser", m.Sequence, x.Msg)
	}
	if strings.ContainsFunc(x.Raw, func(r rune) bool { return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 }) {
		t.Errorf("event %d: a control character was on the wire: %q", m.Sequence, x.Raw)
	}
	if m.Body[0] == '{' {
		if !json.Valid([]byte(x.Msg)) || meaning([]byte(x.Msg)) != meaning(m.Body) {
			t.Errorf("event %d came as %s, want %s", m.Sequence, x.Msg, m.Body)
		}
		return
	}
	if x.Msg != string(m.Body) {
		t.Errorf("event %d came as %q, want %q", m.Sequence, x.Msg, m.Body)
	}
	if x.CEF != "" || x.CEFFailed != "" {
		checkForeignCEF(t, x, m)
	}
}

// checkForeignCEF compares what liblognorm understood of a CEF line. It drops the
// first character of the first key, because it expects a space in front of it.
func checkForeignCEF(t *testing.T, x record, m *outputs.Message) {
	t.Helper()
	want, err := parseCEF(string(m.Body))
	if err != nil {
		t.Fatalf("event %d: %v in %q", m.Sequence, err, m.Body)
	}
	var got struct {
		DeviceVendor, DeviceProduct, DeviceVersion, SignatureID, Name, Severity string
		Extensions                                                              map[string]string
	}
	if err := json.Unmarshal([]byte(x.CEF), &got); err != nil {
		t.Fatalf("event %d: liblognorm can't read %q: %v", m.Sequence, m.Body, err)
	}
	first := want.Keys[0]
	want.Values[first[1:]] = want.Values[first]
	delete(want.Values, first)
	header := [7]string{"0", got.DeviceVendor, got.DeviceProduct, got.DeviceVersion, got.SignatureID, got.Name, got.Severity}
	if header != want.Header {
		t.Errorf("event %d: liblognorm reads the header %q, want %q", m.Sequence, header, want.Header)
	}
	if diff := cmp.Diff(want.Values, got.Extensions); diff != "" {
		t.Errorf("event %d: liblognorm reads: -want +got:\n%s\nof %s", m.Sequence, diff, m.Body)
	}
}
