package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// showing is the command show.
type showing struct {
	*operator
	raw, ecs, cef bool
}

func newShow(std streams, open opener) *cobra.Command {
	s := &showing{operator: &operator{std: std, open: open}}
	cmd := s.command(&cobra.Command{
		Use:   "show ID",
		Short: "Show one event as it came, as ECS and CEF, and what became of it; or a threat's history",
		Long: `Shows what the local output keeps of one event or one threat or ticket. ID is

  - an event's id (event.id), or the beginning of it as search lists it: shows the
    webhook as it came, the ECS document and the CEF line that would be sent of it
    with the mapping of now, and what became of it at each output;
  - the id or reference of a threat or ticket, or its key as -o json has it: shows it
    as it is now, with every event, note and change of state.

What became of an event is pending, delivered, sent (over UDP, which confirms
nothing), filtered (by the output's when), dead (see deadletters), none (the output
began after it), or unknown where that can't be told from the counts that are kept.

  siemrelay show 04a59f353024
  siemrelay show 04a59f353024 --raw > body.json
  siemrelay show TES-TIN-GDATA`,
		Args: cobra.ExactArgs(1),
	}, s.run)
	rawFlag(cmd, &s.raw)
	cmd.Flags().BoolVar(&s.ecs, "ecs", false, "write the ECS document alone")
	cmd.Flags().BoolVar(&s.cef, "cef", false, "write the CEF line alone")
	cmd.MarkFlagsMutuallyExclusive("raw", "ecs", "cef")
	return cmd
}

// run shows what the argument is the id of: an event by its whole id, a record, or an
// event by the beginning of its id.
func (s *showing) run(ctx context.Context, d *desk, args []string) error {
	id := strings.TrimSpace(args[0])
	event, err := d.Event(ctx, id)
	if err == nil {
		return s.event(event)
	}
	if admin.CodeOf(err) != admin.NotFound {
		return err
	}
	if !s.alone() {
		key, err := recordKey(ctx, d, id)
		if err != nil {
			return err
		}
		if key != "" {
			r, err := d.Record(ctx, key)
			if err != nil {
				return err
			}
			return s.say(r, func(out *os.File) { printRecord(out, r) })
		}
	}
	if id, err = eventID(ctx, d, id); err != nil {
		return err
	}
	if event, err = d.Event(ctx, id); err != nil {
		return err
	}
	return s.event(event)
}

// alone tells whether one form of an event is wanted.
func (s *showing) alone() bool { return s.raw || s.ecs || s.cef }

// manyShown is how many candidates are listed where an id is not of one thing.
const manyShown = 10

// recordKey finds the record that an id, a reference or a key is of; "" if there is
// none.
func recordKey(ctx context.Context, d *desk, id string) (string, error) {
	if r, err := d.Record(ctx, id); err == nil {
		return r.Key, nil
	} else if admin.CodeOf(err) != admin.NotFound {
		return "", err
	}
	query, err := idQuery(id)
	if err != nil {
		return "", err
	}
	page, err := d.Records(ctx, admin.RecordQuery{Text: query, Limit: manyShown})
	if err != nil || len(page.Records) == 0 {
		return "", err
	}
	if len(page.Records) == 1 {
		return page.Records[0].Key, nil
	}
	var keys []string
	for _, r := range page.Records {
		keys = append(keys, "\n  siemrelay show "+shellWord(printable(r.Key)))
	}
	return "", fmt.Errorf("%d threats and tickets have the id %s; choose one:%s", page.Total, printable(id), strings.Join(keys, ""))
}

// eventID finds the event whose id begins with id, or that is of a record of that id.
func eventID(ctx context.Context, d *desk, id string) (string, error) {
	query, err := idQuery(id)
	if err != nil {
		return "", err
	}
	page, err := d.Events(ctx, admin.EventQuery{Text: query, Limit: manyShown})
	switch {
	case err != nil:
		return "", err
	case len(page.Events) == 0:
		return "", admin.Errorf(admin.NotFound, "there is no event, threat or ticket with the id %s; siemrelay search lists what there is", printable(id))
	case len(page.Events) == 1:
		return page.Events[0].ID, nil
	}
	var ids []string
	for _, e := range page.Events {
		ids = append(ids, "\n  siemrelay show "+shellWord(printable(e.ID))+"  # "+stamp(e.Accepted)+" "+printable(e.Code))
	}
	return "", fmt.Errorf("more than one event has the id %s; choose one:%s", printable(id), strings.Join(ids, ""))
}

func idQuery(id string) (string, error) {
	if id == "" || strings.Contains(id, `"`) {
		return "", admin.Errorf(admin.NotFound, "there is no event, threat or ticket with the id %s", printable(id))
	}
	return `id:"` + id + `"`, nil
}

func (s *showing) event(e admin.EventDetail) error {
	switch {
	case s.raw:
		return writeRaw(s.std.out, e.Raw)
	case s.ecs:
		return writeLine(s.std.out, e.ECS)
	case s.cef:
		return writeLine(s.std.out, e.CEF)
	}
	return s.say(e, func(out *os.File) { printEvent(out, e) })
}

func writeLine(out *os.File, b admin.Body) error {
	return writeRaw(out, admin.NewBody(append(b.Bytes(), '\n')))
}

// facts writes name and value, if there is one.
func facts(out *os.File) func(name, value string) {
	return func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "%-12s %s\n", name, printable(value))
		}
	}
}

func printEvent(out *os.File, e admin.EventDetail) {
	fact := facts(out)
	fact("id", e.ID)
	fact("event", e.Code+", "+e.Action)
	fact("accepted", fmt.Sprintf("%s, number %d", stamp(e.Accepted), e.Sequence))
	fact("title", e.Title)
	fact(e.Kind, e.Record)
	fact("company", strings.TrimSpace(e.Company+" "+e.Name))
	fact("risk", e.Risk)
	fact("severity", fmt.Sprint(e.Severity))
	fact("state", stateOfRecord(e.State, e.Status))
	fact("source", e.Source)
	fact("note by", e.NoteBy)
	fact("note", e.Note)
	fact("tags", strings.Join(e.Tags, ", "))
	fmt.Fprintln(out)
	t := newTable(out, "OUTPUT", "TYPE", "BECAME OF IT", "")
	for _, o := range e.Outputs {
		t.AppendRow([]any{o.Output, o.Type, string(o.Outcome), printable(outcomeNote(o))})
	}
	printTable(out, t)
	fmt.Fprintf(out, "\nThe webhook as it came (%s):\n%s\n", size(int64(len(e.Raw.Bytes()))), printableBody(e.Raw.Bytes()))
	fmt.Fprintf(out, "\nECS, with the mapping of now:\n%s\n", printableBody(e.ECS.Bytes()))
	fmt.Fprintf(out, "\nCEF, with the mapping of now:\n%s\n", printableBody(e.CEF.Bytes()))
}

// outcomeNote says what to do about an outcome.
func outcomeNote(o admin.EventOutcome) string {
	switch {
	case o.Letter != 0:
		return fmt.Sprintf("%s; siemrelay deadletters show %d", o.Error, o.Letter)
	case o.Error != "":
		return o.Error
	case o.Outcome == admin.OutcomePending && o.State == admin.StateStopped:
		return "siemrelay is not running"
	}
	return ""
}

func stateOfRecord(state, status string) string {
	if state == "" || status == "" || state == status {
		return state + status
	}
	return state + " (" + status + ")"
}

func printRecord(out *os.File, r admin.RecordDetail) {
	fact := facts(out)
	fact(r.Kind, r.ID)
	fact("reference", r.Reference)
	fact("title", r.Title)
	fact("company", strings.TrimSpace(r.Company+" "+r.Name))
	fact("risk", r.Risk)
	fact("priority", r.Priority)
	fact("state", stateOfRecord(r.State, r.Status))
	fact("source", r.Source)
	fact("link", r.Link)
	fact("created", stamp(r.Created))
	fact("updated", stamp(r.Updated))
	if r.Note != "" || r.NoteBy != "" {
		fact("last note", fmt.Sprintf("%s, %s: %s", stamp(r.NoteAt), r.NoteBy, r.Note))
	}
	fact("description", r.Description)
	fmt.Fprintf(out, "\n%s, the newest first:\n", count(len(r.Timeline), "event"))
	t := newTable(out, "ACCEPTED", "ID", "EVENT", "RISK", "STATE", "TITLE")
	for _, e := range r.Timeline {
		t.AppendRow([]any{stamp(e.Accepted), shortID(e.ID), printable(e.Code), dash(e.Risk), dash(printable(e.State)), clip(titleOf(e), 200)})
	}
	printTable(out, t)
}
