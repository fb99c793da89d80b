package receiver

import (
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a connection that takes everything at once and knows its deadlines.
type recorder struct {
	net.Conn
	reads, writes time.Time
	moves         int
}

func (r *recorder) SetReadDeadline(t time.Time) error  { r.reads, r.moves = t, r.moves+1; return nil }
func (r *recorder) SetWriteDeadline(t time.Time) error { r.writes, r.moves = t, r.moves+1; return nil }
func (r *recorder) Read(p []byte) (int, error)         { return len(p), nil }
func (r *recorder) Write(p []byte) (int, error)        { return len(p), nil }

// TestDeadlinesAreNeverEarly: whenever something waits, what it waits for is as far away
// as it has to be, and no more than a sixteenth further; and a busy connection seldom moves
// its deadlines.
func TestDeadlinesAreNeverEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slack = 10 * time.Second / 16
		raw := &recorder{}
		c := &conn{
			Conn: raw, raw: raw, writeTimeout: 10 * time.Second,
			reads: deadline{slack: slack}, writes: deadline{slack: slack},
		}
		c.line.phase = lineDone
		check := func(what string, got time.Time, timeout time.Duration) {
			if ahead := time.Until(got); ahead < timeout || ahead > timeout+slack {
				t.Fatalf("a %s has a deadline in %v, want %v", what, ahead, timeout)
			}
		}
		read := func(timeout time.Duration) {
			_ = c.SetReadDeadline(time.Now().Add(timeout)) // it only notes it
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			check("read", raw.reads, timeout)
		}
		random := rand.New(rand.NewPCG(1, 2))
		for range 1000 {
			read([]time.Duration{10 * time.Second, time.Minute}[random.IntN(2)])
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			check("write", raw.writes, 10*time.Second)
			<-time.After(time.Duration(random.IntN(int(slack))))
		}
		raw.moves = 0
		for range 1000 {
			read(time.Minute)
			_, _ = c.Write([]byte("x")) // a recorder takes it
			<-time.After(time.Millisecond)
		}
		if raw.moves > 10 {
			t.Errorf("deadlines were moved %d times in a busy second", raw.moves)
		}
		_ = c.SetReadDeadline(time.Time{}) // it only notes it
		if _, err := c.Read(make([]byte, 1)); err != nil || !raw.reads.IsZero() {
			t.Errorf("without a deadline a read has one in %v: %v", time.Until(raw.reads), err)
		}
	})
}
