package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

var (
	letterReasons = []string{"refused", "too_large", "poison", "encode"}
	kindWords     = []string{"threat", "ticket", "other"}
)

// letterFilter is what the address or a form says of which dead letters are meant.
type letterFilter struct {
	Output, Reason, Company, Kind, Since, Until string
	After                                       string
}

func readLetters(q url.Values) letterFilter {
	return letterFilter{q.Get("output"), q.Get("reason"), q.Get("company"), q.Get("kind"), q.Get("since"), q.Get("until"), q.Get("after")}
}

// Filtered tells whether anything is left out on purpose.
func (f letterFilter) Filtered() bool {
	f.After = ""
	return f != letterFilter{}
}

// Address is the address of the table, with further fields.
func (f letterFilter) Address(fields ...string) string {
	return address("/dead-letters", append([]string{
		"output", f.Output, "reason", f.Reason, "company", f.Company, "kind", f.Kind, "since", f.Since, "until", f.Until,
	}, fields...)...)
}

// Here is the address of this page of the table, with further fields.
func (f letterFilter) Here(fields ...string) string {
	return f.Address(append([]string{"after", f.After}, fields...)...)
}

func (f letterFilter) selection(now time.Time) (admin.Selection, error) {
	s := admin.Selection{Output: f.Output, Reason: f.Reason, Company: f.Company, Kind: f.Kind}
	var err error
	if s.Since, err = parseWhen("since", f.Since, now); err != nil {
		return s, err
	}
	s.Until, err = parseWhen("until", f.Until, now)
	return s, err
}

// lettersData is the data of the page of dead letters.
type lettersData struct {
	page
	Query   letterFilter
	Page    admin.LetterPage
	Reasons []string
	Kinds   []string
	Problem string
	Drawer  *letterDrawer
}

// letterDrawer is one dead letter beside the table.
type letterDrawer struct {
	Letter  admin.LetterDetail
	Body    bodyView
	Now     bodyView
	Close   string
	Problem string
	Caller  admin.Caller
	Company string

	companies []admin.CompanyCount
}

// Called is the name of a company, its id where the store knows none.
func (d lettersData) Called(id string) string { return calledIn(d.Companies, id) }

// Called is the name of the letter's company.
func (d letterDrawer) Called() string { return calledIn(d.companies, d.Letter.Company) }

func calledIn(list []admin.CompanyCount, id string) string {
	if i := slices.IndexFunc(list, func(k admin.CompanyCount) bool { return k.ID == id }); i >= 0 {
		return companyName(id, list[i].Name)
	}
	return clean(id, maxName)
}

// Next is the address of the page after this one.
func (d lettersData) Next() string {
	return d.Query.Address("after", strconv.FormatInt(d.Page.Next, 10))
}

func (c *Console) lettersPage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	d := lettersData{Query: readLetters(r.URL.Query()), Reasons: letterReasons, Kinds: kindWords}
	part, status := fragment(r), http.StatusOK
	if part != "drawer" {
		d.page = c.newPage(ctx, r, "Dead letters", "/dead-letters")
		q := admin.LetterQuery{Page: admin.Page{Limit: pageSize}}
		var err error
		if q.Selection, err = d.Query.selection(c.now()); err == nil {
			q.After, err = readAfter(d.Query.After)
		}
		if err == nil {
			d.Page, err = c.ops.DeadLetters(ctx, q)
		}
		if err != nil {
			c.note(r, err)
			status, d.Problem = explain(err)
		}
	}
	if text := r.URL.Query().Get("letter"); text != "" && part != "list" {
		d.Drawer = &letterDrawer{Close: d.Query.Here(), Caller: admin.CallerOf(r.Context()), Company: d.Query.Company, companies: c.companyList(ctx)}
		id, err := readID(text)
		if err == nil {
			d.Drawer.Letter, err = c.ops.DeadLetter(ctx, id)
		}
		if err != nil {
			c.note(r, err)
			status, d.Drawer.Problem = explain(err)
		} else {
			d.Drawer.fill(text)
		}
	}
	c.render(w, r, status, "letters", d)
}

func (d *letterDrawer) fill(id string) {
	d.Body = viewBody(d.Letter.Body, address("/dead-letters/body", "id", id, "form", "raw"))
	if d.Letter.Now != nil {
		d.Now = viewBody(d.Letter.Now.Record, address("/dead-letters/body", "id", id, "form", "now"))
	}
}

func readAfter(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	return readID(text)
}

func readID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, admin.Errorf(admin.NotFound, "There is nothing with the id %q.", clean(text, maxName))
	}
	return id, nil
}

// letterBody sends a dead letter's body, or what would be sent now, as a file.
func (c *Console) letterBody(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	id, err := readID(r.URL.Query().Get("id"))
	if err != nil {
		c.fail(w, r, "/dead-letters", err)
		return
	}
	letter, err := c.ops.DeadLetter(ctx, id)
	if err != nil {
		c.fail(w, r, "/dead-letters", err)
		return
	}
	name, body := "dead-letter-"+strconv.FormatInt(id, 10), letter.Body
	if r.URL.Query().Get("form") == "now" {
		if letter.Now == nil {
			c.fail(w, r, "/dead-letters", admin.Errorf(admin.NotFound, "Nothing would be sent now: the output has left the configuration."))
			return
		}
		name, body = name+"-now", letter.Now.Record
	}
	download(w, name, body)
}

// letterChange is what can be done to dead letters.
type letterChange struct {
	path, title, verb, done string
	danger                  bool
	do                      func(admin.Operations, context.Context, admin.LetterAction) (admin.LetterResult, error)
}

var (
	replayLetters = letterChange{
		"/dead-letters/replay", "Replay dead letters", "Replay", "letters-replayed", false, admin.Operations.ReplayDeadLetters,
	}
	dropLetters = letterChange{
		"/dead-letters/drop", "Drop dead letters", "Drop", "letters-dropped", true, admin.Operations.DropDeadLetters,
	}
)

// changeLetters says which letters would be changed and, confirmed, changes them.
func (c *Console) changeLetters(change letterChange) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), workTime)
		defer cancel()
		filter := readLetters(r.PostForm)
		action, fields, err := c.readAction(r, filter)
		if err != nil {
			c.fail(w, r, "/dead-letters", err)
			return
		}
		result, err := change.do(c.ops, ctx, action)
		if err != nil {
			c.fail(w, r, "/dead-letters", err)
			return
		}
		if !action.DryRun {
			done(w, r, filter.Address(), change.done, uint64(result.Letters))
			return
		}
		c.dialog(w, r, http.StatusOK, confirmLetters(change, result, fields, filter.Here()))
	}
}

// readAction returns what a form is about, and the fields that say it again.
func (c *Console) readAction(r *http.Request, filter letterFilter) (admin.LetterAction, []field, error) {
	action := admin.LetterAction{DryRun: !confirmed(r)}
	var fields []field
	if r.PostFormValue("scope") != "all" {
		for _, text := range slices.Compact(slices.Sorted(slices.Values(r.PostForm["id"]))) {
			id, err := readID(text)
			if err != nil {
				return action, nil, err
			}
			action.IDs = append(action.IDs, id)
			fields = append(fields, field{"id", text})
		}
		if len(action.IDs) == 0 {
			return action, nil, admin.Errorf(admin.Invalid, "No dead letter is chosen: tick some, or take all that match.")
		}
		if len(action.IDs) > admin.MaxIDs {
			return action, nil, admin.Errorf(admin.Invalid, "At most %d dead letters can be ticked at once.", admin.MaxIDs)
		}
		return action, append(fields, keep(filter)...), nil
	}
	now := c.now()
	var err error
	if action.Selection, err = filter.selection(now); err != nil {
		return action, nil, err
	}
	if action.Until.IsZero() {
		action.Until = now // what is refused later is not meant by who confirms what is there now
	}
	fixed := filter
	fixed.Until = action.Until.Format(time.RFC3339Nano)
	if !action.Since.IsZero() {
		fixed.Since = action.Since.Format(time.RFC3339Nano)
	}
	return action, append(keep(fixed), field{"scope", "all"}), nil
}

// keep are the fields of a filter.
func keep(f letterFilter) []field {
	var fields []field
	for _, k := range []field{
		{"output", f.Output}, {"reason", f.Reason}, {"company", f.Company}, {"kind", f.Kind}, {"since", f.Since}, {"until", f.Until},
	} {
		if k.Value != "" {
			fields = append(fields, k)
		}
	}
	return fields
}

func confirmLetters(change letterChange, result admin.LetterResult, fields []field, back string) dialogData {
	letters := plural(result.Letters, "dead letter", "dead letters")
	d := dialogData{page: page{Title: change.title}, Action: change.path, Fields: fields, Back: back, Danger: change.danger}
	switch {
	case result.Letters == 0:
		d.Lines = []string{"No dead letter is chosen any more: they may have been dealt with meanwhile."}
		return d
	case change.danger:
		d.Lines = []string{letters + " (" + byteSize(result.Bytes) + ") will be deleted. Their outputs never get these events. They count as dropped, and can't be had back."}
	default:
		d.Lines = []string{letters + " will be normalised again with the mapping of now, and sent again. What is refused once more comes back here."}
	}
	if n := len(result.Missing); n > 0 {
		d.Lines = append(d.Lines, plural(n, "other", "others")+" that you chose can't be found any more.")
	}
	d.Confirm = change.verb + " " + letters
	return d
}
