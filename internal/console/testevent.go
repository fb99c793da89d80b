package console

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// testTime is how long the page waits for a test event to reach every output. Then
// it says what is pending, and why.
const testTime = 30 * time.Second

// testData is the data of the page that sends a test event.
type testData struct {
	page
	Result  *admin.TestResult // the door did not take it
	EventID string
	Sent    time.Time
	Problem string
	Event   *admin.EventDetail // nil: it is not in the store yet
	Waiting bool               // the page asks again
	Pending int
	Again   string // where the page asks
}

// testPage is the page with the button, and what became of the event that it sent.
func (c *Console) testPage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	d := testData{EventID: r.URL.Query().Get("event")}
	if fragment(r) == "" {
		d.page = c.newPage(ctx, r, "Test event", "/test")
	}
	d.Now, d.Caller, d.Company = c.now(), admin.CallerOf(r.Context()), r.URL.Query().Get("company")
	if d.EventID != "" {
		c.followTest(ctx, r, &d)
	}
	c.render(w, r, http.StatusOK, "test", d)
}

// followTest finds out what became of the event. It ends, at the latest testTime after
// the event was sent: a page that never stops asking tells nothing.
func (c *Console) followTest(ctx context.Context, r *http.Request, d *testData) {
	at, _ := strconv.ParseInt(r.URL.Query().Get("at"), 10, 64)
	d.Sent = time.UnixMilli(at)
	if age := d.Now.Sub(d.Sent); age < 0 || age > 24*time.Hour {
		d.Sent = d.Now.Add(-testTime) // an address that was made up, or a clock that was set
	}
	d.Waiting = d.Now.Sub(d.Sent) < testTime
	d.Again = address("/test", "event", d.EventID, "at", strconv.FormatInt(at, 10), "company", d.Company)
	e, err := c.explore.Event(ctx, d.EventID)
	switch {
	case err == nil:
		d.Event = &e
		for _, o := range e.Outputs {
			if o.Outcome == admin.OutcomePending {
				d.Pending++
			}
		}
		d.Waiting = d.Waiting && d.Pending > 0
	case admin.CodeOf(err) == admin.NotFound && d.Waiting: // it is on its way to the store
	default:
		c.note(r, err)
		_, d.Problem = explain(err)
		d.Waiting = false
	}
}

// sendTest sends a test event through the real door.
func (c *Console) sendTest(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), workTime)
	defer cancel()
	sent := c.now()
	result, err := c.explore.SendTest(ctx)
	if err == nil && result.EventID != "" {
		http.Redirect(w, r, address("/test", "event", result.EventID, "at", strconv.FormatInt(sent.UnixMilli(), 10), "company", r.PostFormValue("company")), http.StatusSeeOther)
		return
	}
	d := testData{page: c.newPage(ctx, r, "Test event", "/test"), Result: &result}
	status := http.StatusOK
	if err != nil {
		c.note(r, err)
		d.Result = nil
		status, d.Problem = explain(err)
	}
	c.render(w, r, status, "test", d)
}
