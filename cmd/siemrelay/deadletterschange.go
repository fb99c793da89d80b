package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/admin"
)

const selectHelp = `Choose them by id, by filters (all of an output that match every one given), or
with --all.`

func newLettersReplay(std streams, open opener) *cobra.Command {
	o := &operator{std: std, open: open}
	var chosen selecting
	cmd := o.command(&cobra.Command{
		Use:   "replay (ID… | --output NAME … | --all)",
		Short: "Send dead letters again, after the cause was mended",
		Long: `Sets dead letters back to pending. Each is normalised again from its raw body, with
the mapping of now, and sent again; if it is refused once more it is a dead letter
as before. A stopped siemrelay sends them when it runs again.

` + selectHelp + `

  siemrelay deadletters replay 7 8
  siemrelay deadletters replay --output kibana --reason refused --dry-run`,
		Args: cobra.ArbitraryArgs,
	}, func(ctx context.Context, d *desk, args []string) error {
		s, err := chosen.selection(args)
		if err != nil {
			return err
		}
		r, err := d.ReplayDeadLetters(ctx, admin.LetterAction{Selection: s, DryRun: o.dryRun})
		if err != nil {
			return err
		}
		verb := "pending again and will be sent"
		switch {
		case o.dryRun:
			verb = "would be sent again; nothing was done"
		case !d.running && r.Letters > 0:
			verb = "pending again and will be sent when siemrelay runs"
		}
		return errors.Join(o.say(r, func(out *os.File) { fmt.Fprintln(out, lettersSentence(r, verb)) }), missingLetters(r))
	})
	chosen.flags(cmd)
	cmd.Flags().BoolVar(&chosen.s.All, "all", false, "all dead letters of all outputs")
	o.dryRunFlag(cmd)
	return cmd
}

func newLettersDrop(std streams, open opener) *cobra.Command {
	o := &operator{std: std, open: open}
	var chosen selecting
	cmd := o.command(&cobra.Command{
		Use:   "drop (ID… | --output NAME … | --all)",
		Short: "Give dead letters up: they are deleted and count as dropped",
		Long: `Deletes dead letters with their bodies; they count as dropped from then on. It says
what it would delete and asks first; --yes does not ask. Without a terminal and
without --yes it deletes nothing and exits 1.

` + selectHelp + `

  siemrelay deadletters drop 7
  siemrelay deadletters drop --output kibana --until 30d --dry-run`,
		Args: cobra.ArbitraryArgs,
	}, func(ctx context.Context, d *desk, args []string) error {
		s, err := chosen.selection(args)
		if err != nil {
			return err
		}
		var missing error
		return errors.Join(giveUp(o, giving[admin.LetterResult]{
			do: func(dryRun bool) (admin.LetterResult, error) {
				r, err := d.DropDeadLetters(ctx, admin.LetterAction{Selection: s, DryRun: dryRun})
				missing = missingLetters(r)
				return r, err
			},
			nothing: func(r admin.LetterResult) bool { return r.Letters == 0 },
			settled: func(r *admin.LetterResult) { r.DryRun = false },
			would: func(r admin.LetterResult) string {
				return lettersSentence(r, "would be deleted.")
			},
			did: func(r admin.LetterResult) string { return lettersSentence(r, "deleted") },
		}), missing)
	})
	chosen.flags(cmd)
	cmd.Flags().BoolVar(&chosen.s.All, "all", false, "all dead letters of all outputs")
	o.dryRunFlag(cmd)
	o.yesFlag(cmd)
	return cmd
}

func lettersSentence(r admin.LetterResult, verb string) string {
	if r.Letters == 0 {
		return "There are no such dead letters."
	}
	return fmt.Sprintf("%s (%s) %s", count(r.Letters, "dead letter"), size(r.Bytes), verb)
}

// missingLetters is the error for ids that were given and are no dead letters.
func missingLetters(r admin.LetterResult) error {
	if len(r.Missing) == 0 {
		return nil
	}
	var ids []string
	for _, id := range r.Missing {
		ids = append(ids, strconv.FormatInt(id, 10))
	}
	return fmt.Errorf("no dead letter has the id %s", strings.Join(ids, ", "))
}
