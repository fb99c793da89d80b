package console

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// outputsData is the data of the page of outputs; the page itself has the status.
type outputsData struct{ page }

func (c *Console) outputsPage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	c.render(w, r, http.StatusOK, "outputs", outputsData{c.newPage(ctx, r, "Outputs", "/outputs")})
}

// dialogData asks whether something is meant, or is a form that leads there.
type dialogData struct {
	page
	Form    string // "replay", or empty: only to be confirmed
	Output  string
	Action  string // where it is posted to
	Lines   []string
	Fields  []field // hidden
	Confirm string  // the button; empty: there is nothing to do
	Danger  bool
	Back    string
	Problem string
	// of the form "replay":
	Since, Until string
	Overwrite    bool
	Overwrites   bool // the output may be able to
}

func (c *Console) dialog(w http.ResponseWriter, r *http.Request, status int, d dialogData) {
	d.Company = r.FormValue("company")
	if fragment(r) == "" {
		ctx, cancel := context.WithTimeout(r.Context(), readTime)
		defer cancel()
		title := d.Title
		d.page = c.newPage(ctx, r, title, d.Back)
	}
	c.render(w, r, status, "dialog", d)
}

// replayForm asks which events an output shall get again.
func (c *Console) replayForm(w http.ResponseWriter, r *http.Request) {
	if !admin.CallerOf(r.Context()).Operates() {
		c.fail(w, r, "/outputs", admin.Errorf(admin.Denied, "Your role is viewer: only an operator may replay events."))
		return
	}
	c.dialog(w, r, http.StatusOK, c.replayDialog(r, r.URL.Query()))
}

func (c *Console) replayDialog(r *http.Request, q url.Values) dialogData {
	d := dialogData{
		page: page{Title: "Replay to " + clean(q.Get("output"), maxName)}, Form: "replay", Output: q.Get("output"),
		Action: "/outputs/replay/start", Back: "/outputs", Since: q.Get("since"), Until: q.Get("until"), Overwrite: q.Get("overwrite") != "",
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	if s, err := c.ops.Status(ctx); err == nil {
		for _, o := range s.Outputs {
			d.Overwrites = d.Overwrites || o.Name == d.Output && o.Type == "elasticsearch"
		}
	}
	return d
}

// confirmed tells whether a form was sent from the question whether it is meant.
func confirmed(r *http.Request) bool { return r.PostFormValue("confirm") == "yes" }

// startReplay says what a replay would enter and, confirmed, starts it.
func (c *Console) startReplay(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), workTime)
	defer cancel()
	problem := func(err error) {
		c.note(r, err)
		d := c.replayDialog(r, r.PostForm)
		var status int
		status, d.Problem = explain(err)
		c.dialog(w, r, status, d)
	}
	now := c.now()
	request := admin.ReplayRequest{Output: r.PostFormValue("output"), Overwrite: r.PostFormValue("overwrite") != "", DryRun: !confirmed(r)}
	var err error
	if request.Since, err = parseWhen("since", r.PostFormValue("since"), now); err != nil {
		problem(err)
		return
	}
	if request.Until, err = parseWhen("until", r.PostFormValue("until"), now); err != nil {
		problem(err)
		return
	}
	if request.Since.IsZero() {
		problem(admin.Errorf(admin.Invalid, "Say since when: 24h for the last day, for example."))
		return
	}
	if request.Until.IsZero() {
		request.Until = now // what comes later is not meant by who confirms what is there now
	}
	result, err := c.ops.Replay(ctx, request)
	if err != nil {
		problem(err)
		return
	}
	if !request.DryRun {
		done(w, r, "/outputs", "replayed", result.Entries)
		return
	}
	c.dialog(w, r, http.StatusOK, confirmReplay(request, result))
}

func confirmReplay(request admin.ReplayRequest, result admin.ReplayResult) dialogData {
	d := dialogData{page: page{Title: "Replay to " + clean(request.Output, maxName)}, Action: "/outputs/replay/start", Back: "/outputs"}
	if result.Entries == 0 {
		d.Lines = []string{"No event of this time can be entered again: none was accepted then that the output has come to and the spool still keeps."}
		return d
	}
	d.Lines = []string{
		pluralEvents(result.Entries) + " will be normalised again and sent to " + clean(request.Output, maxName) + " again, those that were accepted from " +
			utc(request.Since) + " until before " + utc(request.Until) + ".",
		"The first was accepted at " + utc(result.First) + ".",
	}
	if request.Overwrite {
		d.Lines = append(d.Lines, "What the receiver has of them is replaced.")
	} else {
		d.Lines = append(d.Lines, "Every event keeps its event.id, so that a receiver can tell that it has it already.")
	}
	d.Confirm = "Replay " + pluralEvents(result.Entries)
	d.Fields = []field{{"output", request.Output}, {"since", request.Since.Format(time.RFC3339)}, {"until", request.Until.Format(time.RFC3339)}}
	if request.Overwrite {
		d.Fields = append(d.Fields, field{"overwrite", "yes"})
	}
	return d
}

func pluralEvents(n uint64) string { return plural(n, "event", "events") }

// cancelReplay says what a cancellation would drop and, confirmed, does it.
func (c *Console) cancelReplay(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), workTime)
	defer cancel()
	request := admin.OutputRequest{Output: r.PostFormValue("output"), DryRun: !confirmed(r)}
	result, err := c.ops.CancelReplay(ctx, request)
	if err != nil {
		c.fail(w, r, "/outputs", err)
		return
	}
	if !request.DryRun {
		done(w, r, "/outputs", "canceled", result.Dropped)
		return
	}
	d := dialogData{
		page: page{Title: "Cancel the replay to " + clean(request.Output, maxName)}, Action: "/outputs/replay/cancel", Back: "/outputs", Danger: true,
		Fields: []field{{"output", request.Output}},
		Lines:  []string{pluralEvents(result.Dropped) + " of the replay are pending and will not be sent again. They count as dropped."},
	}
	if result.InHand > 0 {
		d.Lines = append(d.Lines, pluralEvents(result.InHand)+" of it are in hand: the output goes on with them.")
	}
	if d.Confirm = "Drop " + pluralEvents(result.Dropped); result.Dropped == 0 {
		d.Lines, d.Confirm = []string{"Nothing of the replay can be dropped any more."}, ""
	}
	c.dialog(w, r, http.StatusOK, d)
}

// forgetOutput says what would be given up and, confirmed, gives it up.
func (c *Console) forgetOutput(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), workTime)
	defer cancel()
	request := admin.OutputRequest{Output: r.PostFormValue("output"), DryRun: !confirmed(r)}
	result, err := c.ops.Forget(ctx, request)
	if err != nil {
		c.fail(w, r, "/outputs", err)
		return
	}
	if !request.DryRun {
		done(w, r, "/outputs", "forgotten", result.Pending)
		return
	}
	c.dialog(w, r, http.StatusOK, dialogData{
		page: page{Title: "Forget " + clean(request.Output, maxName)}, Action: "/outputs/forget", Back: "/outputs", Danger: true,
		Fields: []field{{"output", request.Output}},
		Lines: []string{
			"It has left the configuration, and what it has not delivered is kept for it.",
			pluralEvents(result.Pending) + " that it never delivered and " + plural(result.Dead, "dead letter", "dead letters") + " of it will be given up for good.",
		},
		Confirm: "Forget it for good",
	})
}
