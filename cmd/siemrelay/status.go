package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/admin"
)

func newStatus(std streams, open opener) *cobra.Command {
	o := &operator{std: std, open: open}
	return o.command(&cobra.Command{
		Use:   "status",
		Short: "Tell what became of every event, output by output, and what needs a person",
		Long: `Prints each output with its state and its ledger: every event that entered is
delivered, filtered (by the output's when), dead (refused for good, see
deadletters), dropped (given up by hand), unreadable (damaged on the disk) or
pending, and the numbers add up. Over UDP an event is sent, which is all that can
be known of it; that column is there only where an output has such events. LAG is
the age of the oldest event that the output has not come to. Below stands what a
person should see to.

It asks the running process, or reads the files of a stopped one.

  siemrelay status
  siemrelay status -o json | jq '.outputs[] | select(.state != "ok")'`,
	}, func(ctx context.Context, d *desk, _ []string) error {
		s, err := d.Status(ctx)
		if err != nil {
			return err
		}
		return o.say(s, func(out *os.File) { printStatus(out, s) })
	})
}

func printStatus(out *os.File, s admin.Status) {
	switch {
	case !s.Running:
		fmt.Fprintf(out, "siemrelay is not running\n")
	case s.Ready:
		fmt.Fprintf(out, "siemrelay %s runs since %s and accepts webhooks\n", printable(s.Version), stamp(s.Started))
	default:
		fmt.Fprintf(out, "siemrelay %s runs since %s and refuses webhooks: %s\n", printable(s.Version), stamp(s.Started), printable(s.NotReady))
	}
	fmt.Fprintf(out, "spool         %s of %s in %s\n", size(s.Spool.Bytes), size(s.Spool.MaxBytes), printable(s.Spool.Dir))
	fmt.Fprintf(out, "dead letters  %s of %s\n", size(s.Spool.DeadLetterBytes), size(s.Spool.DeadLetterMax))
	fmt.Fprintf(out, "rejected      %s\n", count(s.Rejected, "body"))
	if r := s.Receiver; r != nil {
		fmt.Fprintf(out, "webhooks      %d accepted, %s of the sender, %d refused since the start; the last one %s\n",
			r.Accepted, count(r.Duplicates, "retry"), r.Rejected, stamp(r.LastAccepted))
	}
	fmt.Fprintln(out)
	printLedger(out, s.Outputs)
	if len(s.Problems) > 0 {
		fmt.Fprintln(out, "\nTo see to:")
		for _, p := range s.Problems {
			fmt.Fprintf(out, "- %s\n", printable(p))
		}
	}
}

// printLedger prints the outputs. Few have events that were sent and not delivered, and
// the table is wide without that column.
func printLedger(out *os.File, list []admin.OutputStatus) {
	t := newTable(out, "OUTPUT", "TYPE", "STATE", "ENTERED", "DELIVERED", "SENT", "FILTERED", "DEAD", "DROPPED", "UNREADABLE", "PENDING", "LAG")
	anySent := slices.ContainsFunc(list, func(v admin.OutputStatus) bool { return v.Sent > 0 })
	t.SetColumnConfigs([]table.ColumnConfig{{Name: "SENT", Hidden: !anySent}})
	for _, v := range list {
		kind, lag := v.Type+"/"+v.Format, "-"
		if !v.Configured {
			kind = "left"
		}
		if !v.OldestPending.IsZero() {
			lag = age(seconds(v.LagSeconds))
		}
		t.AppendRow([]any{v.Name, kind, string(v.State), v.Entered, v.Delivered, v.Sent, v.Filtered, v.Dead, v.Dropped, v.Unreadable, v.Pending, lag})
	}
	printTable(out, t)
}
