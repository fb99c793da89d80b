package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// tailPoll is how often tail asks for what is new.
const tailPoll = 500 * time.Millisecond

// following is the command tail.
type following struct {
	*operator
	first int
	after uint64 // the sequence of the newest event that was printed
}

func newTail(std streams, open opener) *cobra.Command {
	f := &following{operator: &operator{std: std, open: open}}
	cmd := f.command(&cobra.Command{
		Use:   "tail [QUERY]",
		Short: "Print events as they come, until Ctrl-C",
		Long: `Prints the newest events of the local output and then each that comes, until Ctrl-C.
With a QUERY only what matches it; -o json prints one JSON object a line. siemrelay
must be running.

  siemrelay tail
  siemrelay tail 'risk:high,critical kind:threat'
  siemrelay tail -n 0 -o json | jq -r .title

` + queryHelp,
		Args: cobra.ArbitraryArgs,
	}, f.run)
	cmd.Flags().IntVarP(&f.first, "lines", "n", 10, "how many of the newest events to begin with")
	cmd.SetFlagErrorFunc(queryNoFlag)
	return cmd
}

func (f *following) run(ctx context.Context, d *desk, args []string) error {
	text := strings.Join(args, " ")
	if f.first < 0 || f.first > admin.MaxPage {
		return admin.Errorf(admin.Invalid, "-n %d: it must be 0 to %d", f.first, admin.MaxPage)
	}
	if !d.running {
		return &exitError{exitUnavailable, fmt.Errorf("siemrelay is not running: no event comes; siemrelay search lists what there is")}
	}
	err := f.follow(ctx, d, text)
	if errors.Is(ctx.Err(), context.Canceled) { // Ctrl-C, whatever it interrupted
		return nil
	}
	return err
}

// follow prints the newest events, and what comes, until ctx ends.
func (f *following) follow(ctx context.Context, d *desk, text string) error {
	page, err := d.Events(ctx, admin.EventQuery{Text: text, Limit: max(f.first, 1)})
	if err != nil {
		return err
	}
	slices.Reverse(page.Events)
	if err := f.print(page.Events, len(page.Events)-min(f.first, len(page.Events))); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(tailPoll):
		}
		if err := f.more(ctx, d, text); err != nil {
			return err
		}
	}
}

// more prints what has come since.
func (f *following) more(ctx context.Context, d *desk, text string) error {
	for {
		page, err := d.Events(ctx, admin.EventQuery{Text: text, Limit: admin.MaxPage, After: f.after})
		if err != nil {
			return err
		}
		if f.after == 0 { // there was no event at all: these are the newest first
			slices.Reverse(page.Events)
		}
		if err := f.print(page.Events, 0); err != nil || page.Next == 0 {
			return err
		}
	}
}

// print writes events, all but the first skipped ones.
func (f *following) print(events []admin.EventSummary, skipped int) error {
	var b bytes.Buffer
	for i, e := range events {
		f.after = max(f.after, e.Sequence)
		if i < skipped {
			continue
		}
		if f.format == "json" {
			line, err := json.Marshal(e)
			if err != nil {
				return fmt.Errorf("encode an event: %w", err)
			}
			b.Write(append(harmlessJSON(line), '\n'))
			continue
		}
		fmt.Fprintf(&b, "%s  %s  %-15s %-8s %-20s %-20s %s\n", stamp(e.Accepted), shortID(e.ID), printable(e.Code), dash(e.Risk),
			dash(clip(printable(e.State), 20)), clip(printable(companyOf(e.Company, e.Name)), 20), titleOf(e))
	}
	if _, err := f.std.out.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	return nil
}
