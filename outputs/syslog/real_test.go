package syslog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/internal/testenv/syslogd"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/syslog"
)

// programs are the real receivers, unpacked once.
var programs = sync.OnceValues(syslogd.Find)

// realReceiver is a running rsyslog or syslog-ng with a port for each transport.
type realReceiver struct {
	*syslogd.Daemon
	tb    testing.TB
	ports map[string]int // by transport
	files certificates
}

// record is what the receiver made of one message.
type record struct {
	Raw       string `json:"raw"` // rsyslog only
	Msg       string `json:"msg"`
	Host      string `json:"host"`
	App       string `json:"app"`
	MsgID     string `json:"msgid"`
	SD        string `json:"sd"`
	Facility  string `json:"facility"`
	Severity  string `json:"severity"`
	Time      string `json:"time"`
	Input     string `json:"input"`
	EventID   string `json:"eventid"`  // syslog-ng: from the structured data
	RecordID  string `json:"recordid"` // the same
	Sequence  string `json:"sequence"` // the same
	CEF       string `json:"cef"`
	CEFFailed string `json:"ceffailed"` // rsyslog: liblognorm could not parse it
}

// The ruleset is bound to inputs and has no queue: an event is in the file before the
// input goes on, so that RELP's answer means that.
const rsyslogConfig = `
global(workDirectory="%[1]s" %[11]s parser.escapeControlCharactersOnReceive="on"
       defaultNetstreamDriverCAFile="%[2]s" defaultNetstreamDriverCertFile="%[3]s" defaultNetstreamDriverKeyFile="%[4]s")
module(load="imudp" batchSize="128")
module(load="imtcp" maxSessions="50")
module(load="imrelp")
module(load="mmnormalize")
template(name="record" type="list" option.jsonf="on") {
  property(outname="raw" name="rawmsg" format="jsonf")
  property(outname="msg" name="msg" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="msgid" name="msgid" format="jsonf")
  property(outname="sd" name="structured-data" format="jsonf")
  property(outname="facility" name="syslogfacility-text" format="jsonf")
  property(outname="severity" name="syslogseverity" format="jsonf")
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="input" name="inputname" format="jsonf")
  property(outname="cef" name="$!cef" format="jsonf")
  property(outname="ceffailed" name="$!unparsed-data" format="jsonf")
}
ruleset(name="store" queue.type="Direct") {
  action(type="mmnormalize" rule=["rule=:%%cef:cef%%", "rule=: %%cef:cef%%"] path="$!")
  action(type="omfile" file="records" template="record" asyncWriting="off" flushOnTXEnd="on" ioBufferSize="64k")
}
input(type="imudp" port="%[5]d" address="127.0.0.1" ruleset="store" rcvbufSize="4m")
input(type="imtcp" port="%[6]d" address="127.0.0.1" ruleset="store" name="tcp" streamDriver.mode="0" streamDriver.name="ptcp")
input(type="imtcp" port="%[7]d" address="127.0.0.1" ruleset="store" name="tls" streamDriver.mode="1" streamDriver.name="ossl" streamDriver.authMode="x509/certvalid")
input(type="imtcp" port="%[8]d" address="127.0.0.1" ruleset="store" name="gtls" streamDriver.mode="1" streamDriver.name="gtls" streamDriver.authMode="x509/certvalid")
input(type="imrelp" port="%[9]d" address="127.0.0.1" ruleset="store" name="relp")
input(type="imrelp" port="%[10]d" address="127.0.0.1" ruleset="store" name="relp+tls" tls="on" tls.caCert="%[2]s" tls.myCert="%[3]s" tls.myPrivKey="%[4]s" tls.authMode="certvalid")
`

func startRsyslog(tb testing.TB) *realReceiver {
	tb.Helper()
	return startRsyslogWith(tb, `maxMessageSize="64k"`)
}

// startRsyslogWith starts one with more global settings.
func startRsyslogWith(tb testing.TB, global string) *realReceiver {
	tb.Helper()
	r := newReal(tb, "udp", "tcp", "tls", "gtls", "relp", "relp+tls")
	r.startRsyslog(global)
	return r
}

func (r *realReceiver) startRsyslog(global string) {
	r.tb.Helper()
	p := r.ports
	text := fmt.Sprintf(rsyslogConfig, r.dir(), r.files.authority, r.files.serverCert, r.files.serverKey,
		p["udp"], p["tcp"], p["tls"], p["gtls"], p["relp"], p["relp+tls"], global)
	r.run(func(programs *syslogd.Programs, listening []string) (*syslogd.Daemon, error) {
		return programs.Rsyslog(r.dir(), text, listening...)
	})
}

const syslogNGConfig = `
@version: 3.38
options { keep-hostname(yes); chain-hostnames(no); use-dns(no); keep-timestamp(yes); frac-digits(6); log-msg-size(65536); stats-freq(0); };
source s_udp { network(ip("127.0.0.1") port(%[1]d) transport("udp") flags(syslog-protocol, store-raw-message)); };
source s_tcp { network(ip("127.0.0.1") port(%[2]d) transport("tcp") flags(syslog-protocol, store-raw-message) max-connections(50)); };
source s_octets { syslog(ip("127.0.0.1") port(%[3]d) transport("tcp") flags(store-raw-message) max-connections(50)); };
source s_tls { syslog(ip("127.0.0.1") port(%[4]d) transport("tls") flags(store-raw-message) max-connections(50)
  tls(ca-file("%[5]s") cert-file("%[6]s") key-file("%[7]s") peer-verify(required-trusted))); };
destination d_records { file("records" template("$(format-json --pair raw='${RAWMSG}' --pair msg='${MSG}' --pair host='${HOST}' --pair app='${PROGRAM}'
  --pair msgid='${MSGID}' --pair facility='${FACILITY}' --pair severity='${LEVEL_NUM}' --pair time='${S_ISODATE}'
  --pair eventid='${.SDATA.siemrelay@32473.id}' --pair recordid='${.SDATA.siemrelay@32473.record}' --pair sequence='${.SDATA.siemrelay@32473.sequence}')\n")); };
log { source(s_udp); source(s_tcp); source(s_octets); source(s_tls); destination(d_records); flags(flow-control); };
`

func startSyslogNG(tb testing.TB) *realReceiver {
	tb.Helper()
	r := newReal(tb, "udp", "tcp", "octets", "tls")
	p := r.ports
	text := fmt.Sprintf(syslogNGConfig, p["udp"], p["tcp"], p["octets"], p["tls"], r.files.authority, r.files.serverCert, r.files.serverKey)
	r.run(func(programs *syslogd.Programs, listening []string) (*syslogd.Daemon, error) {
		return programs.SyslogNG(r.dir(), text, listening...)
	})
	return r
}

func newReal(tb testing.TB, transports ...string) *realReceiver {
	tb.Helper()
	r := &realReceiver{tb: tb, ports: map[string]int{}, files: newCertificates(tb)}
	for _, t := range transports {
		port, err := syslogd.FreePort()
		r.must(err)
		r.ports[t] = port
	}
	return r
}

func (r *realReceiver) dir() string { return r.files.dir }

func (r *realReceiver) run(configure func(*syslogd.Programs, []string) (*syslogd.Daemon, error)) {
	r.tb.Helper()
	p, err := programs()
	if err != nil {
		endtoend.Skip(r.tb, err)
	}
	var listening []string
	for transport, port := range r.ports {
		protocol := "tcp"
		if transport == "udp" {
			protocol = "udp"
		}
		listening = append(listening, fmt.Sprint(protocol, ":", port))
	}
	r.Daemon, err = configure(p, listening)
	r.must(err)
	r.must(r.Start())
	r.tb.Cleanup(func() {
		if err := r.Kill(); err != nil {
			r.tb.Error(err)
		}
		if r.tb.Failed() {
			r.tb.Logf("the receiver says:\n%s", r.Log())
		}
	})
}

func (r *realReceiver) url(transport string) string {
	scheme := transport
	switch transport {
	case "gtls":
		scheme = "tls"
	case "octets":
		scheme = "tcp"
	}
	return fmt.Sprintf("%s://127.0.0.1:%d", scheme, r.ports[transport])
}

// framing is what a receiver's port takes: rsyslog takes both, syslog-ng has a port
// for each.
func (r *realReceiver) framing(transport string) func(*syslog.Config) {
	return func(c *syslog.Config) {
		_, strict := r.ports["octets"]
		switch {
		case transport == "octets":
			c.Framing = "octet-counting"
		case transport == "tcp" && strict:
			c.Framing = "newline"
		}
	}
}

// lines are the records that are whole.
func (r *realReceiver) lines() [][]byte {
	text, err := os.ReadFile(filepath.Join(r.dir(), "records"))
	if os.IsNotExist(err) {
		return nil
	}
	r.must(err)
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	if len(whole) == 0 {
		return nil
	}
	return bytes.Split(bytes.TrimSuffix(whole, []byte("\n")), []byte("\n"))
}

// await waits until the receiver has written n records more than before, and returns
// those.
func (r *realReceiver) await(before, n int) []record {
	r.tb.Helper()
	deadline := time.Now().Add(patience)
	for {
		lines := r.lines()
		if len(lines) >= before+n || time.Now().After(deadline) {
			var records []record
			for _, line := range lines[before:] {
				var x record
				if err := json.Unmarshal(line, &x); err != nil {
					r.tb.Fatalf("%v in %s", err, line)
				}
				records = append(records, x)
			}
			return records
		}
		time.Sleep(5 * time.Millisecond) // a poll
	}
}

func (r *realReceiver) must(err error) {
	r.tb.Helper()
	if err != nil {
		r.tb.Fatal(err)
	}
}

// sendTo sends a batch, and like a relay tries again where no connection was made:
// rsyslog's gtls driver breaks a handshake off now and then.
func sendTo(out outputs.Output, batch []outputs.Message) (err error) {
	for range 20 {
		err = out.Send(context.Background(), batch)
		if err == nil || !strings.Contains(err.Error(), "connect to") {
			return err
		}
		<-time.After(100 * time.Millisecond)
	}
	return err
}
