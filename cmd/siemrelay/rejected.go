package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/admin"
)

func newRejected(std streams, open opener) *cobra.Command {
	cmd := parent("rejected", "What the door refused as malformed; take it in after all", `A webhook whose body is not one JSON object is answered 400, and its body is kept:
the newest 1,000, and no more than 64 MiB. Should one matter, it can be taken in
as an event after all.

  siemrelay rejected list
  siemrelay rejected show 3
  siemrelay rejected accept 3`)
	cmd.AddCommand(newRejectedList(std, open), newRejectedShow(std, open), newRejectedAccept(std, open))
	return cmd
}

func newRejectedList(std streams, open opener) *cobra.Command {
	o := &operator{std: std, open: open}
	var limit int
	cmd := o.command(&cobra.Command{
		Use:   "list",
		Short: "List rejected bodies",
		Long: `Lists the bodies that the door answered with 400, the oldest first.

  siemrelay rejected list
  siemrelay rejected list -o json | jq '.rejected[].id'`,
	}, func(ctx context.Context, d *desk, _ []string) error {
		page, err := listRejected(ctx, d, limit)
		if err != nil {
			return err
		}
		return o.say(page, func(out *os.File) { printRejectedList(out, page) })
	})
	limitFlag(cmd, &limit)
	return cmd
}

// listRejected puts pages together until there are limit bodies.
func listRejected(ctx context.Context, d *desk, limit int) (admin.RejectedPage, error) {
	all := admin.RejectedPage{Rejected: []admin.Rejected{}}
	for {
		want, err := pageLimit(limit, len(all.Rejected))
		if err != nil {
			return all, err
		}
		page, err := d.Rejected(ctx, admin.Page{Limit: want, After: all.Next})
		if err != nil {
			return all, err
		}
		page.Rejected = append(all.Rejected, page.Rejected...)
		all = page
		if all.Next == 0 || limit > 0 && len(all.Rejected) >= limit {
			return all, nil
		}
	}
}

func printRejectedList(out *os.File, page admin.RejectedPage) {
	if len(page.Rejected) == 0 {
		fmt.Fprintln(out, "There are no rejected bodies.")
		return
	}
	t := newTable(out, "ID", "AT", "SIZE", "FROM", "REASON")
	for _, r := range page.Rejected {
		t.AppendRow([]any{r.ID, stamp(r.At), size(int64(r.Size)), printable(r.Address), printable(r.Reason)})
	}
	printTable(out, t)
	if page.Next > 0 {
		fmt.Fprintln(out, "\nThere are more; --limit 0 lists all.")
	}
}

func newRejectedShow(std streams, open opener) *cobra.Command {
	o := &operator{std: std, open: open}
	var raw bool
	cmd := o.command(&cobra.Command{
		Use:   "show ID",
		Short: "Show one rejected body",
		Long: `Shows a rejected body; what is not a visible character is escaped.

  siemrelay rejected show 3
  siemrelay rejected show 3 --raw > body`,
		Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, d *desk, args []string) error {
		ids, err := parseIDs(args)
		if err != nil {
			return err
		}
		r, err := d.RejectedBody(ctx, ids[0])
		if err != nil {
			return err
		}
		if raw {
			return writeRaw(o.std.out, r.Body)
		}
		return o.say(r, func(out *os.File) {
			fmt.Fprintf(out, "id         %d\nat         %s\nfrom       %s\nreason     %s\n\nBody (%s):\n%s\n",
				r.ID, stamp(r.At), printable(r.Address), printable(r.Reason), size(int64(r.Size)), printableBody(r.Body.Bytes()))
		})
	})
	rawFlag(cmd, &raw)
	return cmd
}

func newRejectedAccept(std streams, open opener) *cobra.Command {
	o := &operator{std: std, open: open}
	cmd := o.command(&cobra.Command{
		Use:   "accept ID…",
		Short: "Take rejected bodies in as events after all",
		Long: `Stores each body as if the door had accepted it now: it becomes an event of its own,
goes to every output, and leaves the rejected. What is not JSON becomes an event
with the tag siemrelay_mapping_error and the raw body in event.original.

Exit code 1 if one of them could not be accepted; the others are.

  siemrelay rejected accept 3 4`,
		Args: cobra.MinimumNArgs(1),
	}, func(ctx context.Context, d *desk, args []string) error {
		ids, err := parseIDs(args)
		if err != nil {
			return err
		}
		r, err := d.AcceptRejected(ctx, admin.AcceptRequest{IDs: ids, DryRun: o.dryRun})
		if err != nil {
			return err
		}
		if err := o.say(r, func(out *os.File) { printAccepted(out, r) }); err != nil {
			return err
		}
		if n := r.Failed(); n > 0 {
			return fmt.Errorf("%d of %s could not be accepted", n, count(len(r.Results), "body"))
		}
		return nil
	})
	o.dryRunFlag(cmd)
	return cmd
}

func printAccepted(out *os.File, r admin.AcceptResult) {
	for _, a := range r.Results {
		switch {
		case a.Error != nil:
			fmt.Fprintf(out, "%d: %s\n", a.ID, printable(a.Error.Text))
		case r.DryRun:
			fmt.Fprintf(out, "%d would be accepted\n", a.ID)
		case a.Duplicate:
			fmt.Fprintf(out, "%d is the event %s, which the sender's retry has brought already\n", a.ID, printable(a.EventID))
		default:
			fmt.Fprintf(out, "%d is accepted as the event %s, number %d\n", a.ID, printable(a.EventID), a.Sequence)
		}
	}
}
