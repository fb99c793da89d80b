package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/when"
)

func newReplay(std streams, open opener) *cobra.Command {
	r := &replaying{operator: operator{std: std, open: open}}
	r.since.now, r.until.now = wallClock, wallClock
	cmd := r.command(&cobra.Command{
		Use:   "replay --output NAME (--since TIME [--until TIME] [--overwrite] [--wait] | --wait | --cancel)",
		Short: "Normalise the events of a time again and deliver them to an output again",
		Long: `Enters the events that were accepted in a time again at one output: each is
normalised again from its raw body, with the mapping of now, and delivered again
with the same event.id. It goes as far back as the spool still has events
(spool.retention), and not beyond what the output has come to yet.

An Elasticsearch output has one document for each event.id in an index: a replay
fills gaps and leaves the documents that are there alone, but events from before a
rollover of the data stream would be there twice. --overwrite finds and rewrites
them all, so that a mended mapping shows in the history; it needs more privileges, which
"siemrelay setup elasticsearch --help" names.

There is one replay for an output at a time. The running siemrelay does it; a stopped
one begins it when it runs again. --wait waits until it is done and shows how far it
has come; without --since it waits for the one that is under way. --cancel drops what
is left of one, after asking.

  siemrelay replay --output kibana --since 2026-06-19 --until 2026-06-20 --dry-run
  siemrelay replay --output kibana --since 24h --wait
  siemrelay replay --output kibana --since 7d --overwrite
  siemrelay replay --output kibana --wait
  siemrelay replay --output kibana --cancel

A TIME is ` + when.Form + `.`,
	}, r.run)
	f := cmd.Flags()
	f.StringVar(&r.output, "output", "", "`NAME` of the output")
	f.Var(&r.since, "since", "from this `TIME` on")
	f.Var(&r.until, "until", "before this `TIME` (default: now)")
	f.BoolVar(&r.overwrite, "overwrite", false, "rewrite what the receiver has of the events")
	f.BoolVar(&r.cancel, "cancel", false, "drop what is left of a replay")
	f.BoolVar(&r.wait, "wait", false, "wait until it is done, with progress on a terminal")
	r.dryRunFlag(cmd)
	r.yesFlag(cmd)
	return cmd
}

type replaying struct {
	operator
	output       string
	since, until whenFlag
	cancel, wait bool
	overwrite    bool
}

func (r *replaying) check() error {
	given := !r.since.at.IsZero() || !r.until.at.IsZero()
	switch {
	case r.output == "":
		return admin.Errorf(admin.Invalid, "--output is missing: the name of the output to deliver to again")
	case r.cancel && (given || r.wait || r.overwrite):
		return admin.Errorf(admin.Invalid, "--cancel goes with --output only")
	case !r.cancel && !r.joins() && r.since.at.IsZero():
		return admin.Errorf(admin.Invalid, "--since is missing: from when on to deliver again")
	case r.wait && r.dryRun:
		return admin.Errorf(admin.Invalid, "--wait and --dry-run don't go together")
	}
	return nil
}

// joins tells whether the replay that is under way is to be waited for.
func (r *replaying) joins() bool {
	return r.wait && r.since.at.IsZero() && r.until.at.IsZero() && !r.overwrite
}

func (r *replaying) run(ctx context.Context, d *desk, _ []string) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.cancel {
		return r.stop(ctx, d)
	}
	if r.wait && !d.running {
		return errors.New("--wait: siemrelay is not running, nothing would be delivered")
	}
	if r.joins() {
		return r.join(ctx, d)
	}
	result, err := d.Replay(ctx, admin.ReplayRequest{Output: r.output, Since: r.since.at, Until: r.until.at, Overwrite: r.overwrite, DryRun: r.dryRun})
	if err != nil {
		return err
	}
	if err := r.say(result, func(out *os.File) {
		fmt.Fprintln(out, replaySentence(result, d.running))
		if d.running && !r.wait && !r.dryRun && result.Entries > 0 && isTerminal(out) {
			fmt.Fprintf(out, "To see how far it is: siemrelay replay --output %s --wait\n", r.output)
		}
	}); err != nil {
		return err
	}
	if r.wait && result.Entries > 0 {
		return r.follow(ctx, d, result.Entries)
	}
	return nil
}

func replaySentence(r admin.ReplayResult, running bool) string {
	events, are := fmt.Sprintf("%d events, the first of %s,", r.Entries, stamp(r.First)), "are"
	if r.Entries == 1 {
		events, are = fmt.Sprintf("1 event, of %s,", stamp(r.First)), "is"
	}
	switch {
	case r.Entries == 0:
		return fmt.Sprintf("The spool has no events of that time that output %s has come to.", r.Output)
	case r.DryRun:
		return fmt.Sprintf("%s would be delivered to %s again; nothing was done.", events, r.Output)
	case !running:
		return fmt.Sprintf("%s will be delivered to %s again when siemrelay runs.", events, r.Output)
	default:
		return fmt.Sprintf("%s %s being delivered to %s again.", events, are, r.Output)
	}
}

func (r *replaying) stop(ctx context.Context, d *desk) error {
	return giveUp(&r.operator, giving[admin.CancelResult]{
		do: func(dryRun bool) (admin.CancelResult, error) {
			return d.CancelReplay(ctx, admin.OutputRequest{Output: r.output, DryRun: dryRun})
		},
		nothing: func(c admin.CancelResult) bool { return c.Dropped == 0 },
		settled: func(c *admin.CancelResult) { c.DryRun = false },
		would: func(c admin.CancelResult) string {
			if c.Dropped == 0 {
				return fmt.Sprintf("There is nothing to drop of a replay to %s%s.", c.Output, inHand(c))
			}
			return fmt.Sprintf("%s of the replay to %s would be dropped%s.", count(c.Dropped, "event"), c.Output, inHand(c))
		},
		did: func(c admin.CancelResult) string {
			return fmt.Sprintf("%s of the replay to %s dropped%s.", count(c.Dropped, "event"), c.Output, inHand(c))
		},
	})
}

// followEvery is how often the progress is asked for.
const followEvery = 500 * time.Millisecond

// join waits for a replay that was begun before.
func (r *replaying) join(ctx context.Context, d *desk) error {
	left, err := r.left(ctx, d)
	if err != nil {
		return err
	}
	if err := r.say(admin.ReplayResult{Output: r.output, Entries: left}, func(out *os.File) {
		if left == 0 {
			fmt.Fprintf(out, "No replay to %s is under way.\n", r.output)
		}
	}); err != nil || left == 0 {
		return err
	}
	return r.follow(ctx, d, left)
}

// left is how many events of the replay are not settled.
func (r *replaying) left(ctx context.Context, d *desk) (uint64, error) {
	s, err := d.Status(ctx)
	if err != nil {
		return 0, err
	}
	var known []string
	for _, o := range s.Outputs {
		if o.Name == r.output {
			return o.Replaying, nil
		}
		known = append(known, o.Name)
	}
	return 0, admin.Errorf(admin.NotFound, "there is no output %q; there are: %s", r.output, cmp.Or(strings.Join(known, ", "), "none"))
}

// follow waits until the replay is settled. That ctx ends does not end the replay.
func (r *replaying) follow(ctx context.Context, d *desk, entries uint64) error {
	show := isTerminal(r.std.err)
	for {
		left, err := r.left(ctx, d)
		if err != nil {
			return fmt.Errorf("follow the replay, which goes on: %w", err)
		}
		if show {
			fmt.Fprintf(r.std.err, "\r\x1b[K%s", progress(entries-min(left, entries), entries))
		}
		if left == 0 {
			if show {
				fmt.Fprintln(r.std.err)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("follow the replay, which goes on: %w", ctx.Err())
		case <-time.After(followEvery):
		}
	}
}

// progress is a bar with numbers: [#####.....] 500 of 1000.
func progress(done, all uint64) string {
	const width = 30
	filled := int(done * width / max(all, 1))
	bar := make([]byte, width)
	for i := range bar {
		bar[i] = '.'
		if i < filled {
			bar[i] = '#'
		}
	}
	return fmt.Sprintf("[%s] %d of %d", bar, done, all)
}

// inHand tells what a cancelled replay leaves.
func inHand(c admin.CancelResult) string {
	if c.InHand == 0 {
		return ""
	}
	return fmt.Sprintf("; %s in the output's hands, which goes on trying; to drop those too, cancel while siemrelay is stopped", count(c.InHand, "event"))
}
