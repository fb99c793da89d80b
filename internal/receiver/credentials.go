package receiver

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// maxLogin is the longest "user:password", in bytes, that can be right.
const maxLogin = 1024

// Credential is one login of the sender. Several may be valid at once, so that
// a password can be changed without losing a webhook.
type Credential struct {
	// Username must not be empty nor contain a colon (RFC 7617 section 2).
	Username string
	// Password returns the password of this moment. It is called for every
	// request, so it has to be cheap; what it returns may change between calls.
	// While it returns the empty string, this login is refused.
	Password func() string
}

// login is a Credential with the hash of its present "user:password".
type login struct {
	Credential
	hashed atomic.Pointer[hashedPassword]
}

type hashedPassword struct {
	password string
	hash     [sha256.Size]byte
}

// newLogins checks the credentials.
func newLogins(credentials []Credential) ([]*login, error) {
	var logins []*login
	for _, c := range credentials {
		if c.Username == "" || strings.ContainsFunc(c.Username, forbiddenInUsername) {
			return nil, fmt.Errorf("check user name %q: it must not be empty, nor contain a colon or a control character", c.Username)
		}
		if c.Password == nil || c.Password() == "" {
			return nil, fmt.Errorf("check password of user %q: it must not be empty", c.Username)
		}
		if len(c.Username)+1+len(c.Password()) > maxLogin {
			return nil, fmt.Errorf("check login of user %q: user name and password may have %d bytes together", c.Username, maxLogin-1)
		}
		logins = append(logins, &login{Credential: c})
	}
	if len(logins) == 0 {
		return nil, errors.New("check credentials: there are none, and insecure_no_auth is not set")
	}
	return logins, nil
}

func forbiddenInUsername(r rune) bool { return r == ':' || r < ' ' || r == 0x7f }

// hash returns the hash of the present "user:password". It is computed only
// when the password has changed.
func (l *login) hash() (h [sha256.Size]byte, ok bool) {
	password := l.Password()
	if known := l.hashed.Load(); known != nil && known.password == password {
		return known.hash, password != ""
	}
	fresh := &hashedPassword{password: password, hash: sha256.Sum256([]byte(l.Username + ":" + password))}
	l.hashed.Store(fresh)
	return fresh.hash, password != ""
}

// authorized says whether h carries exactly one Authorization field, with the
// login of one of logins. Its time depends neither on which login nor on how
// much of one is right: hashes of fixed length are compared, all of them.
func authorized(logins []*login, h *fasthttp.RequestHeader) bool {
	fields := h.PeekAll(fasthttp.HeaderAuthorization)
	if len(fields) != 1 {
		return false
	}
	var buffer [maxLogin + 2]byte // base64 works in groups of three bytes
	given, ok := basicLogin(buffer[:], fields[0])
	if !ok {
		return false
	}
	sum := sha256.Sum256(given)
	found := 0
	for _, l := range logins {
		want, usable := l.hash()
		same := subtle.ConstantTimeCompare(sum[:], want[:])
		if usable {
			found |= same
		}
	}
	return found == 1
}

// basicLogin decodes the "user:password" of an Authorization field into dst
// (RFC 7617 section 2; the scheme's name is case-insensitive).
func basicLogin(dst, field []byte) ([]byte, bool) {
	const scheme = "Basic "
	if len(field) < len(scheme) || !isField(field[:len(scheme)], scheme) {
		return nil, false
	}
	token := bytes.TrimLeft(field[len(scheme):], " ")
	if base64.StdEncoding.DecodedLen(len(token)) > len(dst) {
		return nil, false
	}
	n, err := base64.StdEncoding.Decode(dst, token)
	if err != nil {
		return nil, false
	}
	return dst[:n], true
}
