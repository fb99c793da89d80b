package syslog

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/siemrelay/siemrelay/outputs"
)

// Lengths in bytes from RFC 5424 section 6.
const (
	maxHostname  = 255
	maxAppName   = 48
	maxMessageID = 32
	maxSDName    = 32
	// maxRecord is our own limit for the record's id in the structured data.
	maxRecord = 128
)

// facilities are the names of RFC 5424 table 1 by number, as rsyslog writes them.
var facilities = []string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// header writes what stands before an event.
type header struct {
	form     string // rfc5424, rfc3164 or none
	facility int
	hostname string // printable ASCII, never empty
	appName  string
	msgID    string // empty: made from the message
	sdID     string // empty: no structured data
	zone     *time.Location
}

func newHeader(c Config, hostname string, zone *time.Location) header {
	if c.Hostname != "" {
		hostname = c.Hostname
	}
	return header{
		form: c.Header, facility: slices.Index(facilities, c.Facility),
		hostname: orNil(onlyPrintable(hostname, maxHostname)), appName: orNil(c.AppName),
		msgID: c.MessageID, sdID: c.StructuredData, zone: zone,
	}
}

// append writes the header of m with the space after it. tag says that RFC 3164
// needs a tag: CEF has none, "CEF" being it.
func (h *header) append(dst []byte, m *outputs.Message, cut, tag bool) []byte {
	if h.form == "none" {
		return dst
	}
	dst = append(dst, '<')
	dst = strconv.AppendInt(dst, int64(h.facility*8+min(max(m.SyslogSeverity, 0), 7)), 10)
	dst = append(dst, '>')
	if h.form == "rfc3164" {
		dst = m.Accepted.In(h.zone).AppendFormat(dst, time.Stamp)
		dst = append(append(append(dst, ' '), h.hostname...), ' ')
		if tag {
			dst = append(append(dst, h.appName...), ": "...)
		}
		return dst
	}
	dst = append(dst, "1 "...)
	dst = m.Accepted.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000Z")
	dst = append(append(append(dst, ' '), h.hostname...), ' ')
	dst = append(append(dst, h.appName...), " - "...)
	dst = append(h.appendMessageID(dst, m), ' ')
	return append(h.appendData(dst, m, cut), ' ')
}

func (h *header) appendMessageID(dst []byte, m *outputs.Message) []byte {
	if h.msgID != "" {
		return append(dst, h.msgID...)
	}
	return append(dst, orNil(onlyPrintable(m.Kind+"."+m.Trigger, maxMessageID))...)
}

// appendData writes the structured data. The sequence and the id come from the
// spool; the record's id is foreign text.
func (h *header) appendData(dst []byte, m *outputs.Message, cut bool) []byte {
	if h.sdID == "" {
		return append(dst, '-')
	}
	dst = append(append(dst, '['), h.sdID...)
	dst = append(appendParam(append(dst, ` id="`...), m.ID, maxMessageID), '"')
	if record := recordID(m.Key); record != "" {
		dst = append(appendParam(append(dst, ` record="`...), record, maxRecord), '"')
	}
	dst = append(dst, ` sequence="`...)
	dst = append(strconv.AppendUint(dst, m.Sequence, 10), '"')
	if cut {
		dst = append(dst, ` cut="true"`...)
	}
	return append(dst, ']')
}

// appendParam writes at most limit bytes of value as a PARAM-VALUE of RFC 5424
// section 6.3.3, before escaping. Control characters become spaces.
func appendParam(dst []byte, value string, limit int) []byte {
	value = value[:boundary(value, limit)]
	for _, r := range value {
		switch {
		case r == '"' || r == '\\' || r == ']':
			dst = append(dst, '\\', byte(r))
		case isControl(r):
			dst = append(dst, ' ')
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// recordID is the last part of a record key as it was before it was escaped.
func recordID(key string) string {
	part := key[strings.LastIndexByte(key, '/')+1:]
	if id, err := url.PathUnescape(part); err == nil {
		return id
	}
	return part
}

// printable tells whether s is printable ASCII without spaces.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// onlyPrintable cuts s to limit bytes and drops what can't stand in a header.
func onlyPrintable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), limit)]
}

func orNil(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
