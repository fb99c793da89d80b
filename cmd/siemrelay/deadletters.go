package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/when"
)

func newDeadLetters(std streams, open opener) *cobra.Command {
	cmd := parent("deadletters", "What an output refused for good and why; send it again after the fix", `A dead letter is an event that an output refused for good: a document that
Elasticsearch can't map, a message that is too large. Its raw body is kept with
the reason, and the other events go on.

  siemrelay deadletters list                    what there is
  siemrelay deadletters show 7                  one, with what the output said
  siemrelay deadletters replay --output kibana  send them again, after the fix
  siemrelay deadletters drop 7                  give one up`)
	cmd.AddCommand(newLettersList(std, open), newLettersShow(std, open), newLettersReplay(std, open), newLettersDrop(std, open))
	return cmd
}

// parent makes a command that only has others below it.
func parent(use, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long,
		Args: usageArgs(commandsOnly),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}

// selecting is the flags that choose dead letters.
type selecting struct {
	s            admin.Selection
	since, until whenFlag
}

func (s *selecting) flags(cmd *cobra.Command) {
	s.since.now, s.until.now = wallClock, wallClock
	f := cmd.Flags()
	f.StringVar(&s.s.Output, "output", "", "`NAME` of the output that refused them")
	f.StringVar(&s.s.Reason, "reason", "", "`REASON`: refused, too_large, poison or encode")
	f.StringVar(&s.s.Company, "company", "", "`ID` of the company (company_id)")
	f.StringVar(&s.s.Kind, "kind", "", "`KIND`: threat, ticket or other")
	f.Var(&s.since, "since", "refused at this `TIME` or later: "+when.Form)
	f.Var(&s.until, "until", "refused before this `TIME`")
}

// selection returns what the flags and arguments choose.
func (s *selecting) selection(args []string) (admin.Selection, error) {
	s.s.Since, s.s.Until = s.since.at, s.until.at
	var err error
	s.s.IDs, err = parseIDs(args)
	return s.s, err
}

func parseIDs(args []string) ([]int64, error) {
	var ids []int64
	for _, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id < 1 {
			return nil, admin.Errorf(admin.Invalid, "id %q: it must be a number from 1, as list shows it", arg)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func newLettersList(std streams, open opener) *cobra.Command {
	o := &operator{std: std, open: open}
	var chosen selecting
	var limit int
	cmd := o.command(&cobra.Command{
		Use:   "list",
		Short: "List dead letters",
		Long: `Lists dead letters, the oldest first.

  siemrelay deadletters list
  siemrelay deadletters list --output kibana --reason refused --since 24h
  siemrelay deadletters list --limit 0 -o json | jq -r '.letters[].error' | sort | uniq -c`,
	}, func(ctx context.Context, d *desk, args []string) error {
		s, err := chosen.selection(args)
		if err != nil {
			return err
		}
		page, err := listLetters(ctx, d, s, limit)
		if err != nil {
			return err
		}
		return o.say(page, func(out *os.File) { printLetters(out, page) })
	})
	chosen.flags(cmd)
	limitFlag(cmd, &limit)
	return cmd
}

func limitFlag(cmd *cobra.Command, limit *int) {
	cmd.Flags().IntVar(limit, "limit", admin.DefaultPage, "the most to list; 0 is all")
}

// checkLimit returns how many are wanted of a listing that has got so many.
func pageLimit(limit, got int) (int, error) {
	switch {
	case limit < 0:
		return 0, admin.Errorf(admin.Invalid, "--limit %d: it must be 0 or more", limit)
	case limit == 0:
		return admin.MaxPage, nil
	}
	return min(limit-got, admin.MaxPage), nil
}

// listLetters puts pages together until there are limit letters.
func listLetters(ctx context.Context, d *desk, s admin.Selection, limit int) (admin.LetterPage, error) {
	all := admin.LetterPage{Letters: []admin.Letter{}}
	for {
		want, err := pageLimit(limit, len(all.Letters))
		if err != nil {
			return all, err
		}
		page, err := d.DeadLetters(ctx, admin.LetterQuery{Selection: s, Page: admin.Page{Limit: want, After: all.Next}})
		if err != nil {
			return all, err
		}
		page.Letters = append(all.Letters, page.Letters...)
		all = page
		if all.Next == 0 || limit > 0 && len(all.Letters) >= limit {
			return all, nil
		}
	}
}

func printLetters(out *os.File, page admin.LetterPage) {
	if len(page.Letters) == 0 {
		fmt.Fprintln(out, "There are no such dead letters.")
		return
	}
	t := newTable(out, "ID", "OUTPUT", "REASON", "TRIES", "REFUSED", "EVENT", "COMPANY", "TITLE", "ERROR")
	for _, l := range page.Letters {
		t.AppendRow([]any{
			l.ID, l.Output, l.Reason, l.Tries, stamp(l.Refused), printable(l.Code),
			clip(printable(l.Company), 20), clip(printable(l.Title), 40), clip(printable(l.Error), 200),
		})
	}
	printTable(out, t)
	if len(page.Letters) < page.Total {
		fmt.Fprintf(out, "\nThese are %d of %s (%s); --limit 0 lists all, --output and other filters fewer.\n",
			len(page.Letters), count(page.Total, "dead letter"), size(page.Bytes))
	}
}

func newLettersShow(std streams, open opener) *cobra.Command {
	o := &operator{std: std, open: open}
	var raw bool
	cmd := o.command(&cobra.Command{
		Use:   "show ID",
		Short: "Show one dead letter: why it was refused, its body, and what would be sent now",
		Long: `Shows a dead letter: what the output said, the body as it came in, and the record
that the output would get now, with the mapping and format of this moment.

  siemrelay deadletters show 7
  siemrelay deadletters show 7 --raw > body.json`,
		Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, d *desk, args []string) error {
		ids, err := parseIDs(args)
		if err != nil {
			return err
		}
		l, err := d.DeadLetter(ctx, ids[0])
		if err != nil {
			return err
		}
		if raw {
			return writeRaw(o.std.out, l.Body)
		}
		return o.say(l, func(out *os.File) { printLetter(out, l) })
	})
	rawFlag(cmd, &raw)
	return cmd
}

func rawFlag(cmd *cobra.Command, raw *bool) {
	cmd.Flags().BoolVar(raw, "raw", false, "write the body alone, byte for byte as it came")
}

func writeRaw(out *os.File, b admin.Body) error {
	if _, err := out.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write the body: %w", err)
	}
	return nil
}

func printLetter(out *os.File, l admin.LetterDetail) {
	fact := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "%-10s %s\n", name, printable(value))
		}
	}
	fact("id", strconv.FormatInt(l.ID, 10))
	fact("output", l.Output)
	fact("reason", l.Reason)
	fact("error", l.Error)
	fact("tries", fmt.Sprintf("%d, the first %s, refused %s", l.Tries, stamp(l.First), stamp(l.Refused)))
	fact("event", fmt.Sprintf("%s, %s, number %d, accepted %s", l.EventID, l.Code, l.Sequence, stamp(l.Accepted)))
	fact("company", l.Company)
	fact(l.Kind, l.Record)
	fact("title", l.Title)
	fmt.Fprintf(out, "\nBody (%s):\n%s\n", size(int64(l.Size)), printableBody(l.Body.Bytes()))
	switch {
	case l.Now == nil:
		fmt.Fprintf(out, "\nThe output is not in the configuration.\n")
	case l.Now.Filtered:
		fmt.Fprintf(out, "\nSent again it would be filtered now: the output's when leaves it out.\n")
	default:
		fmt.Fprintf(out, "\nWhat would be sent now (%s):\n%s\n", l.Now.Format, printableBody(l.Now.Record.Bytes()))
	}
}
