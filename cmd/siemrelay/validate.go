package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs"
)

// connectTimeout bounds the look at one output.
const connectTimeout = 10 * time.Second

func newValidate(std streams) *cobra.Command {
	var path string
	var connect bool
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check the configuration and tell every mistake at once",
		Long: `Reads the configuration, and the mapping files that it names, as serve would and
prints every mistake with file, line and column, what is wrong and what is allowed. Nothing is started or changed.
With --connect it also tries whether each output could be delivered to.

Exit codes: 0 all is well, 78 a mistake in the configuration, 69 an output can't
be delivered to.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return validate(cmd.Context(), path, connect, std) },
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&connect, "connect", false, "try each output too")
	return cmd
}

func validate(ctx context.Context, flag string, connect bool, std streams) error {
	cfg, path, err := loadConfig(flag, configOptions())
	if err != nil {
		return err
	}
	if cfg == nil {
		return &exitError{exitConfig, errNoConfig}
	}
	if _, err := loadMapping(cfg); err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintf(std.out, "%s (warning)\n", w)
	}
	outs, err := openOutputs(cfg, std.out)
	if err != nil {
		return &exitError{exitConfig, err}
	}
	defer func() {
		for _, o := range outs {
			o.Close()
		}
	}()
	for i, out := range outs {
		if w, ok := out.(interface{ Warnings() []string }); ok {
			for _, text := range w.Warnings() {
				fmt.Fprintf(std.out, "output %s: %s (warning)\n", cfg.Outputs[i].Name, text)
			}
		}
	}
	fmt.Fprintf(std.out, "%s: the configuration is good, %s\n", path, count(len(outs), "output"))
	if !connect {
		return nil
	}
	var failed []error
	for i, out := range outs {
		name := cfg.Outputs[i].Name
		facts, warnings, err := check(ctx, out)
		for _, fact := range facts {
			fmt.Fprintf(std.out, "output %s: %s\n", name, fact)
		}
		for _, w := range warnings {
			fmt.Fprintf(std.out, "output %s: %s (warning)\n", name, w)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("output %s: %w", name, err))
			continue
		}
		if outputs.IsUnconfirmed(out) {
			fmt.Fprintf(std.out, "output %s: events can be sent to it, and nothing can tell whether anybody receives them\n", name)
			continue
		}
		fmt.Fprintf(std.out, "output %s: can be delivered to\n", name)
	}
	if len(failed) > 0 {
		return &exitError{exitUnavailable, errors.Join(failed...)}
	}
	return nil
}

func openOutputs(cfg *config.Config, stdout io.Writer) ([]outputs.Output, error) {
	var outs []outputs.Output
	for _, c := range cfg.Outputs {
		out, err := openOutput(c, outputOptions{stdout: stdout, log: slog.New(slog.DiscardHandler), dataDir: cfg.Spool.Dir, companies: cfg.Companies})
		if err != nil {
			return outs, err
		}
		outs = append(outs, out)
	}
	return outs, nil
}

// check looks at one output, and tells what the output itself has to tell.
func check(ctx context.Context, out outputs.Output) (facts, warnings []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	switch o := out.(type) {
	case outputs.Inspector:
		return o.Inspect(ctx)
	case outputs.Checker:
		return nil, nil, o.Check(ctx)
	}
	return nil, nil, nil
}
