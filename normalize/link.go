package normalize

import (
	"strings"
	"unicode"
)

// maxLink is the longest link in characters: ECS indexes event.url up to there.
const maxLink = 2083

// safeLink says whether url may be shown as a link: https, one of hosts (lower
// case), no user information, no port but 443, no control character or white
// space. The host must equal an allowed one as a whole, so that what browsers
// bend, such as a backslash in the host, is refused too.
func safeLink(url string, hosts []string) bool {
	const scheme = "https://"
	if len(url) < len(scheme) || !strings.EqualFold(url[:len(scheme)], scheme) {
		return false
	}
	authority := url[len(scheme):]
	if end := strings.IndexAny(authority, "/?#"); end >= 0 {
		authority = authority[:end]
	}
	if host, port, found := strings.Cut(authority, ":"); found && (port == "443" || port == "") {
		authority = host
	}
	if !containsHost(hosts, authority) || len(cut(url, maxLink)) < len(url) {
		return false
	}
	for _, r := range url {
		plain := r > ' ' && r < 0x7f
		if !plain && (isControl(r) || unicode.IsSpace(r)) {
			return false
		}
	}
	return true
}

func containsHost(hosts []string, host string) bool {
	for _, h := range hosts {
		if len(h) == len(host) && strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}
