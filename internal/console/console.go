// Package console is the web page of a siemrelay: what came in, what is open, what
// became of every event at every output, and the means to mend it.
//
// It guarantees that every word of an event is shown as text and never as markup or
// script, that no page waits for ever for what is behind it, that a page whose data
// can't be had says so, and that nothing is changed by a GET or by a caller who is
// no operator. What can be lost is confirmed first, with the answer of a dry run.
//
// It refuses to know how anything is stored or mended: it asks an admin.Operations
// and an admin.Explorer. Who the caller is, and whether the request comes from
// another site, is decided by the admin listener before a request comes here.
// Everything that a page loads is in the binary.
package console

import (
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// Options are what the console shows.
type Options struct {
	Operations admin.Operations
	Explorer   admin.Explorer
	Logger     *slog.Logger
	Version    string
	// Now is the clock that ages are counted by.
	Now func() time.Time
	// Intake is what an empty page tells to enter at Defense.com.
	Intake Intake
}

// Intake is what the sender has to know.
type Intake struct {
	URL          string // of the webhook, exactly
	Username     string // empty: the door asks for none
	PasswordFile string // where the password lies, never the password
}

// Console answers the requests of browsers. It is an admin.Console.
type Console struct {
	ops     admin.Operations
	explore admin.Explorer
	log     *slog.Logger
	version string
	now     func() time.Time
	intake  Intake

	assets    *assets
	templates map[string]*template.Template
	feed      *feed
	mux       *http.ServeMux

	mu        sync.Mutex
	companies []admin.CompanyCount // as of companiesAt
	asked     time.Time
}

// Limits of what is asked of the store, and of what is shown.
const (
	readTime = 10 * time.Second // for what one page asks
	workTime = 2 * time.Minute  // for what a form does
	pageSize = 50               // rows of a table
	maxForm  = 256 << 10        // bytes of a form: MaxIDs ids and some words
)

// New makes a console, and starts the goroutine that looks for news, which Close
// ends.
func New(o Options) (*Console, error) {
	if o.Operations == nil || o.Explorer == nil || o.Logger == nil || o.Now == nil {
		return nil, errors.New("make a console: Operations, Explorer, Logger and Now are needed")
	}
	c := &Console{
		ops: o.Operations, explore: o.Explorer, log: o.Logger, version: o.Version,
		now: o.Now, intake: o.Intake,
	}
	var err error
	if c.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if c.templates, err = parseTemplates(c.assets); err != nil {
		return nil, err
	}
	c.feed = newFeed(c.look)
	c.mux = c.routes()
	return c, nil
}

// Close ends the live streams and the goroutine that feeds them, and waits for it.
// Requests that come afterwards are answered, without streams.
func (c *Console) Close() { c.feed.close() }

func (c *Console) routes() *http.ServeMux {
	mux := http.NewServeMux()
	get := func(path string, h http.HandlerFunc) {
		mux.HandleFunc(path, admin.Only(http.MethodGet, h, c.refuseMethod))
	}
	do := func(path string, h http.HandlerFunc) {
		mux.HandleFunc(path, admin.Only(http.MethodPost, c.operator(h), c.refuseMethod))
	}

	get("/{$}", c.overviewPage)
	get("/threats", c.recordsPage("threat"))
	get("/tickets", c.recordsPage("ticket"))
	get("/events", c.eventsPage)
	get("/events/detail", c.eventPart)
	get("/events/body", c.eventBody)
	get("/outputs", c.outputsPage)
	get("/outputs/replay", c.replayForm)
	get("/dead-letters", c.lettersPage)
	get("/dead-letters/body", c.letterBody)
	get("/rejected", c.rejectedPage)
	get("/rejected/body", c.rejectedBody)
	get("/test", c.testPage)
	get("/status", c.statusPart)
	get("/severity.json", c.severityData)
	get("/live", c.liveStream)
	get(assetPrefix, c.assets.serve)

	do("/outputs/replay/start", c.startReplay)
	do("/outputs/replay/cancel", c.cancelReplay)
	do("/outputs/forget", c.forgetOutput)
	do("/dead-letters/replay", c.changeLetters(replayLetters))
	do("/dead-letters/drop", c.changeLetters(dropLetters))
	do("/rejected/accept", c.acceptRejected)
	do("/test/send", c.sendTest)

	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, "", admin.Errorf(admin.NotFound, "There is no page at %s.", clean(r.URL.Path, 100)))
	})
	return mux
}

// ServeHTTP answers a request that the admin listener let through.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	admin.Harden(w.Header())
	c.mux.ServeHTTP(w, r)
}

// refuseMethod is the answer to a wrong method; allow names the right ones.
func (c *Console) refuseMethod(w http.ResponseWriter, r *http.Request, allow string) {
	c.failWith(w, r, http.StatusMethodNotAllowed, "", "This address takes "+strings.ReplaceAll(allow, ", ", " and ")+" only.")
}

// operator answers 403 to everybody else, and reads the form.
func (c *Console) operator(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !admin.CallerOf(r.Context()).Operates() {
			c.fail(w, r, "", admin.Errorf(admin.Denied, "Your role is viewer: only an operator may change something."))
			return
		}
		// The listener's own limits are for health checks.
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(workTime + time.Minute)); err != nil {
			c.log.Debug("could not move a deadline", "error", err)
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			c.fail(w, r, "", admin.Errorf(admin.Invalid, "The form can't be read: %v.", err))
			return
		}
		h(w, r)
	}
}
