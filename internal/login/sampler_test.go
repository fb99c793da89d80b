package login

import (
	"net/netip"
	"testing"
	"time"
)

func TestSamplerIsBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := NewSampler(func() time.Time { return now })
	allowed := func(a string) bool { return s.Allow(netip.MustParseAddr(a)) }
	if !allowed("192.0.2.1") || allowed("192.0.2.1") || !allowed("192.0.2.2") {
		t.Error("IPv4: one each")
	}
	if !allowed("2001:db8::1") || allowed("2001:db8::2") || !allowed("2001:db8:0:1::1") {
		t.Error("IPv6: one for each /64")
	}
	for i := range 5 * mostSampled {
		s.Allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if len(s.seen) > mostSampled {
		t.Errorf("%d addresses are remembered", len(s.seen))
	}
	now = now.Add(Window)
	if !allowed("192.0.2.1") || len(s.seen) != 1 {
		t.Error("a new minute does not begin anew")
	}
	now = now.Add(-time.Hour) // the wall clock is set back
	if !allowed("192.0.2.1") {
		t.Error("a clock set back stops the log")
	}
}
