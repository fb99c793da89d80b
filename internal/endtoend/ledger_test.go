package endtoend_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// history is what a run left: the lines of an output before and after a crash.
type history struct {
	before, after []string
	between       []string // of a process that ended soon after it began
	torn          string
}

func ecs(record string, number int) string {
	return fmt.Sprintf(`{"message":"%d","event":{"id":%q,"sequence":%d,"hash":%q},"defensecom":{"threat":{"id":%q}}}`,
		number, id(record, number), sequence(record, number), "hash-"+id(record, number), record)
}

func cef(record string, number int) string {
	return fmt.Sprintf("CEF:0|Defense.com|Defense.com|1.0|threat.update|%d|6|rt=1 externalId=%s act=update cs6=%s cs6Label=eventId cn1=73", number, record, id(record, number))
}

func id(record string, number int) string { return fmt.Sprintf("%031d%s", number, record) }

// sequence lets the records a and b take turns.
func sequence(record string, number int) int { return 2*number + int(record[0]-'a') }

// good is four webhooks of two records, two of which were sent again after a crash.
func good(line func(string, int) string) history {
	return history{
		before: []string{line("a", 1), line("b", 1), line("a", 2)},
		after:  []string{line("b", 1), line("a", 2), line("b", 2)},
	}
}

func sent() []endtoend.Delivery {
	var all []endtoend.Delivery
	for _, record := range []string{"a", "b"} {
		for number := 1; number <= 2; number++ {
			all = append(all, endtoend.Delivery{
				Record: record, Number: number, Hash: "hash-" + id(record, number),
				Answer: endtoend.Answer{Status: 200, ID: id(record, number)},
			})
		}
	}
	return all
}

// check returns what a ledger finds wrong with h.
func check(t *testing.T, format string, h history, deliveries []endtoend.Delivery) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out")
	ledger := endtoend.NewLedger(endtoend.Output{Format: format, Path: path})
	write := func(lines []string) {
		text := ""
		for _, l := range lines {
			text += l + "\n"
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	write(h.before)
	if err := ledger.Ended(); err != nil {
		return err.Error()
	}
	if h.between != nil {
		write(h.between)
		if err := ledger.Ended(); err != nil {
			return err.Error()
		}
	}
	write(h.after)
	if h.torn != "" {
		if err := os.WriteFile(path, []byte(strings.Join(append(h.before, h.after...), "\n")+"\n"+h.torn), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := ledger.Finish(); err != nil {
		return err.Error()
	}
	return strings.Join(ledger.Check(deliveries, 2), "; ")
}

// TestLedgerFindsWhatIsWrong is the proof that the checks can fail: each fault
// that they are there for, in a run that is otherwise good.
func TestLedgerFindsWhatIsWrong(t *testing.T) {
	for format, line := range map[string]func(string, int) string{"ecs": ecs, "cef": cef} {
		if problem := check(t, format, good(line), sent()); problem != "" {
			t.Errorf("%s: a good run has a problem: %s", format, problem)
		}
		for _, c := range []struct {
			name, want string
			change     func(*history, []endtoend.Delivery)
			ecsOnly    bool
		}{
			{"lost", "webhook 2 of record b was accepted as", func(h *history, _ []endtoend.Delivery) { h.after = h.after[:2] }, false},
			{"lost in the middle", "is lost", func(h *history, _ []endtoend.Delivery) { h.before, h.after = h.before[2:], h.after[1:] }, false},
			{"another id", "and came as", func(_ *history, d []endtoend.Delivery) { d[0].Answer.ID = "other" }, false},
			{"two ids", "came as", func(h *history, _ []endtoend.Delivery) {
				h.after = append(h.after, strings.ReplaceAll(line("b", 2), id("b", 2), strings.Repeat("f", 32)))
			}, false},
			{"forged", "is of no webhook that was sent", func(h *history, _ []endtoend.Delivery) { h.after = append(h.after, line("c", 1)) }, false},
			{"another body", "has another body", func(_ *history, d []endtoend.Delivery) { d[3].Hash = "other" }, true},
			{"out of order", "came after", func(h *history, _ []endtoend.Delivery) {
				h.before[0], h.before[2] = h.before[2], h.before[0]
				h.after = h.after[2:]
			}, false},
			{"out of sequence", "event.sequence", func(h *history, _ []endtoend.Delivery) {
				h.before[0], h.before[1] = h.before[1], h.before[0]
				h.after = h.after[1:]
			}, true},
			{"too many again", "at most 2 may be", func(h *history, _ []endtoend.Delivery) {
				h.after = append([]string{line("a", 1)}, h.after...)
			}, false},
			{"again without a crash", "not of the last batch", func(h *history, _ []endtoend.Delivery) {
				h.after = append(h.after, line("b", 2))
			}, false},
			{"an old line again", "not of the last batch", func(h *history, _ []endtoend.Delivery) {
				h.after = []string{line("a", 1), line("b", 2)}
			}, false},
			{"again in another order", "not of the last batch", func(h *history, _ []endtoend.Delivery) {
				h.after[0], h.after[1] = h.after[1], h.after[0]
			}, false},
			{"only a part again", "1 were not sent again", func(h *history, _ []endtoend.Delivery) {
				h.after = []string{line("b", 1), line("b", 2)}
			}, false},
			{"torn", "no whole line", func(h *history, _ []endtoend.Delivery) { h.torn = line("a", 3)[:20] }, false},
			{"garbage", "read line", func(h *history, _ []endtoend.Delivery) { h.after = append(h.after, "\x00\x00") }, false},
		} {
			if c.ecsOnly && format != "ecs" {
				continue
			}
			h, deliveries := good(line), sent()
			c.change(&h, deliveries)
			if problem := check(t, format, h, deliveries); !strings.Contains(problem, c.want) {
				t.Errorf("%s, %s: found %q, want %q", format, c.name, problem, c.want)
			}
		}
	}
}

// TestLedgerForgivesAPartSentAgain: a process may end when it has sent, and settled, a
// part of what the one before had not settled.
func TestLedgerForgivesAPartSentAgain(t *testing.T) {
	h := good(ecs)
	h.between, h.after = h.after[:1], h.after[1:]
	if problem := check(t, "ecs", h, sent()); problem != "" {
		t.Error(problem)
	}
}

// TestLedgerForgivesWhatWasNotAnswered: a webhook without an answer may be there
// or not.
func TestLedgerForgivesWhatWasNotAnswered(t *testing.T) {
	deliveries := sent()
	deliveries[3].Answer, deliveries[3].Err = endtoend.Answer{}, os.ErrDeadlineExceeded
	h := good(ecs)
	if problem := check(t, "ecs", h, deliveries); problem != "" {
		t.Errorf("it is there: %s", problem)
	}
	h.after = h.after[:2]
	if problem := check(t, "ecs", h, deliveries); problem != "" {
		t.Errorf("it is not there: %s", problem)
	}
}
