package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// listQuery is what the address of a table says: the search, the filters and the
// page of it.
type listQuery struct {
	Path    string
	Text    string
	Risk    string // one of riskWords, threats only
	Status  string // one of statusWords
	Sort    string
	Company string
	Cursor  string
	From    int // number of the row before the page, for the eye
}

var (
	riskWords   = []string{"critical", "high", "medium", "low", "info", "unknown"}
	statusWords = []string{"open", "closed", "unknown"}
)

func readList(path string, q url.Values) (listQuery, error) {
	l := listQuery{
		Path: path, Text: q.Get("q"), Risk: q.Get("risk"), Status: q.Get("status"), Sort: q.Get("sort"),
		Company: q.Get("company"), Cursor: q.Get("cursor"),
	}
	l.From, _ = strconv.Atoi(q.Get("from"))
	l.From = max(0, min(l.From, 1<<40))
	switch {
	case l.Risk != "" && !slices.Contains(riskWords, l.Risk):
		return l, admin.Errorf(admin.Invalid, "risk %q: it must be one of %v", clean(l.Risk, maxName), riskWords)
	case l.Status != "" && !slices.Contains(statusWords, l.Status):
		return l, admin.Errorf(admin.Invalid, "status %q: it must be one of %v", clean(l.Status, maxName), statusWords)
	case l.Sort != "" && l.Sort != "updated" && l.Sort != "severity":
		return l, admin.Errorf(admin.Invalid, "sort %q: it must be updated or severity", clean(l.Sort, maxName))
	}
	return l, nil
}

// search is the text that the store is asked for.
func (l listQuery) search() string {
	text := l.Text
	if l.Risk != "" {
		text += " risk:" + l.Risk
	}
	if l.Status != "" {
		text += " status:" + l.Status
	}
	return text
}

// Filtered tells whether anything is left out on purpose.
func (l listQuery) Filtered() bool {
	return l.Text != "" || l.Risk != "" || l.Status != "" || l.Company != ""
}

// Address is the address of the table, with further fields.
func (l listQuery) Address(fields ...string) string {
	return address(l.Path, append([]string{"q", l.Text, "risk", l.Risk, "status", l.Status, "sort", l.Sort, "company", l.Company}, fields...)...)
}

// Beginnings is the search with a star after its last word, empty where that would be
// no other search.
func (l listQuery) Beginnings() string {
	text := strings.TrimSpace(l.Text)
	last := text[strings.LastIndexByte(text, ' ')+1:]
	end, _ := utf8.DecodeLastRuneInString(last)
	if !unicode.IsLetter(end) && !unicode.IsDigit(end) || strings.HasPrefix(last, "-") || strings.ContainsAny(last, `":`) {
		return ""
	}
	return text + "*"
}

// With is the address of the table with another search.
func (l listQuery) With(text string) string {
	l.Text = text
	return l.Address()
}

// Here is the address of this page of the table, with further fields.
func (l listQuery) Here(fields ...string) string {
	from := ""
	if l.Cursor != "" {
		from = strconv.Itoa(l.From)
	}
	return l.Address(append([]string{"cursor", l.Cursor, "from", from}, fields...)...)
}

// recordsData is the data of the pages of threats and tickets.
type recordsData struct {
	page
	Kind    string
	Query   listQuery
	Page    admin.RecordPage
	Problem string // why there is no table
	Empty   bool   // the store has none at all
	Drawer  *recordDrawer
}

// recordDrawer is one threat or ticket beside the table.
type recordDrawer struct {
	Record  admin.RecordDetail
	Steps   []step
	Close   string // the address without it
	Problem string
	Company string
}

// step is an event of a timeline, with what was the case before it.
type step struct {
	admin.EventSummary
	StateWas, RiskWas string // empty: the same, or not known
}

// steps are the events of a timeline, the newest first, as changes.
func steps(timeline []admin.EventSummary) []step {
	all := make([]step, len(timeline))
	for i, e := range timeline {
		all[i].EventSummary = e
		if i+1 == len(timeline) {
			break
		}
		if before := timeline[i+1]; before.State != e.State {
			all[i].StateWas = before.State
		}
		if before := timeline[i+1]; before.Risk != e.Risk {
			all[i].RiskWas = before.Risk
		}
	}
	return all
}

// To is the number of the last row of the page.
func (d recordsData) To() int { return d.Query.From + len(d.Page.Records) }

// First is the number of the first row of the page.
func (d recordsData) First() int { return d.Query.From + 1 }

// Risks are the words of the filter.
func (d recordsData) Risks() []string { return riskWords }

// Counted is how many rows match, as words.
func (d recordsData) Counted() string {
	if d.Page.Total >= admin.MaxTotal {
		return "more than " + grouped(admin.MaxTotal-1)
	}
	return grouped(d.Page.Total)
}

// NextPage is the address of the page after this one.
func (d recordsData) NextPage() string {
	return d.Query.Address("cursor", d.Page.Next, "from", strconv.Itoa(d.To()))
}

func (c *Console) recordsPage(kind string) http.HandlerFunc {
	path, title := "/threats", "Threats"
	if kind == "ticket" {
		path, title = "/tickets", "Tickets"
	}
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readTime)
		defer cancel()
		d := recordsData{Kind: kind}
		part, status := fragment(r), http.StatusOK
		if part != "drawer" {
			d.page = c.newPage(ctx, r, title, path)
		}
		query, err := readList(path, r.URL.Query())
		d.Query = query
		if part != "drawer" {
			if err == nil {
				d.Page, err = c.explore.Records(ctx, admin.RecordQuery{
					Kind: kind, Text: query.search(), Company: query.Company, Sort: query.Sort, Cursor: query.Cursor, Limit: pageSize,
				})
			}
			if err != nil {
				c.note(r, err)
				status, d.Problem = explain(err)
			}
			d.Empty = err == nil && len(d.Page.Records) == 0 && !query.Filtered() && query.Cursor == ""
		}
		if key := r.URL.Query().Get("record"); key != "" && part != "list" {
			var code int
			if d.Drawer, code = c.recordDrawer(ctx, r, key, query); code != http.StatusOK {
				status = code
			}
		}
		c.render(w, r, status, "records", d)
	}
}

func (c *Console) recordDrawer(ctx context.Context, r *http.Request, key string, query listQuery) (*recordDrawer, int) {
	d := &recordDrawer{Close: query.Here(), Company: query.Company}
	var err error
	if d.Record, err = c.explore.Record(ctx, key); err != nil {
		c.note(r, err)
		var status int
		status, d.Problem = explain(err)
		return d, status
	}
	d.Steps = steps(d.Record.Timeline)
	return d, http.StatusOK
}
