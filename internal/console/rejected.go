package console

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// rejectedData is the data of the page of rejected bodies.
type rejectedData struct {
	page
	Page    admin.RejectedPage
	After   string
	Problem string
	Drawer  *rejectedDrawer
}

// rejectedDrawer is one rejected body beside the table.
type rejectedDrawer struct {
	Rejected admin.RejectedDetail
	Body     bodyView
	Close    string
	Problem  string
	Caller   admin.Caller
	Company  string
}

// Here is the address of this page of the table, with further fields.
func (d rejectedData) Here(fields ...string) string {
	return address("/rejected", append([]string{"after", d.After, "company", d.Company}, fields...)...)
}

// Next is the address of the page after this one.
func (d rejectedData) Next() string {
	return address("/rejected", "after", strconv.FormatInt(d.Page.Next, 10), "company", d.Company)
}

func (c *Console) rejectedPage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	d := rejectedData{After: r.URL.Query().Get("after")}
	d.Company = r.URL.Query().Get("company")
	part, status := fragment(r), http.StatusOK
	if part != "drawer" {
		d.page = c.newPage(ctx, r, "Rejected", "/rejected")
		after, err := readAfter(d.After)
		if err == nil {
			d.Page, err = c.ops.Rejected(ctx, admin.Page{Limit: pageSize, After: after})
		}
		if err != nil {
			c.note(r, err)
			status, d.Problem = explain(err)
		}
	}
	if text := r.URL.Query().Get("body"); text != "" && part != "list" {
		d.Drawer = &rejectedDrawer{Close: d.Here(), Caller: admin.CallerOf(r.Context()), Company: d.Company}
		id, err := readID(text)
		if err == nil {
			d.Drawer.Rejected, err = c.ops.RejectedBody(ctx, id)
		}
		if err != nil {
			c.note(r, err)
			status, d.Drawer.Problem = explain(err)
		} else {
			d.Drawer.Body = viewBody(d.Drawer.Rejected.Body, address("/rejected/body", "id", text))
		}
	}
	c.render(w, r, status, "rejected", d)
}

// rejectedBody sends a rejected body as a file.
func (c *Console) rejectedBody(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	id, err := readID(r.URL.Query().Get("id"))
	if err == nil {
		var body admin.RejectedDetail
		if body, err = c.ops.RejectedBody(ctx, id); err == nil {
			download(w, "rejected-"+strconv.FormatInt(id, 10), body.Body)
			return
		}
	}
	c.fail(w, r, "/rejected", err)
}

// acceptedData is the data of the page that says what became of each body.
type acceptedData struct {
	page
	Result admin.AcceptResult
}

// Accepted counts the bodies that were taken in.
func (d acceptedData) Accepted() int { return len(d.Result.Results) - d.Result.Failed() }

// acceptRejected says which bodies would be taken in and, confirmed, takes them.
func (c *Console) acceptRejected(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), workTime)
	defer cancel()
	request := admin.AcceptRequest{DryRun: !confirmed(r)}
	var fields []field
	for _, text := range slices.Compact(slices.Sorted(slices.Values(r.PostForm["id"]))) {
		id, err := readID(text)
		if err != nil {
			c.fail(w, r, "/rejected", err)
			return
		}
		request.IDs = append(request.IDs, id)
		fields = append(fields, field{"id", text})
	}
	if len(request.IDs) == 0 {
		c.fail(w, r, "/rejected", admin.Errorf(admin.Invalid, "No rejected body is chosen: tick some."))
		return
	}
	result, err := c.ops.AcceptRejected(ctx, request)
	if err != nil {
		c.fail(w, r, "/rejected", err)
		return
	}
	if request.DryRun {
		c.dialog(w, r, http.StatusOK, confirmAccept(result, fields))
		return
	}
	c.render(w, r, http.StatusOK, "accepted", acceptedData{c.newPage(ctx, r, "Accepted after all", "/rejected"), result})
}

func confirmAccept(result admin.AcceptResult, fields []field) dialogData {
	d := dialogData{page: page{Title: "Accept rejected bodies"}, Action: "/rejected/accept", Back: "/rejected", Fields: fields}
	n, duplicates := len(result.Results)-result.Failed(), 0
	for _, a := range result.Results {
		switch {
		case a.Error != nil:
			d.Lines = append(d.Lines, "Body "+strconv.FormatInt(a.ID, 10)+" can't be taken: "+clean(a.Error.Text, maxLine))
		case a.Duplicate:
			duplicates++
		}
	}
	if duplicates > 0 {
		d.Lines = append(d.Lines, plural(duplicates, "body is", "bodies are")+" of an event that is there already: nothing is sent twice.")
	}
	if n > 0 {
		d.Lines = append([]string{plural(n, "body becomes an event", "bodies become events") + ", as if the door had taken it, and goes to every output."}, d.Lines...)
		d.Confirm = "Accept " + plural(n, "body", "bodies")
	}
	return d
}
