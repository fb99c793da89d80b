package spool_test

import (
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// entryOf is a delivery of a record, none if record is "-". Bodies called create or
// note… are unique by nature.
func entryOf(record, body string) spool.Entry {
	e := spool.Entry{Body: []byte(body), Unique: body == "create" || strings.HasPrefix(body, "note")}
	if record != "-" {
		sum := sha256.Sum256([]byte(record))
		copy(e.Record[:], sum[:])
	}
	return e
}

// valve is a disk whose syncs of segments hang while it is shut.
type valve struct {
	spool.FS
	mu   sync.Mutex
	shut chan struct{} // nil while it is open
}

type valveFile struct {
	spool.File
	v *valve
}

func (v *valve) Open(name string, flag int) (spool.File, error) {
	f, err := v.FS.Open(name, flag)
	if err != nil || !strings.HasSuffix(name, ".log") {
		return f, err
	}
	return valveFile{f, v}, nil
}

func (f valveFile) Sync() error {
	f.v.mu.Lock()
	shut := f.v.shut
	f.v.mu.Unlock()
	if shut != nil {
		<-shut
	}
	return f.File.Sync()
}

func (v *valve) set(open bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if open {
		close(v.shut)
		v.shut = nil
	} else if v.shut == nil {
		v.shut = make(chan struct{})
	}
}

// play is a spool on a stage: a script says what is delivered, what happens
// between, and what each delivery must become.
type play struct {
	t    *testing.T
	fsys *crashfs.FS
	disk *valve
	o    spool.Options
	skew atomic.Int64 // of the wall clock, nanoseconds
	s    *spool.Spool
	c    *spool.Cursor

	events []spool.Receipt // as they were answered or, if nobody was told, read back
	told   map[uint64]bool // by sequence: tagged, as the script says
	seen   map[uint64]bool // by sequence: tagged, as it was read back
}

func newPlay(t *testing.T) *play {
	p := &play{t: t, fsys: crashfs.New(1), told: map[uint64]bool{}, seen: map[uint64]bool{}}
	p.disk = &valve{FS: p.fsys}
	p.o = options(p.disk)
	p.o.MaxSize = 1 << 20
	p.o.RetryWindow = time.Hour
	p.o.Now = func() time.Time { return time.Now().Add(time.Duration(p.skew.Load())) }
	return p
}

func (p *play) open() {
	p.o.Registry = prometheus.NewRegistry()
	p.s = mustOpen(p.t, p.o)
	p.c = mustCursor(p.t, p.s, "audit")
}

// kill ends the process, and the power with it.
func (p *play) kill() {
	p.fsys.CrashAt(1)
	p.s.Close()
	p.fsys.Crash()
	forgetNote(p.fsys) // what was never synced may be gone
}

// die ends the process alone: what it has written stays, synced or not.
func (p *play) die() {
	p.fsys.Fault(func(crashfs.Op, string, int) error { return crashfs.ErrCrashed })
	p.s.Close()
	p.fsys.Fault(nil)
}

// read notes what has come into the log, and returns the newest of it.
func (p *play) read() (newest spool.Receipt) {
	for {
		r, ok, err := p.c.Next()
		if err != nil {
			p.t.Fatalf("next: %v", err)
		}
		if !ok {
			return newest
		}
		newest = spool.Receipt{ID: r.ID, Sequence: r.Sequence}
		if before, again := p.seen[r.Sequence]; again && before != r.PossibleRetry {
			p.t.Errorf("event %d was tagged %t, now %t", r.Sequence, before, r.PossibleRetry)
		}
		p.seen[r.Sequence] = r.PossibleRetry
	}
}

// refusals by their names in a script.
var refusals = map[string]error{"slow": spool.ErrSlow, "io": spool.ErrIO, "no_space": spool.ErrNoSpace, "closed": spool.ErrClosed}

// deliver is "RECORD BODY new | tagged | retry N | ERROR"; events count from 1.
func (p *play) deliver(line string, words []string) {
	r, err := p.s.Append(entryOf(words[0], words[1]))
	became := strings.Join(words[2:], " ")
	if want, refused := refusals[became]; refused || err != nil {
		if !errors.Is(err, want) || !refused {
			p.t.Fatalf("%s: append said %v", line, err)
		}
		return
	}
	if n, ok := strings.CutPrefix(became, "retry "); ok {
		i, err := strconv.Atoi(n)
		if err != nil || i > len(p.events) {
			p.t.Fatalf("%s: there are %d events", line, len(p.events))
		}
		if want := p.events[i-1]; !r.Duplicate || r.ID != want.ID || r.Sequence != want.Sequence {
			p.t.Fatalf("%s: got %+v, want a duplicate of %+v", line, r, want)
		}
		return
	}
	if r.Duplicate {
		p.t.Fatalf("%s: it was taken for a retry of event %d", line, r.Sequence)
	}
	p.events = append(p.events, r)
	p.told[r.Sequence] = became == "tagged"
	p.read()
	if tagged := p.seen[r.Sequence]; tagged != p.told[r.Sequence] {
		p.t.Fatalf("%s: tagged %t", line, tagged)
	}
}

func (p *play) line(line string) {
	words := strings.Fields(line)
	switch words[0] {
	default:
		p.deliver(line, words)
	case "lost": // the answer to the latest delivery of event N
		n, err := strconv.Atoi(words[1])
		if err != nil {
			p.t.Fatal(err)
		}
		p.s.Unanswered(p.events[n-1])
	case "wait", "clock":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			p.t.Fatal(err)
		}
		if words[0] == "clock" {
			p.skew.Add(int64(d))
		} else {
			time.Sleep(d)
		}
	case "restart":
		mustClose(p.t, p.s)
		p.open()
	case "kill":
		p.kill()
		p.open()
	case "die":
		p.die()
		p.open()
	case "full":
		p.fsys.Resize(1)
	case "room":
		p.fsys.Resize(0)
	case "hang":
		p.disk.set(false)
	case "goes":
		p.disk.set(true)
		synctest.Wait()
	case "stored": // an event that its sender was refused
		before := len(p.seen)
		newest := p.read()
		if len(p.seen) != before+1 {
			p.t.Fatalf("%s: %d more events are there", line, len(p.seen)-before)
		}
		p.events = append(p.events, newest)
	case "bad": // the next sync of a segment fails
		failed := false
		p.fsys.Fault(func(op crashfs.Op, name string, _ int) error {
			if op == crashfs.OpSync && strings.HasSuffix(name, ".log") && !failed {
				failed = true
				return syscall.EIO
			}
			return nil
		})
	}
}

// run plays a script and holds the log against it.
func (p *play) run(script string) {
	p.t.Cleanup(func() { // where a line went wrong
		p.disk.set(false)
		p.disk.set(true)
		p.s.Close()
	})
	p.open()
	for line := range strings.Lines(script) {
		if line = strings.TrimSpace(line); line != "" {
			p.line(line)
		}
	}
	p.read()
	if len(p.seen) != len(p.events) {
		p.t.Errorf("%d events are in the log, want %d", len(p.seen), len(p.events))
	}
	mustClose(p.t, p.s)
}
