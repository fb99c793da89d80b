package syslog

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/siemrelay/siemrelay/internal/config"
)

// Config is the `syslog` block of an output.
type Config struct {
	Address        string        `yaml:"address" hide:"true" required:"the receiver, for example tls://siem.example.com:6514" doc:"The receiver: udp://, tcp://, tls://, relp:// or relp+tls://, host and port. Without a port it is 514 for udp and tcp, 6514 for tls and 2514 for RELP. Only RELP confirms each event; UDP confirms nothing."`
	Header         string        `yaml:"header" oneof:"rfc5424,rfc3164,none" doc:"What stands before the event: the header of RFC 5424, the older one of RFC 3164, or nothing."`
	Framing        string        `yaml:"framing" oneof:"auto,octet-counting,newline" doc:"How TCP and TLS tell where a message ends: by its length in front, or by a line feed after it. auto is octet counting on TLS, and on TCP for JSON; it is newline on TCP for everything else. UDP and RELP need none."`
	Facility       string        `yaml:"facility" oneof:"kern,user,mail,daemon,auth,syslog,lpr,news,uucp,cron,authpriv,ftp,ntp,audit,alert,clock,local0,local1,local2,local3,local4,local5,local6,local7" doc:"The syslog facility. The severity is the event's: 2 for a critical risk to 6 for info."`
	Hostname       string        `yaml:"hostname" doc:"The name of the sender in the header. Empty is the name of the machine."`
	AppName        string        `yaml:"app_name" doc:"The application in the header of RFC 5424, and the tag in that of RFC 3164, where CEF has none."`
	MessageID      string        `yaml:"message_id" doc:"The MSGID in the header of RFC 5424. Empty is the event's kind and trigger, threat.create for example; - is none."`
	StructuredData string        `yaml:"structured_data" doc:"The SD-ID, name@number, of a structured data element in the header of RFC 5424 with the event's id, record and sequence, and cut=\"true\" for an event that was cut. 32473 is the number that is reserved for examples; give your own if you have one. Empty is no element."`
	MaxMessageSize config.Size   `yaml:"max_message_size" max:"16MiB" doc:"The longest message, header included. A longer event is cut so that it can still be parsed, see docs/siem-feeds.md. 0 is 2KiB on UDP and 8000 bytes elsewhere, which is what receivers take by default. At least 1KiB, on UDP at most 63KiB."`
	Hold           time.Duration `yaml:"hold" max:"10s" doc:"TCP and TLS: how long the connection must stay up after the receiver's system has taken a batch before the batch counts as delivered. It also bounds the rate: one batch in each such time. So that the output can catch up, batch.max_events is 10000 and batch.max_bytes 8MiB on TCP and TLS unless they are given; after a connection that breaks, one batch at most comes again. 0 means not to wait."`
	Timeout        time.Duration `yaml:"timeout" min:"1s" max:"10m" doc:"The longest time to connect, and to wait while the receiver takes or confirms nothing."`
	TLS            TLS           `yaml:"tls"`
}

// TLS is used by tls:// and relp+tls:// alone.
type TLS struct {
	CAFile      string `yaml:"ca_file" doc:"PEM file with the authorities that may have signed the receiver's certificate, or with that certificate itself. Empty is those that the system trusts. The files of tls are read again for each connection."`
	CertFile    string `yaml:"cert_file" doc:"PEM file with the certificate to show to a receiver that asks for one, followed by its intermediate certificates."`
	KeyFile     string `yaml:"key_file" doc:"PEM file with the private key of cert_file."`
	ServerName  string `yaml:"server_name" doc:"The name that the receiver's certificate must have. Empty is the host of address."`
	Fingerprint string `yaml:"fingerprint" doc:"The SHA-256 of the receiver's certificate in hexadecimal, with or without colons. The certificate must then be exactly that one, and neither its name nor who signed it matters."`
}

// The limits of sizes. Every header leaves room for an event in minMessage bytes, a
// datagram of IPv4 holds 65,507, and rsyslog 8.2302 cuts at 8,096 unless it is told
// otherwise.
const (
	minMessage    = 1 << 10
	maxDatagram   = 63 << 10
	udpMessage    = 2 << 10
	streamMessage = 8000
)

// Default returns the settings that a configuration starts from. Address has no
// default.
func Default() Config {
	return Config{
		Header: "rfc5424", Framing: "auto", Facility: "local0", AppName: "siemrelay",
		StructuredData: "siemrelay@32473",
		Hold:           200 * time.Millisecond, Timeout: 30 * time.Second,
	}
}

// DefaultBatch is the default of the batch's limits: on TCP and TLS more than elsewhere,
// for there is only one batch in each hold. An output that keeps up has small batches
// all the same. More bytes would be faster, and take more memory.
func (c *Config) DefaultBatch() (maxEvents int, maxBytes config.Size) {
	if t, problem := parseAddress(c.Address); problem == "" && t.guarded() {
		return 10_000, 8 * config.MiB
	}
	return 0, 0
}

// defaultPorts has a port for each scheme. Only 514 for UDP and 6514 for TLS are
// assigned (RFC 5426, RFC 5425); the others are what receivers use.
var defaultPorts = map[string]string{"udp": "514", "tcp": "514", "tls": "6514", "relp": "2514", "relp+tls": "2514"}

// target is a parsed address.
type target struct {
	scheme, host, port string
}

func (t target) secure() bool     { return t.scheme == "tls" || t.scheme == "relp+tls" }
func (t target) guarded() bool    { return t.scheme == "tcp" || t.scheme == "tls" }
func (t target) relp() bool       { return strings.HasPrefix(t.scheme, "relp") }
func (t target) hostPort() string { return net.JoinHostPort(t.host, t.port) }
func (t target) String() string   { return t.scheme + "://" + t.hostPort() }

// parseAddress reads an address; problem is the rest of a sentence that begins with it.
func parseAddress(text string) (t target, problem string) {
	const form = "give udp://, tcp://, tls://, relp:// or relp+tls:// with a host and a port"
	u, err := url.Parse(text)
	if err != nil {
		return t, "is not an address; " + form
	}
	t = target{scheme: u.Scheme, host: u.Hostname(), port: u.Port()}
	if defaultPorts[t.scheme] == "" {
		return t, "has a scheme that is not supported; " + form
	}
	if t.host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return t, "is not a host and a port; " + form
	}
	if t.port == "" {
		t.port = defaultPorts[t.scheme]
	}
	if n, err := strconv.Atoi(t.port); err != nil || n < 1 || n > 65535 {
		return t, "has a port that is not 1 to 65535"
	}
	return t, ""
}

// Validate reports what the tags can't say.
func (c *Config) Validate(report func(key, format string, args ...any)) {
	t, problem := parseAddress(c.Address)
	if problem != "" {
		report("address", "%s", problem)
	}
	c.validateHeader(report)
	switch size := c.MaxMessageSize; {
	case size != 0 && size < minMessage:
		report("max_message_size", "is too small for a header and an event; give at least 1KiB, or 0")
	case t.scheme == "udp" && size > maxDatagram:
		report("max_message_size", "does not fit a datagram; give at most 63KiB on udp")
	}
	c.TLS.validate(func(key, format string, args ...any) { report("tls."+key, format, args...) })
	if problem == "" && !t.secure() && c.TLS != (TLS{}) {
		report("address", "is without TLS, but there are settings under tls; use tls:// or relp+tls://, or remove them")
	}
	if problem == "" && c.Framing != "auto" && (t.scheme == "udp" || t.relp()) {
		report("framing", "is for tcp and tls only; leave it out")
	}
}

// validateHeader holds the parts of the header to RFC 5424 section 6: printable
// ASCII without spaces, and a length.
func (c *Config) validateHeader(report func(key, format string, args ...any)) {
	for _, part := range []struct {
		key, value string
		limit      int
	}{{"hostname", c.Hostname, maxHostname}, {"app_name", c.AppName, maxAppName}, {"message_id", c.MessageID, maxMessageID}} {
		if !printable(part.value) || len(part.value) > part.limit {
			report(part.key, "can't stand in a header; use printable ASCII characters without spaces, at most %d", part.limit)
		}
	}
	name, number, found := strings.Cut(c.StructuredData, "@")
	digits := strings.Trim(number, ".0123456789") == "" && number != ""
	bad := !printable(c.StructuredData) || strings.ContainsAny(name, `="]`) || name == "" || !found || !digits
	if c.StructuredData != "" && (bad || len(c.StructuredData) > maxSDName) {
		report("structured_data", "is not an SD-ID; give a name, @ and an enterprise number, at most %d characters together, or nothing", maxSDName)
	}
}

func (c *TLS) validate(report func(key, format string, args ...any)) {
	if (c.CertFile == "") != (c.KeyFile == "") {
		report("cert_file", "and key_file go together; give both or none")
	}
	if c.Fingerprint == "" {
		return
	}
	if _, err := parseFingerprint(c.Fingerprint); err != nil {
		report("fingerprint", "is not the SHA-256 of a certificate; give 64 hexadecimal digits, as openssl x509 -noout -fingerprint -sha256 prints them")
	}
	if c.CAFile != "" || c.ServerName != "" {
		report("fingerprint", "is all that is looked at, so ca_file and server_name have no effect; remove them or it")
	}
}

// check returns every mistake, those against the tags too: New is also called with
// settings that came from no file.
func (c *Config) check() error {
	var errs []error
	wrong := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("check syslog output: %s %s", key, fmt.Sprintf(format, args...)))
	}
	oneOf := func(key, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			wrong(key, "%q is unknown; one of %s", value, strings.Join(allowed, ", "))
		}
	}
	oneOf("header", c.Header, "rfc5424", "rfc3164", "none")
	oneOf("framing", c.Framing, "auto", "octet-counting", "newline")
	oneOf("facility", c.Facility, facilities...)
	if c.Hold < 0 || c.Hold > 10*time.Second {
		wrong("hold", "%v is out of range; give 0 to 10s", c.Hold)
	}
	if c.Timeout < time.Second {
		wrong("timeout", "%v is too short; give at least 1s", c.Timeout)
	}
	if c.MaxMessageSize < 0 || c.MaxMessageSize > 16*config.MiB {
		wrong("max_message_size", "%d is out of range; give at most 16MiB", int64(c.MaxMessageSize))
	}
	c.Validate(wrong)
	return errors.Join(errs...)
}
