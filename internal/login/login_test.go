package login

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
)

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
	logins, err := NewSet(credentials)
	if err != nil {
		t.Fatal(err)
	}
	indexes := map[string]int{"first:password of first": 0, "second:password of second": 1, "third:password of third": 2}
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
		if m, got := logins.Find([]byte(login)); got != want || got && m.Index != indexes[login] {
			t.Errorf("%q: found %v", login, got)
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
	logins, err := NewSet([]Credential{{Username: "u", Password: func() string { return "p" }}})
	if err != nil {
		t.Fatal(err)
	}
	logins.logins[0].hashed.Store(&hashedPassword{password: "p", hash: sha256.Sum256([]byte("u:q"))})
	for login, want := range map[string]bool{"u:p": false, "u:q": true} {
		if _, got := logins.Find([]byte(login)); got != want {
			t.Errorf("%q: found %v, want %v", login, got, want)
		}
	}
}

// TestAMatchHolds until the password changes, or can't be told any more.
func TestAMatchHolds(t *testing.T) {
	password := "p"
	logins, err := NewSet([]Credential{{Username: "u", Password: func() string { return password }}})
	if err != nil {
		t.Fatal(err)
	}
	m, found := logins.Find([]byte("u:p"))
	if !found || !logins.Holds(m) {
		t.Fatal("the login is not found")
	}
	for _, other := range []string{"q", ""} {
		if password = other; logins.Holds(m) {
			t.Errorf("it holds with the password %q", other)
		}
	}
	if password = "p"; !logins.Holds(m) {
		t.Error("it does not hold when the password is back")
	}
}

func TestUnusableCredentials(t *testing.T) {
	is := func(p string) func() string { return func() string { return p } }
	for _, c := range []Credential{
		{Username: "", Password: is("p")},
		{Username: "a:b", Password: is("p")},
		{Username: "a\n", Password: is("p")},
		{Username: "a", Password: is("")},
		{Username: "a"},
		{Username: "a", Password: is(strings.Repeat("s3cret", Max))},
	} {
		if _, err := NewSet([]Credential{c}); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("user %q: %v, want an error without the password", c.Username, err)
		}
	}
}

// FuzzBasic: what is encoded comes back, and nothing else is made up.
func FuzzBasic(f *testing.F) {
	for _, seed := range []string{"Basic dTpw", "basic  dTpw", "Basic", "Basic ", "Basic dTpw==", "Bearer dTpw", "Basic ////"} {
		f.Add([]byte(seed), []byte("u:p"))
	}
	f.Fuzz(func(t *testing.T, field, login []byte) {
		var buffer [BasicBuffer]byte
		if got, ok := Basic(buffer[:], field); ok && len(got) > len(field) {
			t.Errorf("%q gave %q", field, got)
		}
		text := base64.StdEncoding.EncodeToString(login)
		got, ok := Basic(buffer[:], []byte("bAsIc "+text))
		if fits := len(login) <= Max; fits && (!ok || string(got) != string(login)) {
			t.Errorf("%q came back as %q, %v", login, got, ok)
		}
	})
}
