package admin_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/admin"
)

func TestHosts(t *testing.T) {
	plain := newGated(t, func(g *gated, o *admin.Options) {
		withUsers(g, o)
		o.Listen, o.Hosts = "Inside.example:9464", []string{"siem.example.com", "192.0.2.7", "2001:db8::1"}
	})
	secure := newGated(t, withTLS(t))
	for _, c := range []struct {
		g    *gated
		host string
		ok   bool
	}{
		{plain, "127.0.0.1", true}, {plain, "localhost:1", true}, {plain, "LOCALHOST.", true}, {plain, "[::1]:9464", true}, {plain, "127.9.9.9", true},
		{plain, "inside.example:9464", true}, {plain, "SIEM.example.com", true}, {plain, "siem.example.com.:443", true},
		{plain, "192.0.2.7:9464", true}, {plain, "[2001:db8::1]:9464", true},
		{plain, "other.example", false}, {plain, "192.0.2.8", false}, {plain, "localhost.example", false}, {plain, "127.0.0.1.example", false},
		{plain, "x.siem.example.com", false}, {plain, "relay.example.com", false},
		{secure, "relay.example.com:9464", true}, {secure, "Relay.Example.COM", true}, {secure, "127.0.0.1", true},
		{secure, "siem.example.com", false}, {secure, "example.com", false}, {secure, "0.0.0.0", false}, {secure, "[::]:9464", false},
	} {
		for path, status := range map[string]int{"/": 303, "/metrics": 401, "/api/v1/status": 401, "/login": 200, "/assets/x": 200} {
			want := status
			if !c.ok {
				want = http.StatusForbidden
			}
			resp, text := c.g.ask(t, http.MethodGet, path, "", "Host: "+c.host, "Accept: text/html")
			if resp.StatusCode != want {
				t.Errorf("%s%s: %d %q, want %d", c.host, path, resp.StatusCode, text, want)
			}
			if !c.ok && (strings.HasPrefix(text, "refused") || !strings.Contains(text, "admin.hosts")) {
				t.Errorf("%s%s: %q, want plain text that says what to do", c.host, path, text)
			}
		}
		if status, _ := c.g.get(t, "/-/healthy", "Host: "+c.host); status != http.StatusOK {
			t.Errorf("%s: health is %d", c.host, status)
		}
	}
}

// The address that a connection came in on is ours, whatever it is.
func TestLocalAddressIsAHost(t *testing.T) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		network, ok := a.(*net.IPNet)
		if !ok || network.IP.IsLoopback() || network.IP.To4() == nil {
			continue
		}
		g := newGated(t, func(g *gated, o *admin.Options) { withUsers(g, o); g.listen = "0.0.0.0:0" })
		_, port, _ := net.SplitHostPort(g.address)
		access, err := admin.ReadAccess(g.dir)
		if err != nil || access.Address != "127.0.0.1:"+port {
			t.Errorf("commands go to %s, %v", access.Address, err)
		}
		g.address = net.JoinHostPort(network.IP.String(), port)
		if status, text := g.get(t, "/", "Accept: text/html"); status != http.StatusSeeOther {
			t.Errorf("%s: %d %q, want the way to the login", g.address, status, text)
		}
		return
	}
	t.Log("this machine has loopback addresses only; TestHosts has the others")
}

func TestWritesFromElsewhere(t *testing.T) {
	for name, with := range map[string]func(*gated, *admin.Options){"open": nil, "with users": withUsers} {
		g := newGated(t, with)
		_, operator := g.logIn(t, "olga", operatorPassword)
		bearer := "Authorization: Bearer " + g.token(t)
		for _, header := range []string{"Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://localhost:1"} {
			for path, who := range map[string]string{"/dead-letters": operator, "/login": "", "/logout": operator, "/api/v1/deadletters/drop": bearer} {
				if resp, _ := g.ask(t, http.MethodPost, path, "", header, who); resp.StatusCode != http.StatusForbidden || len(resp.Cookies()) > 0 {
					t.Errorf("%s: POST %s with %s: status %d, cookies %v", name, path, header, resp.StatusCode, resp.Cookies())
				}
			}
		}
		if resp, _ := g.ask(t, http.MethodPost, "/dead-letters", "", "Origin: http://"+g.address, "Sec-Fetch-Site: same-origin", operator); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: a write of our own page: status %d", name, resp.StatusCode)
		}
		if n := len(g.fake.Calls()); n > 0 {
			t.Errorf("%s: %d operations were called", name, n)
		}
	}
}
