package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// queryHelp is what search and tail say of their QUERY.
const queryHelp = `A QUERY has words, all of which must be there, in the title, the description, the
notes, the names and ids; case is no difference. Write it in the shell's quotes:

  'login form'             both words
  '"login form"'           the phrase
  'inject*'                words that begin so
  'login -test'            not this one
  'risk:critical'          also risk:high,critical; info, low, medium, high, critical, unknown
  'status:open'            open, closed or unknown; state:assigned is the vendor's own word
  'kind:ticket'            threat, ticket or other
  'company:acme'           the id, or words of the name; source: words of the source
  'id:TES-TIN-GDATA'       id or reference of a threat or ticket, or the beginning of an event's
  'type: action: code: tag:'  as they stand in the ECS document
  'since:24h until:2026-06-19'  when siemrelay accepted it
  '-risk:info'             each of these can be left out with a minus

One that begins with a minus stands after --, as in: search -- '-risk:info login'`

// searching is the command search.
type searching struct {
	*operator
	limit   int
	records bool
	sort    string
}

func newSearch(std streams, open opener) *cobra.Command {
	s := &searching{operator: &operator{std: std, open: open}}
	cmd := s.command(&cobra.Command{
		Use:   "search [QUERY]",
		Short: "Search the events of the local output, or threats and tickets as they are now",
		Long: `Lists the events that the local output keeps and that match, the newest first; with
--records the threats and tickets as they are now. Without a QUERY it lists all.

  siemrelay search 'login risk:critical since:24h'
  siemrelay search --records 'status:open kind:threat' --sort severity
  siemrelay search 'company:acme -status:closed' --limit 0 -o json | jq -r '.events[].title'

` + queryHelp + `

"siemrelay show ID" shows one, "siemrelay tail QUERY" what comes.`,
		Args: cobra.ArbitraryArgs,
	}, s.run)
	cmd.Flags().BoolVar(&s.records, "records", false, "threats and tickets as they are now, instead of events")
	cmd.Flags().StringVar(&s.sort, "sort", "", "with --records: `ORDER` updated (the last change first, the default) or severity")
	limitFlag(cmd, &s.limit)
	cmd.SetFlagErrorFunc(queryNoFlag)
	return cmd
}

// queryNoFlag is about a flag that there is not: it may be a query that leaves out.
func queryNoFlag(cmd *cobra.Command, err error) error {
	return usageError(cmd, fmt.Errorf("%w; a query that begins with a minus stands after --", err))
}

func (s *searching) run(ctx context.Context, d *desk, args []string) error {
	text := strings.Join(args, " ")
	if s.records {
		page, err := s.listRecords(ctx, d, text)
		if err != nil {
			return err
		}
		return s.say(page, func(out *os.File) { printRecords(out, page) })
	}
	if s.sort != "" {
		return admin.Errorf(admin.Invalid, "--sort goes with --records: events are listed by their acceptance")
	}
	page, err := s.listEvents(ctx, d, text)
	if err != nil {
		return err
	}
	return s.say(page, func(out *os.File) { printEvents(out, page, text) })
}

// listEvents puts pages together until there are limit events.
func (s *searching) listEvents(ctx context.Context, d *desk, text string) (admin.EventPage, error) {
	all := admin.EventPage{Events: []admin.EventSummary{}}
	for {
		want, err := pageLimit(s.limit, len(all.Events))
		if err != nil {
			return all, err
		}
		page, err := d.Events(ctx, admin.EventQuery{Text: text, Limit: want, Before: all.Next})
		if err != nil {
			return all, err
		}
		all.Events, all.Next = append(all.Events, page.Events...), page.Next
		if all.Next == 0 || s.limit > 0 && len(all.Events) >= s.limit {
			return all, nil
		}
	}
}

// listRecords puts pages together until there are limit records.
func (s *searching) listRecords(ctx context.Context, d *desk, text string) (admin.RecordPage, error) {
	all := admin.RecordPage{Records: []admin.RecordSummary{}}
	for {
		want, err := pageLimit(s.limit, len(all.Records))
		if err != nil {
			return all, err
		}
		page, err := d.Records(ctx, admin.RecordQuery{Text: text, Sort: s.sort, Limit: want, Cursor: all.Next})
		if err != nil {
			return all, err
		}
		page.Records = append(all.Records, page.Records...)
		all = page
		if all.Next == "" || s.limit > 0 && len(all.Records) >= s.limit {
			return all, nil
		}
	}
}

// shortID is as much of an event.id as a listing has room for, and show takes.
func shortID(id string) string { return clipID(printable(id), 12) }

func clipID(id string, n int) string { return id[:min(n, len(id))] }

func printEvents(out *os.File, page admin.EventPage, text string) {
	if len(page.Events) == 0 {
		fmt.Fprintln(out, noneFound("events", text))
		return
	}
	t := newTable(out, "ACCEPTED", "ID", "EVENT", "RISK", "STATE", "COMPANY", "TITLE")
	for _, e := range page.Events {
		t.AppendRow([]any{
			stamp(e.Accepted), shortID(e.ID), printable(e.Code), dash(e.Risk), dash(clip(printable(e.State), 20)),
			clip(printable(companyOf(e.Company, e.Name)), 20), clip(titleOf(e), 100),
		})
	}
	printTable(out, t)
	if page.Next != 0 {
		fmt.Fprintf(out, "\nThese are the newest %d; --limit 0 lists all.\n", len(page.Events))
	}
}

// titleOf is an event's title, with the note that it is about.
func titleOf(e admin.EventSummary) string {
	title := printable(e.Title)
	if e.Note != "" || e.NoteBy != "" {
		title += " [" + printable(e.NoteBy) + ": " + printable(e.Note) + "]"
	}
	return title
}

func companyOf(id, name string) string {
	if name != "" {
		return name
	}
	return dash(id)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func noneFound(what, text string) string {
	if strings.TrimSpace(text) == "" {
		return "The local output has no " + what + " yet."
	}
	return "No " + what + " match."
}

func printRecords(out *os.File, page admin.RecordPage) {
	if len(page.Records) == 0 {
		fmt.Fprintln(out, "No threats or tickets match.")
		return
	}
	t := newTable(out, "UPDATED", "KIND", "ID", "RISK", "STATE", "COMPANY", "EVENTS", "TITLE")
	for _, r := range page.Records {
		t.AppendRow([]any{
			stamp(r.Updated), r.Kind, clip(printable(r.ID), 40), dash(r.Risk), dash(clip(printable(r.State), 20)),
			clip(printable(companyOf(r.Company, r.Name)), 20), r.Events, clip(printable(r.Title), 100),
		})
	}
	printTable(out, t)
	if page.Next != "" {
		total := fmt.Sprint(page.Total)
		if page.Total >= admin.MaxTotal {
			total = "more than " + total
		}
		fmt.Fprintf(out, "\nThese are the first %d of %s; --limit 0 lists all.\n", len(page.Records), total)
	}
}
