package hostile_test

import (
	"strings"
	"testing"
)

// TestGuesses: thousands of wrong passwords a second, from one address and from many,
// are all refused; the right one is accepted all the time, also from the address of
// those who guess; and the log neither grows nor tells what was guessed.
func TestGuesses(t *testing.T) {
	for name, plain := range map[string]bool{"tls": false, "plain": true} {
		rate := 1000 // handshakes, of which the attackers do half of the work
		if plain {
			rate = 5000
		}
		t.Run(name, func(t *testing.T) {
			s := open(t, plain, "")
			lines := strings.Count(s.Log(), "\n")
			one := s.attack("from one address", attack{Kinds: []string{"guesses"}, Attackers: 64, Sources: 1, Rate: rate, Limit: grace})
			many := s.attack("from many addresses", attack{Kinds: []string{"guesses"}, Attackers: 64, Sources: 250, Rate: rate, Limit: grace})
			answered := 0
			for _, r := range []report{one, many} {
				for status, n := range r.Statuses {
					if status == "401" || status == "429" {
						answered += n
					} else {
						t.Errorf("%d guesses were answered with %s", n, status)
					}
				}
			}
			m := s.Metrics()
			counted := int(m[`siemrelay_receiver_rejected_total{reason="credentials"}`] + m[`siemrelay_receiver_rejected_total{reason="login_limit"}`])
			if counted != answered {
				t.Errorf("%d guesses were answered, %d were counted", answered, counted)
			}
			// The limit is 1,000 a minute from one address.
			if want := min(one.Cut, 1000); *seconds < 60 && one.Statuses["401"] != want {
				t.Errorf("%d of %d guesses from one address got 401, want %d", one.Statuses["401"], one.Cut, want)
			}
			// Two for each address and minute, and what else there is to say.
			if n := strings.Count(s.Log(), "\n") - lines; n > 2000 {
				t.Errorf("%d lines of log for %d guesses", n, answered)
			}
			s.Stop(s.process)
		})
	}
}

// TestOddDeliveries: bodies that are too large, gzip bombs, broken chunks and smuggled
// requests, many at once and again and again, get the answers that they get alone,
// and the good client does not notice.
func TestOddDeliveries(t *testing.T) {
	for name, plain := range map[string]bool{"tls": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			s := open(t, plain, "")
			s.attack("corpus", attack{Kinds: []string{oddDeliveries}, Attackers: 16, Limit: grace})
			s.Stop(s.process)
		})
	}
}
