package admin

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/siemrelay/siemrelay/internal/certificate"
)

// hosts is the names that the listener answers to. A page elsewhere whose name was
// pointed at this machine ("DNS rebinding") comes with another one.
type hosts struct {
	listen  string   // the host of admin.listen
	further []string // in lower case
	served  *certificate.Pair
}

// allowed tells whether a request asks for a loopback name, the address that its
// connection came in on, the host that is listened on, one of further, or a name of the
// certificate.
func (h *hosts) allowed(r *http.Request) bool {
	host := hostOf(r.Host)
	if loopback(host) || host != "" && host == h.listen || slices.Contains(h.further, host) {
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap() == localAddress(r) {
		return true
	}
	return host != "" && h.served != nil && h.served.Leaf().VerifyHostname(host) == nil
}

// hostOf is a Host without its port, brackets and last dot, in lower case.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// portOf is the port of a Host, empty for the scheme's own.
func portOf(host string) string {
	_, port, err := net.SplitHostPort(host)
	if err != nil || strings.Trim(port, "0123456789") != "" {
		return ""
	}
	return port
}

func localAddress(r *http.Request) netip.Addr {
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// peerAddress is who the connection comes from: a proxy, if there is one.
func peerAddress(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddrPort(r.RemoteAddr) // the server's own, always right
	return a.Addr().Unmap().WithZone("")
}

// loopback tells whether a host, without a port, is this machine's own.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
