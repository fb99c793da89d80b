package syslog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/syslog"
)

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*syslog.Config)
		want   string // the keys that are reported, in order
	}{
		{"default", func(c *syslog.Config) {}, ""},
		{"udp without a port", func(c *syslog.Config) { c.Address = "udp://siem.example.com" }, ""},
		{"IPv6", func(c *syslog.Config) { c.Address = "relp+tls://[2001:db8::1]:2514/" }, ""},
		{"no address", func(c *syslog.Config) { c.Address = "" }, "address"},
		{"no scheme", func(c *syslog.Config) { c.Address = "siem.example.com:514" }, "address"},
		{"another scheme", func(c *syslog.Config) { c.Address = "https://siem.example.com" }, "address"},
		{"no host", func(c *syslog.Config) { c.Address = "tcp://:514" }, "address"},
		{"a user", func(c *syslog.Config) { c.Address = "tcp://user:password@host:514" }, "address"},
		{"a path", func(c *syslog.Config) { c.Address = "tcp://host:514/path" }, "address"},
		{"a query", func(c *syslog.Config) { c.Address = "tcp://host:514?a=b" }, "address"},
		{"port 0", func(c *syslog.Config) { c.Address = "tcp://host:0" }, "address"},
		{"port 65536", func(c *syslog.Config) { c.Address = "tcp://host:65536" }, "address"},
		{"nonsense", func(c *syslog.Config) { c.Address = "tcp://ho st\x00" }, "address"},
		{"names for headers", func(c *syslog.Config) {
			c.Hostname, c.AppName, c.MessageID = "a b", strings.Repeat("a", 49), "é"
		}, "hostname app_name message_id"},
		{"names that fit", func(c *syslog.Config) {
			c.Hostname, c.AppName, c.MessageID = strings.Repeat("h", 255), strings.Repeat("a", 48), strings.Repeat("m", 32)
		}, ""},
		{"SD-ID without a number", func(c *syslog.Config) { c.StructuredData = "siemrelay" }, "structured_data"},
		{"SD-ID without a name", func(c *syslog.Config) { c.StructuredData = "@1" }, "structured_data"},
		{"SD-ID with a bracket", func(c *syslog.Config) { c.StructuredData = "a]@1" }, "structured_data"},
		{"SD-ID with letters", func(c *syslog.Config) { c.StructuredData = "a@b" }, "structured_data"},
		{"SD-ID too long", func(c *syslog.Config) { c.StructuredData = strings.Repeat("a", 31) + "@1" }, "structured_data"},
		{"no SD-ID", func(c *syslog.Config) { c.StructuredData = "" }, ""},
		{"small messages", func(c *syslog.Config) { c.MaxMessageSize = 1023 }, "max_message_size"},
		{"large datagrams", func(c *syslog.Config) { c.Address, c.MaxMessageSize = "udp://h", 63<<10+1 }, "max_message_size"},
		{"TLS without TLS", func(c *syslog.Config) { c.TLS.ServerName = "h" }, "address"},
		{"framing on udp", func(c *syslog.Config) { c.Address, c.Framing = "udp://h", "newline" }, "framing"},
		{"framing on relp", func(c *syslog.Config) { c.Address, c.Framing = "relp://h", "octet-counting" }, "framing"},
		{"certificate without key", func(c *syslog.Config) { c.Address, c.TLS.CertFile = "tls://h", "c" }, "tls.cert_file"},
		{"key without certificate", func(c *syslog.Config) { c.Address, c.TLS.KeyFile = "tls://h", "k" }, "tls.cert_file"},
		{"fingerprint of another kind", func(c *syslog.Config) { c.Address, c.TLS.Fingerprint = "tls://h", strings.Repeat("ab", 20) }, "tls.fingerprint"},
		{"fingerprint and more", func(c *syslog.Config) {
			c.Address, c.TLS.Fingerprint, c.TLS.CAFile = "tls://h", strings.Repeat("ab", 32), "f"
		}, "tls.fingerprint"},
	} {
		s := settings(c.change)
		var keys []string
		s.Validate(func(key, format string, args ...any) {
			keys = append(keys, key)
			if text := fmt.Sprintf(format, args...); strings.Contains(text, "%!") || strings.Contains(text, "password") {
				t.Errorf("%s: %s %s", c.name, key, text)
			}
		})
		if got := strings.Join(keys, " "); got != c.want {
			t.Errorf("%s: reported %q, want %q", c.name, got, c.want)
		}
		out, err := syslog.New(s, syslog.Options{})
		if (err == nil) != (c.want == "") {
			t.Errorf("%s: New returned %v", c.name, err)
		}
		if err == nil {
			out.Close()
		}
	}
}

// TestNewChecksWhatTheTagsSay: it is also called with settings that came from no file.
func TestNewChecksWhatTheTagsSay(t *testing.T) {
	for key, change := range map[string]func(*syslog.Config){
		"header":           func(c *syslog.Config) { c.Header = "rfc1" },
		"framing":          func(c *syslog.Config) { c.Framing = "" },
		"facility":         func(c *syslog.Config) { c.Facility = "local8" },
		"hold":             func(c *syslog.Config) { c.Hold = -1 },
		"timeout":          func(c *syslog.Config) { c.Timeout = time.Millisecond },
		"max_message_size": func(c *syslog.Config) { c.MaxMessageSize = 1 << 30 },
	} {
		if _, err := syslog.New(settings(change), syslog.Options{}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: New returned %v", key, err)
		}
	}
}

// TestCheckFindsReceiver, and that there is none.
func TestCheckFindsReceiver(t *testing.T) {
	for _, scheme := range []string{"tcp", "relp"} {
		r := newReceiver(t, scheme, nil)
		out := newOutput(t, r.url())
		check := out.(outputs.Checker).Check
		if err := check(context.Background()); err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
		r.close()
		var notReady *outputs.NotReady
		if err := check(context.Background()); err == nil || errors.As(err, &notReady) {
			t.Errorf("%s: a receiver that is down: %v", scheme, err)
		}
		out.Close()
		if len(r.received()) > 0 {
			t.Errorf("%s: Check delivered something", scheme)
		}
	}
}

// TestUDPWarns: nobody may take it for more than it is, and its events are not counted
// as delivered.
func TestUDPWarns(t *testing.T) {
	for scheme, want := range map[string]bool{"udp": true, "tcp": false, "relp": false} {
		out := newOutput(t, scheme+"://127.0.0.1:9")
		w, ok := out.(interface{ Warnings() []string })
		if warns := ok && slices.ContainsFunc(w.Warnings(), func(s string) bool { return strings.Contains(s, "confirms nothing") }); warns != want {
			t.Errorf("%s warns: %v", scheme, warns)
		}
		if outputs.IsUnconfirmed(out) != want {
			t.Errorf("%s confirms nothing: %v, want %v", scheme, !want, want)
		}
		out.Close()
	}
}

// TestDefaultBatch: where there is one batch in each hold, it is a large one.
func TestDefaultBatch(t *testing.T) {
	for address, want := range map[string]int{
		"tcp://h": 10_000, "tls://h:1": 10_000, "udp://h": 0, "relp://h": 0, "relp+tls://h": 0, "": 0, "nonsense": 0,
	} {
		s := settings(func(c *syslog.Config) { c.Address = address })
		if events, bytes := s.DefaultBatch(); events != want || (bytes > 0) != (want > 0) {
			t.Errorf("%q: %d events, %d bytes", address, events, bytes)
		}
	}
}
