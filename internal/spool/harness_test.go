package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const dir = "/var/spool"

// options are those of a spool whose segments hold a handful of test events.
func options(fsys spool.FS) spool.Options {
	return spool.Options{
		Dir: dir, FS: fsys, MaxSize: 8 << 10, Retention: 0,
		Rand: rand.NewChaCha8([32]byte{1}),
		Log:  slog.New(slog.DiscardHandler),
	}
}

func mustOpen(t testing.TB, o spool.Options) *spool.Spool {
	t.Helper()
	s, err := spool.Open(o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func mustCursor(t testing.TB, s *spool.Spool, name string) *spool.Cursor {
	t.Helper()
	c, err := s.Cursor(name, spool.FromOldest)
	if err != nil {
		t.Fatalf("open cursor: %v", err)
	}
	return c
}

func mustAppend(t testing.TB, s *spool.Spool, body string) string {
	t.Helper()
	r, err := s.Append(entry(body))
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return r.ID
}

// entry is a body that is never taken for a retry.
func entry(body string) spool.Entry { return spool.Entry{Body: []byte(body)} }

func mustClose(t testing.TB, s *spool.Spool) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// event returns the i-th test body; lengths differ so that records do.
func event(i int) string {
	return fmt.Sprintf(`{"n":%d,"pad":"%s"}`, i, strings.Repeat("x", i*37%200))
}

// got is a copy of a record.
type got struct {
	id       string
	sequence uint64
	accepted time.Time
	body     string
}

// drain reads all that is there.
func drain(t testing.TB, c *spool.Cursor) []got {
	t.Helper()
	var all []got
	for {
		r, ok, err := c.Next()
		if err != nil {
			t.Fatalf("next: %v", err)
		}
		if !ok {
			return all
		}
		all = append(all, got{r.ID, r.Sequence, r.Accepted, string(r.Body)})
	}
}

// settle commits everything before next as delivered.
func settle(c *spool.Cursor, next uint64) error {
	return c.Commit(next, spool.Outcome{Delivered: next - min(next, c.Position().Next)})
}

// account returns the account of a cursor, and fails if it does not add up.
func account(t testing.TB, s *spool.Spool, name string) spool.Account {
	t.Helper()
	for _, a := range s.Accounts() {
		if a.Output != name {
			continue
		}
		if sum := a.Delivered + a.Sent + a.Filtered + a.Dead + a.Dropped + a.Unreadable + a.Pending; sum != a.Entered {
			t.Fatalf("the account does not add up: %+v", a)
		}
		return a
	}
	t.Fatalf("there is no account of %s", name)
	return spool.Account{}
}

func bodies(all []got) string {
	var b strings.Builder
	for _, g := range all {
		b.WriteString(g.body + "\n")
	}
	return b.String()
}

// segments returns the paths of the segment files.
func segments(fsys *crashfs.FS) []string { return under(fsys, "segments") }
func aside(fsys *crashfs.FS) []string    { return under(fsys, "aside") }

func under(fsys *crashfs.FS, sub string) []string {
	var names []string
	for _, name := range fsys.Names() {
		if filepath.Dir(name) == filepath.Join(dir, sub) && !strings.HasPrefix(filepath.Base(name), "spare-") {
			names = append(names, name)
		}
	}
	return names
}

// counter returns the value of a counter or gauge, summed over its labels.
func counter(t testing.TB, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// lockedBuffer is a log that goroutines may write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var _ io.Writer = (*lockedBuffer)(nil)

// refusals are the errors that Append may return.
func isRefusal(err error) bool {
	for _, want := range []error{spool.ErrFull, spool.ErrNoSpace, spool.ErrIO, spool.ErrSlow, spool.ErrClosed} {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

// flipIn flips a bit in the middle of text, wherever it stands in b.
func flipIn(b []byte, text string) []byte {
	b[bytes.Index(b, []byte(text))+len(text)/2] ^= 1
	return b
}

func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
