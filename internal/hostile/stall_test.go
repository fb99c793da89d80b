package hostile_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// grace is how much later than its timeout a connection may be cut on a busy machine.
const grace = 20 * time.Second

// stalls are the kinds that do nothing but hold a connection.
func stalls(plain bool) []string {
	if plain {
		return []string{"nothing at all", "slow headers", "slow body", "slow chunks", "body never sent"}
	}
	return []string{"nothing at all", "half a ClientHello", "idle after handshake", "slow headers", "slow body", "slow chunks", "body never sent"}
}

// enough is how many connections can be held: each takes a descriptor here and in the
// relay.
func enough(t *testing.T, wanted int) int {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n := min(wanted, int(limit.Max)-200)
	if n < wanted {
		t.Logf("only %d connections of %d: the limit of open files is %d", n, wanted, limit.Max)
	}
	return n
}

// TestStalledClients: thousands of connections that stall, each at another point, are
// cut at the timeout, cost little memory, and keep nobody else waiting.
func TestStalledClients(t *testing.T) {
	for name, plain := range map[string]bool{"tls": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			s := open(t, plain, patient)
			s.attack("all sorts", attack{
				Kinds: stalls(plain), Attackers: enough(t, *connections), Sources: 8, Limit: 3*time.Second + grace,
			})
			s.Stop(s.process)
		})
	}
}

// TestEachStalledClient is one sort after the other, each with all connections and
// the timeouts that are the default.
func TestEachStalledClient(t *testing.T) {
	if !*thorough {
		t.Log("only with -hostile.thorough: TestStalledClients has all sorts at once")
		return
	}
	all := slices.Concat(stalls(false), stalls(true))
	for i, kind := range all {
		plain := i >= len(stalls(false))
		name := "tls, " + kind
		if plain {
			name = "plain, " + kind
		}
		t.Run(name, func(t *testing.T) {
			s := open(t, plain, "")
			s.attack(kind, attack{Kinds: []string{kind}, Attackers: enough(t, *connections), Sources: 8, Limit: 10*time.Second + grace})
			s.Stop(s.process)
		})
	}
}

// TestMoreThanThereMayBe: whoever opens more connections than max_connections, and
// shows no login on any, does not keep the good client out.
func TestMoreThanThereMayBe(t *testing.T) {
	const most = 200
	s := open(t, false, fmt.Sprintf("%s  max_connections: %d\n", patient, most))
	s.attack("more than max_connections", attack{
		Kinds: []string{"nothing at all", "idle after handshake", "slow headers"}, Attackers: 3 * most, Sources: 8, Rate: 2 * most, Limit: 3*time.Second + grace,
	})
	t.Logf("%.0f of them were cut for others", s.Metrics()[`siemrelay_receiver_connections_refused_total{reason="max_connections"}`])
	s.Stop(s.process)
}

// TestIdleConnections: connections that are idle after their handshake, more than
// are allowed by default, and a good client.
func TestIdleConnections(t *testing.T) {
	const rate = 800 // handshakes a second, of which the attackers do half of the work
	n := enough(t, *idle)
	takes := max(*seconds, n/rate*2+2)
	hold := time.Duration(takes+2) * time.Second // so that all are there together
	s := open(t, false, fmt.Sprintf("  max_connections: 12000\n  read_timeout: %s\n", hold))
	r := s.attack("idle", attack{Kinds: []string{"idle after handshake"}, Attackers: n, Sources: 8, Rate: rate, Seconds: takes, Limit: hold + grace})
	if r.Connections < n {
		t.Logf("the machine was too slow to open more than %d of %d connections", r.Connections, n)
	}
	s.Stop(s.process)
}
