package load

import (
	"fmt"
	"strings"
)

// Placeholder stands in a body where each webhook's own record id goes.
const Placeholder = "load-RRRRRRRR-NNNNNNNNNNNN"

// The id of the n-th webhook of a run is "load-", eight hex digits of the run, "-",
// and twelve of n, counted from 0.
const (
	runAt, numberAt = len("load-"), len("load-RRRRRRRR-")
	numberDigits    = len(Placeholder) - numberAt
)

// MinSize is the size of the smallest Webhook, in bytes.
func MinSize() int { return len(webhook(0)) }

// Webhook is a new threat with the Placeholder as its id, padded to size bytes with
// its description, or of MinSize.
func Webhook(size int) []byte { return webhook(max(size-MinSize(), 0)) }

func webhook(padding int) []byte {
	const text = "A version of the web server software with known vulnerabilities was found. "
	description := strings.Repeat(text, padding/len(text)+1)[:padding]
	return fmt.Appendf(nil, `{"record_type":"Threat","id":%q,"company_id":"abc12345-6789-0def-1234-56789abcdef0","trigger_action":"create",`+
		`"title":"Outdated software detected on a public facing server","description":%q,"risk":"high","state":"detected","type":"Scanner::Site",`+
		`"url":"https://my.defense.com/threats/1","created_at":"2026-06-19T09:30:00Z"}`, Placeholder, description)
}

// number writes n where a copy of the Placeholder stands.
func number(id []byte, n int64) {
	const digits = "0123456789abcdef"
	for i := numberDigits - 1; i >= 0; i-- {
		id[numberAt+i] = digits[n&15]
		n >>= 4
	}
}
