package receiver

import (
	"github.com/valyala/fasthttp"

	"github.com/siemrelay/siemrelay/internal/login"
)

// Credential is one login of the sender.
type Credential = login.Credential

// authorized says whether h carries exactly one Authorization field, with a login of
// the set.
func authorized(logins *login.Set, h *fasthttp.RequestHeader) bool {
	fields := h.PeekAll(fasthttp.HeaderAuthorization)
	if len(fields) != 1 {
		return false
	}
	var buffer [login.BasicBuffer]byte
	given, ok := login.Basic(buffer[:], fields[0])
	if !ok {
		return false
	}
	_, found := logins.Find(given)
	return found
}
