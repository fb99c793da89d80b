package config

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// check holds the admin listener to its rule: what other machines can reach has TLS
// and a login.
func (a *Admin) check(s *scope) {
	host, _, ok := splitAddress(a.Listen)
	switch {
	case !ok:
		s.report("listen", "is not an address with a port; write one such as 127.0.0.1:9464")
	case isLoopback(host):
	default:
		const beyond = "is missing; %s is not a loopback address, so give %s, or listen on 127.0.0.1, [::1] or localhost"
		shown := s.find("listen").shown
		if (a.TLS == AdminTLS{}) {
			s.report("tls", beyond, shown, "cert_file and key_file")
		}
		if len(a.Users) == 0 {
			s.report("users", beyond, shown, "at least one username with a password or password_file")
		}
	}
	a.checkUsers(s)
	a.checkHosts(s)
}

func (a *Admin) checkUsers(s *scope) {
	for i, u := range a.Users {
		first := slices.IndexFunc(a.Users, func(other AdminUser) bool { return other.Username == u.Username })
		if u.Username != "" && first < i {
			s.report("users["+strconv.Itoa(i)+"].username", "is that of users[%d] too; give each user a name of their own", first)
		}
	}
}

// checkHosts wants users too: who comes by another name is not on this machine.
func (a *Admin) checkHosts(s *scope) {
	for i, host := range a.Hosts {
		a.Hosts[i] = strings.ToLower(host)
		if _, err := netip.ParseAddr(host); err != nil && !isHostName(host) {
			s.report("hosts["+strconv.Itoa(i)+"]", "is not a host; write a name or an address such as siemrelay.example.com, without scheme, port or *")
		}
	}
	if len(a.Hosts) > 0 && len(a.Users) == 0 {
		s.report("users", "is missing; who reaches the console by a name of hosts is not on this machine, so give at least one username with a password or password_file")
	}
}

func (t *AdminTLS) check(s *scope) { (*TLS)(t).checkPair(s, "browsers") }

// shortPassword is what a person's password has at least, in bytes, to draw no
// warning (OWASP ASVS 5.0, 6.2.1 asks for 8 and recommends 15 characters).
const shortPassword = 12

func (u *AdminUser) check(s *scope) {
	checkLogin(s, u.Username, u.Password)
	if n := len(u.Password.Value()); n > 0 && n < shortPassword {
		s.warn("password", "has fewer than %d characters, which can be guessed; make a longer one", shortPassword)
	}
}
