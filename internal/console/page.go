package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// page is what the frame around every page shows. Each page embeds it in a type of
// its own.
type page struct {
	Title   string
	Section string // the entry of the menu that is marked
	Caller  admin.Caller
	Version string
	Now     time.Time
	Intake  Intake

	Status    *admin.Status // nil: StatusErr says why
	StatusErr string
	Ages      ages
	Digest    string // of the status
	Sequence  uint64 // of the newest event that the page may show; 0 is unknown

	Company   string
	Companies []admin.CompanyCount
	Keep      []field // hidden fields of the form that changes the company

	Done string // what the form before this page did
	Swap bool   // the numbers of the menu replace those that are there
}

// field is a field of a form.
type field struct{ Name, Value string }

// ages are what the status bar says of time.
type ages struct {
	Oldest       time.Duration // age of the oldest event that an output has not come to
	OldestOutput string
	Dead         uint64
	Bad          int // outputs that do not go on
}

// newPage asks for what the frame shows. It never fails: a part that can't be had
// says so.
func (c *Console) newPage(ctx context.Context, r *http.Request, title, section string) page {
	q := r.URL.Query()
	p := page{
		Title: title, Section: section, Version: c.version, Now: c.now(), Intake: c.intake,
		Caller: admin.CallerOf(r.Context()), Company: q.Get("company"), Done: doneText(q),
	}
	for _, name := range []string{"q", "risk", "status", "sort", "window"} {
		if v := q.Get(name); v != "" {
			p.Keep = append(p.Keep, field{name, v})
		}
	}
	p.Sequence = c.newest(ctx) // before the status and the page's own data: what comes meanwhile is news
	p.setStatus(c.ops.Status(ctx))
	p.Companies = c.companyList(ctx)
	if p.Company != "" && !slices.ContainsFunc(p.Companies, func(k admin.CompanyCount) bool { return k.ID == p.Company }) {
		p.Companies = append(slices.Clone(p.Companies), admin.CompanyCount{ID: p.Company})
	}
	return p
}

func (p *page) setStatus(s admin.Status, err error) {
	if err != nil {
		_, p.StatusErr = explain(err)
		return
	}
	p.Status, p.Digest = &s, digest(s)
	for _, o := range s.Outputs {
		p.Ages.Dead += o.Dead
		if o.Configured && o.State != admin.StateOK {
			p.Ages.Bad++
		}
		if !o.OldestPending.IsZero() && p.Now.Sub(o.OldestPending) > p.Ages.Oldest {
			p.Ages.Oldest, p.Ages.OldestOutput = p.Now.Sub(o.OldestPending), o.Name
		}
	}
}

// digest is another string when something of the status is another thing. What only
// grows older, or is only the room on a disk, is left out.
func digest(s admin.Status) string {
	s.Spool.Bytes, s.Spool.DeadLetterBytes = 0, 0
	s.Outputs = slices.Clone(s.Outputs)
	for i := range s.Outputs {
		o := &s.Outputs[i]
		o.LagSeconds, o.OldestPending, o.LastSuccess = 0, time.Time{}, time.Time{}
	}
	s.Problems = nil // they have ages in them, and follow from the rest
	h := fnv.New64a()
	_ = json.NewEncoder(h).Encode(s) // neither fails for a Status
	return fmt.Sprintf("%016x", h.Sum64())
}

// newest returns the sequence of the newest event, 0 if it can't be had.
func (c *Console) newest(ctx context.Context) uint64 {
	events, err := c.explore.Events(ctx, admin.EventQuery{Limit: 1})
	if err != nil || len(events.Events) == 0 {
		return 0
	}
	return events.Events[0].Sequence
}

// companyTime is how long the list of companies in the menu may be old.
const companyTime = 10 * time.Second

// companyList returns the companies of the store, none if they can't be had.
func (c *Console) companyList(ctx context.Context) []admin.CompanyCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.asked) >= companyTime || now.Before(c.asked) {
		c.asked = now
		if o, err := c.explore.Overview(ctx, admin.OverviewQuery{Window: time.Hour}); err == nil {
			c.companies = slices.DeleteFunc(o.Companies, func(k admin.CompanyCount) bool { return k.ID == "" || len(k.ID) > maxField })
		}
	}
	return c.companies
}

// explain makes a status and a sentence of an error.
func explain(err error) (int, string) {
	var e *admin.Error
	switch {
	case errors.As(err, &e):
		return statusOf(e.Code), e.Text
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout, "The answer took too long. siemrelay may be busy: try again."
	default:
		return http.StatusInternalServerError, err.Error()
	}
}

func statusOf(code admin.Code) int {
	switch code {
	case admin.Invalid:
		return http.StatusBadRequest
	case admin.Denied:
		return http.StatusForbidden
	case admin.NotFound:
		return http.StatusNotFound
	case admin.Conflict:
		return http.StatusConflict
	case admin.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// note logs an error that is a mistake or a breakage of ours.
func (c *Console) note(r *http.Request, err error) {
	if admin.CodeOf(err) == admin.Internal && !errors.Is(err, context.Canceled) {
		c.log.Error("a page of the console could not be made", "path", r.URL.Path, "error", err)
	}
}

// fail answers with a page, or a fragment, that says what went wrong.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, section string, err error) {
	c.note(r, err)
	status, text := explain(err)
	c.failWith(w, r, status, section, text)
}

// failure is the data of the page that says that there is no page.
type failure struct {
	page
	Code int
	Text string
}

func (c *Console) failWith(w http.ResponseWriter, r *http.Request, status int, section, text string) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	title := map[int]string{
		http.StatusNotFound: "Not found", http.StatusForbidden: "Not allowed", http.StatusBadRequest: "That can't be meant",
		http.StatusConflict: "Not now", http.StatusServiceUnavailable: "Not available", http.StatusUnauthorized: "Log in",
	}[status]
	if title == "" {
		title = "Something went wrong"
	}
	f := failure{Code: status, Text: text}
	if fragment(r) == "" {
		f.page = c.newPage(ctx, r, title, section)
	}
	f.Title = title
	c.render(w, r, status, "failure", f)
}

// Refuse writes a page that says why the listener refuses a request.
func (c *Console) Refuse(w http.ResponseWriter, r *http.Request, p admin.Refusal) {
	f := failure{page: page{Title: "Refused", Version: c.version}, Code: p.Status, Text: p.Text}
	c.render(w, r, p.Status, "bare", f) // nothing is shown of what only a caller may see
}

// loginPage is the data of the login page.
type loginPage struct {
	page
	admin.LoginPage
}

// Login writes the page with the form to log in.
func (c *Console) Login(w http.ResponseWriter, r *http.Request, p admin.LoginPage) {
	c.render(w, r, p.Status, "login", loginPage{page{Title: "Log in", Version: c.version}, p})
}

// partNames are the parts of pages that are asked for by the id of the element that
// they go into. Any other element gets "part".
var partNames = []string{"list", "drawer", "dialog", "overview", "outputs", "progress"}

// fragment returns which part of the page a request of htmx wants, empty for the whole.
func fragment(r *http.Request) string {
	if r.Header.Get("HX-Request") != "true" || r.Header.Get("HX-History-Restore-Request") == "true" {
		return ""
	}
	if target := r.Header.Get("HX-Target"); slices.Contains(partNames, target) {
		return target
	}
	return "part"
}

// render writes a page from its template, or the part of it that htmx asked for.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	t, entry := c.templates[name], "frame"
	if part := fragment(r); part != "" {
		if entry = "part"; t.Lookup(part) != nil {
			entry = part
		}
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, entry, data); err != nil {
		c.log.Error("a page of the console could not be made", "path", r.URL.Path, "error", err)
		http.Error(w, "This page could not be made; the log says why.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Vary", "HX-Request, HX-Target")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // who does not read the answer does not get it
}

// maxField is how long a field of an address may be, so that the address is one that
// a listener takes. Ids of the vendor are 36 characters.
const maxField = 2048

// address makes a path with a query. Fields with an empty value, or one that no
// address can hold, are left out.
func address(path string, fields ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		if v := fields[i+1]; v != "" && len(v) <= maxField {
			q.Set(fields[i], fields[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// parseTemplates makes one template for each page: the frame, the parts that pages
// share, and the page's own file.
func parseTemplates(a *assets) (map[string]*template.Template, error) {
	frame, err := template.New("frame").Funcs(functions(a)).ParseFS(files, "templates/frame.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("parse the console's templates: %w", err)
	}
	all := map[string]*template.Template{}
	for _, name := range []string{
		"overview", "records", "events", "event", "outputs", "letters", "rejected", "accepted", "test",
		"dialog", "failure", "status", "login", "bare",
	} {
		t := template.Must(frame.Clone()) // it fails only once the frame was used
		if all[name], err = t.ParseFS(files, "templates/"+name+".html"); err != nil {
			return nil, fmt.Errorf("parse the console's templates: %w", err)
		}
	}
	return all, nil
}
