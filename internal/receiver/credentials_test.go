package receiver

import (
	"crypto/sha256"
	"encoding/base64"
	"testing"

	"github.com/valyala/fasthttp"
)

func loginHeader(login string) *fasthttp.RequestHeader {
	var h fasthttp.RequestHeader
	h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(login)))
	return &h
}

// TestEveryLoginIsCompared would fail if a comparison ended with the first login
// that matches, or asked for the password only where the user name is right: the
// time of an answer would then tell which part of a guess is.
func TestEveryLoginIsCompared(t *testing.T) {
	asked := [3]int{}
	var credentials []Credential
	for i, user := range []string{"first", "second", "third"} {
		credentials = append(credentials, Credential{Username: user, Password: func() string {
			asked[i]++
			return "password of " + user
		}})
	}
	logins, err := newLogins(credentials)
	if err != nil {
		t.Fatal(err)
	}
	for login, want := range map[string]bool{
		"first:password of first":   true,
		"second:password of second": true,
		"third:password of third":   true,
		"first:password of second":  false,
		"first:password of firs":    false,
		"first":                     false,
		"nobody:password of first":  false,
		"":                          false,
		":":                         false,
	} {
		asked = [3]int{}
		if got := authorized(logins, loginHeader(login)); got != want {
			t.Errorf("%q: authorized %v", login, got)
		}
		if asked != [3]int{1, 1, 1} {
			t.Errorf("%q: the passwords were asked for %v times, want once each", login, asked)
		}
	}
}

// TestHashesAreCompared would fail if the passwords themselves were: equal
// beginnings, and lengths, would show in the time that takes. Here the hash that
// is kept for a password is of another one.
func TestHashesAreCompared(t *testing.T) {
	logins, err := newLogins([]Credential{{Username: "u", Password: func() string { return "p" }}})
	if err != nil {
		t.Fatal(err)
	}
	logins[0].hashed.Store(&hashedPassword{password: "p", hash: sha256.Sum256([]byte("u:q"))})
	for login, want := range map[string]bool{"u:p": false, "u:q": true} {
		if got := authorized(logins, loginHeader(login)); got != want {
			t.Errorf("%q: authorized %v, want %v", login, got, want)
		}
	}
}
