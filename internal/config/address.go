package config

import (
	"net"
	"net/netip"
	"regexp"
	"strings"
)

const addressForm = "write host:port with a port number, such as 0.0.0.0:8443, [::1]:8443, or :8443 for every address"

// splitAddress takes host:port apart. The port is a number; 0 lets the system
// choose one. The host is an address, a host name or empty.
func splitAddress(text string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", "", false
	}
	if n, ok := parseWhole(port); !ok || n < 0 || n > 65535 {
		return "", "", false
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !isHostName(host) {
		return "", "", false
	}
	return host, port, true
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && address.Unmap().IsLoopback())
}

// sameAddress tells whether two listeners can't both have their address.
func sameAddress(a, b string) bool {
	hostA, portA, okA := splitAddress(a)
	hostB, portB, okB := splitAddress(b)
	if !okA || !okB || portA != portB || portA == "0" {
		return false
	}
	return isEveryAddress(hostA) || isEveryAddress(hostB) || strings.EqualFold(hostA, hostB)
}

func isEveryAddress(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "" || (err == nil && address.IsUnspecified())
}

var (
	// hostLabel is a label of RFC 1123 section 2.1, with the underscore that
	// container networks allow.
	hostLabel = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)
	allDigits = regexp.MustCompile(`^[0-9.]+$`)
)

// isHostName leaves out what looks like an IPv4 address.
func isHostName(host string) bool {
	if len(host) > 253 || allDigits.MatchString(host) {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if !hostLabel.MatchString(label) {
			return false
		}
	}
	return true
}
