package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// operating are the commands that see and mend.
func operating(std streams, open opener) []*cobra.Command {
	return []*cobra.Command{
		newStatus(std, open), newDeadLetters(std, open), newRejected(std, open), newReplay(std, open), newOutputs(std, open),
		newSearch(std, open), newShow(std, open), newTail(std, open),
	}
}

// desk is what the commands that see and mend work on.
type desk struct {
	admin.Operations
	admin.Explorer
	running bool // in a process that delivers; if not, on the files of a stopped one
	close   func() error
}

// opener finds the desk for the configuration file of -c.
type opener func(ctx context.Context, configFlag string) (*desk, error)

// operator is what these commands have in common.
type operator struct {
	std    streams
	open   opener
	config string
	format string
	yes    bool
	dryRun bool
}

// command completes cmd: with the flags of all these commands, and to run on a desk.
func (o *operator) command(cmd *cobra.Command, run func(ctx context.Context, d *desk, args []string) error) *cobra.Command {
	configFlag(cmd, &o.config)
	cmd.Flags().StringVarP(&o.format, "format", "o", "text", "`FORMAT` of what is printed: text or json")
	if cmd.Args == nil {
		cmd.Args = cobra.NoArgs
	}
	cmd.Args = usageArgs(cmd.Args)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.format != "text" && o.format != "json" {
			return usageError(cmd, fmt.Errorf("-o %q: it must be text or json", o.format))
		}
		d, err := o.open(cmd.Context(), o.config)
		if err != nil {
			return err
		}
		err = explain(cmd, run(cmd.Context(), d, args))
		if closeErr := d.close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close the spool's files: %w", closeErr)
		}
		return err
	}
	return cmd
}

func (o *operator) dryRunFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what it would do, and do nothing")
}

func (o *operator) yesFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "don't ask")
}

// explain gives an error the exit code that belongs to it.
func explain(cmd *cobra.Command, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, admin.ErrNoAnswer):
		return &exitError{exitUnavailable, err}
	case admin.CodeOf(err) == admin.Invalid:
		return usageError(cmd, err)
	}
	return err
}

// say prints an answer: v as JSON, or what text writes.
func (o *operator) say(v any, text func(out *os.File)) error {
	if o.format == "json" {
		return printJSON(o.std.out, v)
	}
	text(o.std.out)
	return nil
}

// errNotAsked ends a command that would have given something up and could ask
// nobody.
var errNotAsked = errors.New("nothing was done, because there is no terminal to ask at: add --yes to do it")

// confirmed tells whether a person wants what is said to be given up: with --yes,
// or the answer at the terminal. It returns errNotAsked if there is none.
func (o *operator) confirmed(what string) (bool, error) {
	if o.yes {
		return true, nil
	}
	in, ok := o.std.in.(*os.File)
	if !ok || !isTerminal(in) || !isTerminal(o.std.err) {
		return false, errNotAsked
	}
	fmt.Fprintf(o.std.err, "%s This can't be undone. Go on? [y/N] ", what)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	}
	fmt.Fprintln(o.std.err, "Nothing was done.")
	return false, nil
}

// giveUp does what can't be undone: do is called to learn what it would do, which
// would says; then, if a person wants it, to do it, which did says. nothing tells
// whether there is anything to do at all; if not, settled makes the plan, which no
// one asked for, what was done.
func giveUp[T any](o *operator, act giving[T]) error {
	planned, err := act.do(true)
	if err != nil {
		return err
	}
	nothing := act.nothing(planned)
	if nothing && !o.dryRun {
		act.settled(&planned)
	}
	if o.dryRun || nothing {
		return o.say(planned, func(out *os.File) { fmt.Fprintln(out, act.would(planned)) })
	}
	ok, err := o.confirmed(act.would(planned))
	if err != nil {
		return errors.Join(o.say(planned, func(out *os.File) { fmt.Fprintln(out, act.would(planned)) }), err)
	}
	if !ok {
		return nil
	}
	done, err := act.do(false)
	if err != nil {
		return err
	}
	return o.say(done, func(out *os.File) { fmt.Fprintln(out, act.did(done)) })
}

// giving is something that gives something up.
type giving[T any] struct {
	do         func(dryRun bool) (T, error)
	nothing    func(T) bool
	settled    func(*T)
	would, did func(T) string
}

func wallClock() time.Time { return time.Now().UTC() }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
