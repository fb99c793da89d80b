package console

import (
	"context"
	"net/http"
	"strconv"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// eventsData is the data of the page of events.
type eventsData struct {
	page
	Query   listQuery // Cursor is Before
	Page    admin.EventPage
	Problem string
	Empty   bool
	Drawer  *eventDrawer
}

// eventDrawer is one event beside the table.
type eventDrawer struct {
	eventView
	Close   string
	Company string
	Problem string
}

// eventView is one event in all its forms.
type eventView struct {
	Event         admin.EventDetail
	Raw, ECS, CEF bodyView
}

// Next is the address of the page after this one.
func (d eventsData) Next() string {
	return d.Query.Address("cursor", strconv.FormatUint(d.Page.Next, 10), "from", strconv.Itoa(d.Query.From+len(d.Page.Events)))
}

func (c *Console) eventsPage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	var d eventsData
	part, status := fragment(r), http.StatusOK
	query, err := readList("/events", r.URL.Query())
	d.Query = query
	if part != "drawer" {
		d.page = c.newPage(ctx, r, "Events", "/events")
		var before uint64
		if err == nil && query.Cursor != "" {
			if before, err = strconv.ParseUint(query.Cursor, 10, 64); err != nil {
				err = admin.Errorf(admin.Invalid, "cursor %q: it must be a sequence", clean(query.Cursor, maxName))
			}
		}
		if err == nil {
			d.Page, err = c.explore.Events(ctx, admin.EventQuery{Text: query.search(), Company: query.Company, Limit: pageSize, Before: before})
		}
		if err != nil {
			c.note(r, err)
			status, d.Problem = explain(err)
		}
		d.Empty = err == nil && len(d.Page.Events) == 0 && !query.Filtered() && query.Cursor == ""
	}
	if id := r.URL.Query().Get("event"); id != "" && part != "list" {
		d.Drawer = &eventDrawer{Close: query.Here(), Company: query.Company}
		if d.Drawer.eventView, err = c.viewEvent(ctx, id); err != nil {
			c.note(r, err)
			status, d.Drawer.Problem = explain(err)
		}
	}
	c.render(w, r, status, "events", d)
}

func (c *Console) viewEvent(ctx context.Context, id string) (eventView, error) {
	e, err := c.explore.Event(ctx, id)
	if err != nil {
		return eventView{}, err
	}
	download := func(form string) string { return address("/events/body", "id", e.ID, "form", form) }
	return eventView{e, viewBody(e.Raw, download("raw")), viewBody(e.ECS, download("ecs")), viewBody(e.CEF, download("cef"))}, nil
}

// eventPart is an event inside a timeline; without scripts, its page.
func (c *Console) eventPart(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	if fragment(r) == "" {
		http.Redirect(w, r, address("/events", "event", id), http.StatusSeeOther)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	view, err := c.viewEvent(ctx, id)
	if err != nil {
		c.fail(w, r, "/events", err)
		return
	}
	c.render(w, r, http.StatusOK, "event", view)
}

// eventBody sends one form of an event as a file.
func (c *Console) eventBody(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	e, err := c.explore.Event(ctx, r.URL.Query().Get("id"))
	if err != nil {
		c.fail(w, r, "/events", err)
		return
	}
	form := r.URL.Query().Get("form")
	body, ok := map[string]admin.Body{"raw": e.Raw, "ecs": e.ECS, "cef": e.CEF}[form]
	if !ok {
		c.fail(w, r, "/events", admin.Errorf(admin.Invalid, "form %q: it must be raw, ecs or cef", clean(form, maxName)))
		return
	}
	download(w, e.ID+"-"+form, body)
}

// download sends a body as a file that no browser opens as anything but text. name
// comes from siemrelay itself, never from an event.
func download(w http.ResponseWriter, name string, body admin.Body) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="siemrelay-`+fileName(name)+`.txt"`)
	b := body.Bytes()
	h.Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b) // who does not read the answer does not get it
}

// fileName keeps what needs no quoting anywhere.
func fileName(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s) && len(out) < 80; i++ {
		if c := s[i]; c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' {
			out = append(out, c)
		}
	}
	return string(out)
}
