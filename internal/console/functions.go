package console

import (
	"fmt"
	"hash/fnv"
	"html/template"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// functions are what the templates call. None of them makes HTML: html/template
// escapes everything by where it stands.
func functions(a *assets) template.FuncMap {
	return template.FuncMap{
		"asset":     a.address,
		"title":     func(s string) string { return clean(s, maxTitle) },
		"line":      func(s string) string { return clean(s, maxLine) },
		"name":      func(s string) string { return clean(s, maxName) },
		"prose":     func(s string) string { return cleanBlock(s, maxText) },
		"long":      func(s string) bool { return len(s) > maxText && utf8.RuneCountInString(s) > maxText },
		"num":       grouped[uint64],
		"count":     grouped[int],
		"size":      byteSize[int64],
		"sizeInt":   byteSize[int],
		"span":      span,
		"plural":    plural[int],
		"pluralU":   plural[uint64],
		"address":   address,
		"utc":       utc,
		"machine":   func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"ago":       func(now, t time.Time) moment { return moment{t, span(now.Sub(t)) + " ago"} },
		"words":     words,
		"rejection": rejection,
		"todo":      todoOf,
		"risk":      riskOf,
		"state":     stateOf,
		"outcome":   outcomeOf,
		"company":   companyName,
		"seconds":   func(s float64) string { return span(time.Duration(s * float64(time.Second))) },
		"readable":  func(code string) string { return clean(strings.ReplaceAll(code, "_", " "), maxName) },
		"pair":      func(x, y any) [2]any { return [2]any{x, y} },
		"part":      share,
		"notable":   notable,
		"anchor":    anchor,
		"record":    recordAddress,
	}
}

// moment is a time with how long ago it was.
type moment struct {
	Time time.Time
	Text string
}

func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// words makes what a vendor writes as one word readable: awaiting_customer_reply.
func words(s string) string {
	return clean(strings.TrimSpace(strings.ReplaceAll(s, "_", " ")), maxName)
}

// mark is a word that has a shape and a colour besides.
type mark struct {
	Class string // of the style sheet
	Sign  string // a shape, for who does not tell colours apart
	Word  string
}

var (
	risks = map[string]mark{
		"critical": {"critical", "◆", "Critical"},
		"high":     {"high", "▲", "High"},
		"medium":   {"medium", "●", "Medium"},
		"low":      {"low", "▼", "Low"},
		"info":     {"info", "○", "Info"},
	}
	states = map[admin.State]mark{
		admin.StateOK:       {"good", "✓", "OK"},
		admin.StateRetrying: {"warn", "↻", "Retrying"},
		admin.StatePaused:   {"bad", "‖", "Paused"},
		admin.StateStopped:  {"idle", "■", "Stopped"},
	}
	rejections = map[string]string{
		"no_length":      "No body",
		"empty":          "An empty body",
		"gzip":           "Not valid gzip",
		"json":           "Not valid JSON in UTF-8",
		"not_object":     "JSON, but not one object",
		"trailing_bytes": "Something after the JSON object",
		"too_deep":       "JSON that is nested too deep",
	}
	outcomes = map[admin.Outcome]mark{
		admin.OutcomePending:   {"warn", "…", "Pending"},
		admin.OutcomeDelivered: {"good", "✓", "Delivered"},
		admin.OutcomeSent:      {"good", "→", "Sent, unconfirmed"},
		admin.OutcomeFiltered:  {"idle", "–", "Filtered out"},
		admin.OutcomeDead:      {"bad", "✕", "Dead letter"},
		admin.OutcomeNone:      {"idle", "–", "Not for it"},
		admin.OutcomeUnknown:   {"idle", "?", "Not known"},
	}
)

func riskOf(word string) mark {
	if m, ok := risks[word]; ok {
		return m
	}
	return mark{"unknown", "?", "Unknown"}
}

func stateOf(s admin.State) mark {
	if m, ok := states[s]; ok {
		return m
	}
	return mark{"idle", "?", clean(string(s), maxName)}
}

func outcomeOf(o admin.Outcome) mark {
	if m, ok := outcomes[o]; ok {
		return m
	}
	return mark{"idle", "?", clean(string(o), maxName)}
}

// rejection says why the door refused a body.
func rejection(reason string) string {
	if text, ok := rejections[reason]; ok {
		return text
	}
	return clean(strings.ReplaceAll(reason, "_", " "), maxName)
}

// todo is something to see to, and the page where that is done.
type todo struct{ Text, Link, Address string }

// todoOf puts the page in the place of the command that a problem ends with. A problem
// that ends with none that has a page stays as it is.
func todoOf(problem string) todo {
	if text, output, ok := strings.Cut(problem, ": siemrelay deadletters list --output "); ok {
		return todo{text + ".", "Look at them", address("/dead-letters", "output", output)}
	}
	if text, output, ok := strings.Cut(problem, ": siemrelay outputs forget "); ok {
		return todo{text + ".", "Look at it", "/outputs#" + anchor(output)}
	}
	return todo{Text: problem}
}

// companyName is what a company is called on a page.
func companyName(id, name string) string {
	if name != "" {
		return clean(name, maxName)
	}
	return clean(id, maxName)
}

// share is the part of width that n is of the whole, at least one where there is any.
func share(n, whole uint64, width int) int {
	if whole == 0 || n == 0 {
		return 0
	}
	return max(1, int(float64(n)/float64(whole)*float64(width)))
}

// notable leaves out the tags that every event has.
func notable(tags []string) []string {
	return slices.DeleteFunc(slices.Clone(tags), func(tag string) bool {
		return !strings.HasPrefix(tag, "defensecom_") && !strings.HasPrefix(tag, "siemrelay_")
	})
}

// anchor makes an id for an element from a foreign text.
func anchor(s string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // it never fails
	return fmt.Sprintf("x%016x", h.Sum64())
}

// recordAddress is where the timeline of a threat or ticket is, empty for what has none.
func recordAddress(kind, key, company string) string {
	switch {
	case key == "":
		return ""
	case kind == "threat":
		return address("/threats", "record", key, "company", company)
	case kind == "ticket":
		return address("/tickets", "record", key, "company", company)
	}
	return ""
}
