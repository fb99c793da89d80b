// Package syslog is the output that sends events to a syslog receiver: with the
// header of RFC 5424 or RFC 3164 or bare, over UDP (RFC 5426), TCP (RFC 6587), TLS
// (RFC 5425) or RELP, with and without TLS.
//
// What Send's nil means depends on the transport, because what a receiver can say
// does:
//
//   - RELP: the receiver has answered for each event. Nothing is lost that it keeps;
//   - TCP and TLS: the receiver's kernel has confirmed every byte, and the connection
//     was still up after the hold. Lost is what a receiver had not read when it died
//     later than that; see stream;
//   - UDP: the event was handed to the network. It counts as sent, not as delivered.
//
// After any failure all that is not known to be safe is sent again, so a receiver may
// get an event twice; every copy has the same id. Per record, the first copies come in
// order. No control character reaches the wire raw and no message is split by a line
// feed, whatever is in an event: see appendClean. An event that is too long is cut so
// that it can still be parsed: see cutter.
//
// It refuses to know ECS and CEF beyond what cutting them needs: a body that begins
// with { is JSON, one that begins with CEF: is CEF, and any other is text.
package syslog

import (
	"log/slog"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
)

// Options are what an output needs besides its configuration.
type Options struct {
	// Logger gets what an operator should know. Nil discards.
	Logger *slog.Logger
	// Hostname is the name of this machine, for the header. Empty asks the system.
	Hostname string
	// Zone is the time zone of headers of RFC 3164, which don't say it. Nil is the
	// machine's.
	Zone *time.Location
}

// New makes an output from a configuration. It dials nothing, but reads the files
// that tls names; the error is about the configuration.
func New(c Config, o Options) (outputs.Output, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	t, _ := parseAddress(c.Address) // checked above
	if t.secure() {
		if _, err := tlsConfig(c.TLS, t.host); err != nil {
			return nil, err
		}
	}
	d := dialer{target: t, tls: c.TLS, timeout: c.Timeout}
	e := newEncoder(c, t, o)
	switch {
	case t.relp():
		return &relp{dialer: d, encoder: e}, nil
	case t.scheme != "udp":
		return &stream{dialer: d, encoder: e, hold: c.Hold}, nil
	}
	out := &datagram{dialer: d, encoder: e}
	if o.Logger != nil {
		for _, w := range out.Warnings() {
			o.Logger.Warn("output can lose events", "why", w)
		}
	}
	return out, nil
}
