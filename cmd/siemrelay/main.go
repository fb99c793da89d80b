// Command siemrelay receives Defense.com's webhooks, keeps each one safely,
// turns it into an ECS document or a CEF line, and delivers it.
//
// This is the one place that knows every package. Each command is a file of its
// own; process.go puts the parts of a running relay together.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/config"
)

// version is set by the build: -ldflags "-X main.version=1.2.3".
var version = "0.0.0-dev"

// streams are the process's standard files.
type streams struct {
	in       io.Reader
	out, err *os.File
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks to stop; a second one must work as if nobody listened.
	go func() {
		<-ctx.Done()
		stop()
	}()
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, std streams) int {
	root := newRoot(std)
	root.SetArgs(args)
	// A flag is read by the last command that is known: after a mistyped one the
	// mistake is not the flag.
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		found, rest, _ := root.Find(args)
		if found == cmd && cmd.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
			return usageArgs(commandsOnly)(cmd, rest[:1])
		}
		return usageError(cmd, err)
	})
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var mistakes *config.Errors
	if errors.As(err, &mistakes) {
		fmt.Fprintln(std.err, mistakes) // each line begins with the place in the file
	} else {
		fmt.Fprintf(std.err, "siemrelay: %v\n", err)
	}
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return exitFailure
}

func newRoot(std streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "siemrelay",
		Short: "A SIEM feed for Defense.com: webhooks in, ECS documents and CEF lines out, nothing lost",
		Long: `siemrelay receives the webhooks that Defense.com sends about threats and support
tickets, keeps each one on disk before it answers, turns it into an ECS document
or a CEF line, and delivers it in batches.

Try it:         siemrelay demo
Check a file:   siemrelay validate -c siemrelay.yaml
Run it:         siemrelay serve -c siemrelay.yaml

The configuration is the file of -c, else of $SIEMRELAY_CONFIG, else
./siemrelay.yaml, else /etc/siemrelay/siemrelay.yaml.

Exit codes: 0 done, 1 failure, 64 wrong usage, 69 something is unavailable,
78 wrong configuration.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usageArgs(commandsOnly),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.AddCommand(
		newServe(std), newDemo(std), newValidate(std), newConvert(std),
		newSend(std), newSetup(std), newHealth(), newVersion(std),
	)
	root.AddCommand(operating(std, openDesk(std))...)
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" { // by itself it takes an unknown shell for a call for help
			cmd.Args, cmd.RunE = usageArgs(commandsOnly), func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}

// commandsOnly are the arguments of a command that only has others below it: an
// argument is a mistyped name of one.
func commandsOnly(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	help := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		help = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q for %q%s", args[0], cmd.CommandPath(), help)
}

func usageError(cmd *cobra.Command, err error) error {
	return &exitError{exitUsage, fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())}
}

// usageArgs makes a mistake in the arguments a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError(cmd, err)
		}
		return nil
	}
}
