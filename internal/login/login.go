// Package login tells who somebody is by user name and password, for the door as for
// the console.
//
// It guarantees that the time of a comparison depends neither on which login nor on
// how much of one is right, and that what strangers do takes bounded memory and
// bounded lines in the log. It refuses to know what a login opens and what a failure
// is answered with.
package login

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
)

// Max is the longest "user:password", in bytes, that can be right.
const Max = 1024

// BasicBuffer is the size of a buffer that Basic can decode every right login into:
// base64 works in groups of three bytes.
const BasicBuffer = Max + 2

// Credential is one login. Several may be valid at once, so that a password can be
// changed without losing a webhook.
type Credential struct {
	// Username must not be empty nor contain a colon (RFC 7617 section 2).
	Username string
	// Password returns the password of this moment. It is called for every
	// request, so it has to be cheap; what it returns may change between calls.
	// While it returns the empty string, this login is refused.
	Password func() string
}

// Set is the logins that are valid. Its methods may be called concurrently.
type Set struct {
	logins []*login
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

// NewSet checks the credentials.
func NewSet(credentials []Credential) (*Set, error) {
	s := &Set{}
	for _, c := range credentials {
		if c.Username == "" || strings.ContainsFunc(c.Username, forbiddenInUsername) {
			return nil, fmt.Errorf("check user name %q: it must not be empty, nor contain a colon or a control character", c.Username)
		}
		if c.Password == nil || c.Password() == "" {
			return nil, fmt.Errorf("check password of user %q: it must not be empty", c.Username)
		}
		if len(c.Username)+1+len(c.Password()) > Max {
			return nil, fmt.Errorf("check login of user %q: user name and password may have %d bytes together", c.Username, Max-1)
		}
		s.logins = append(s.logins, &login{Credential: c})
	}
	return s, nil
}

func forbiddenInUsername(r rune) bool { return r == ':' || r < ' ' || r == 0x7f }

// Match is a login that was found.
type Match struct {
	Index int // of the credential in NewSet's list
	hash  [sha256.Size]byte
}

// Find returns the login that "user:password" is, the last one if there are several.
// All of them are compared, by hashes of fixed length.
func (s *Set) Find(given []byte) (m Match, found bool) {
	m.hash = sha256.Sum256(given)
	right := 0
	for i, l := range s.logins {
		want, usable := l.hash()
		same := subtle.ConstantTimeCompare(m.hash[:], want[:])
		if usable {
			right |= same
			m.Index = subtle.ConstantTimeSelect(same, i, m.Index)
		}
	}
	return m, right == 1
}

// Holds tells whether a match would still be found: its password has not changed.
func (s *Set) Holds(m Match) bool {
	now, usable := s.logins[m.Index].hash()
	return usable && subtle.ConstantTimeCompare(m.hash[:], now[:]) == 1
}

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

// Basic decodes the "user:password" of an Authorization field into dst, of
// BasicBuffer bytes (RFC 7617 section 2; the scheme's name is case-insensitive).
func Basic(dst, field []byte) ([]byte, bool) {
	const scheme = "Basic "
	if len(field) < len(scheme) || !bytes.EqualFold(field[:len(scheme)], []byte(scheme)) {
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
