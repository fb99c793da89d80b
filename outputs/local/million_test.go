package local_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/local"
)

var manyEvents = flag.Int("local.events", 1_000, "how many events TestManyEvents stores; with a million or more it also holds searches to their times")

// traffic makes webhooks as they come: threats that are created, noted, assigned and
// closed, some tickets, of a few companies.
type traffic struct {
	*rig
	random *rand.Rand
	made   int
	open   []int // threats that are not closed yet
}

func newTraffic(r *rig) *traffic { return &traffic{rig: r, random: rand.New(rand.NewPCG(1, 2))} }

// words of titles and descriptions; the first are the most frequent.
func words() []string {
	return strings.Fields(`the of server a was found in and version software vulnerable outdated login address certificate
		port password weak user remote attacker could injection script cookie header expired missing update library
		exposed database backup directory listing phishing malware endpoint suspicious traffic outbound privilege
		escalation firewall configuration cipher tls kernel patch overflow memory disclosure session token query
		upload traversal bypass denial service brute force scan domain mail record spoofing`)
}

func (tr *traffic) text(n int) string {
	list := words()
	var b strings.Builder
	for range n {
		i := min(tr.random.IntN(len(list)), tr.random.IntN(len(list)))
		b.WriteString(list[i])
		b.WriteByte(' ')
	}
	fmt.Fprintf(&b, "%x", tr.random.IntN(1<<20))
	return b.String()
}

// next makes the message of the next event.
func (tr *traffic) next() outputs.Message {
	tr.made++
	id, trigger, more := tr.made, "create", []string(nil)
	risk := []string{"info", "low", "medium", "medium", "high", "critical"}[tr.random.IntN(6)]
	if len(tr.open) > 0 && tr.random.IntN(4) > 0 {
		i := tr.random.IntN(len(tr.open))
		id, trigger = tr.open[i], "update"
		switch tr.random.IntN(3) {
		case 0:
			more = []string{"note_created_by", "Alex Morgan", "note_message", tr.text(15)}
		case 1:
			trigger, more = "closed", []string{"state", "remediated"}
			tr.open = slices.Delete(tr.open, i, i+1)
		}
	} else {
		tr.open = append(tr.open, id)
	}
	company := "company-" + strconv.Itoa(id%20)
	if id%25 == 0 {
		return tr.message(tr.made, ticket(strconv.Itoa(id), trigger, append(more[:0:0], "company_id", company, "subject", tr.text(6))...))
	}
	more = append(more, "company_id", company, "title", tr.text(6), "description", tr.text(60), "risk", risk)
	return tr.message(tr.made, threat("00000000-1234-5678-9abc-"+fmt.Sprintf("%012d", id), trigger, more...))
}

// fill stores n events in batches as the relay makes them.
func (tr *traffic) fill(n int) (spent time.Duration) {
	for n > 0 {
		var batch []outputs.Message
		for range min(n, 1000) {
			batch = append(batch, clone(tr.next()))
		}
		n -= len(batch)
		begun := time.Now()
		tr.must(tr.Send(context.Background(), batch))
		spent += time.Since(begun)
	}
	return spent
}

// TestManyEvents: with many events every page is right, and with a million it comes in
// time.
func TestManyEvents(t *testing.T) {
	r := newRig(t, func(c *local.Config) { c.Retention, c.MaxSize = 0, 8*config.GiB })
	tr := newTraffic(r)
	spent := tr.fill(*manyEvents)
	info, err := os.Stat(r.path)
	r.must(err)
	t.Logf("%d events: %.0f a second, %d bytes each", *manyEvents, float64(*manyEvents)/spent.Seconds(), info.Size()/int64(*manyEvents))
	r.pass(time.Duration(*manyEvents) * time.Second)
	timed := func(what string, limit time.Duration, f func()) {
		var best time.Duration
		for i := range 3 {
			begun := time.Now()
			f()
			if d := time.Since(begun); i == 0 || d < best {
				best = d
			}
		}
		t.Logf("%8.1f ms  %s", float64(best.Microseconds())/1000, what)
		if *manyEvents >= 1_000_000 && best > limit {
			t.Errorf("%s takes %v, want at most %v", what, best, limit)
		}
	}
	page := func(text string) {
		q, err := local.ParseQuery(text, r.clock())
		r.must(err)
		_, _, err = r.Events(context.Background(), q, local.Page{Limit: 100})
		r.must(err)
	}
	records := func(text string, severity bool) {
		q, err := local.ParseQuery(text, r.clock())
		r.must(err)
		_, _, _, err = r.Records(context.Background(), q, local.RecordPage{Limit: 100, Severity: severity, Most: 10_000})
		r.must(err)
	}
	timed("first page", 100*time.Millisecond, func() { page("") })
	for _, text := range []string{
		"server", "server vulnerable", "overflow spoofing mail", `"brute force"`, "serv*", "nothingofthat", "risk:critical", "-risk:info server",
		"risk:critical status:open company:company-7 login", "status:closed since:1h", "-server -vulnerable", "patch until:2d", "id:00000000-1234-5678-9abc-000000000001",
		"company:company-3 kind:ticket", "risk:info status:closed traversal bypass denial upload",
	} {
		timed("events "+text, 200*time.Millisecond, func() { page(text) })
		timed("records "+text, 200*time.Millisecond, func() { records(text, false) })
	}
	timed("records", 100*time.Millisecond, func() { records("", false) })
	timed("open threats, worst first", 200*time.Millisecond, func() { records("status:open kind:threat", true) })
	timed("overview of a day", 200*time.Millisecond, func() { _, err := r.Overview(context.Background(), "", 24*time.Hour); r.must(err) })
	timed("overview of 90 days", 200*time.Millisecond, func() { _, err := r.Overview(context.Background(), "", 90*24*time.Hour); r.must(err) })
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	t.Logf("heap %d MiB, from the system %d MiB", mem.HeapAlloc>>20, mem.Sys>>20)
}
