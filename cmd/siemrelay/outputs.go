package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/siemrelay/siemrelay/internal/admin"
)

func newOutputs(std streams, open opener) *cobra.Command {
	cmd := parent("outputs", "Give up the backlog of an output that left the configuration", `An output that leaves the configuration keeps its backlog, so that it can come back
and lose nothing; the spool can't let go of it. "siemrelay status" shows it. This
gives it up.`)
	cmd.AddCommand(newForget(std, open))
	return cmd
}

func newForget(std streams, open opener) *cobra.Command {
	o := &operator{std: std, open: open}
	cmd := o.command(&cobra.Command{
		Use:   "forget NAME",
		Short: "Give up the backlog of an output that left the configuration",
		Long: `Gives up everything that is kept for an output that is no longer in the
configuration: its pending events, its dead letters, its counts. It says how much
that is and asks first; --yes does not ask. Without a terminal and without --yes it
gives up nothing and exits 1.

  siemrelay outputs forget old-kibana --dry-run
  siemrelay outputs forget old-kibana --yes`,
		Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, d *desk, args []string) error {
		what := func(r admin.ForgetResult) string {
			return fmt.Sprintf("%s and %s of output %s", count(r.Pending, "pending event"), count(r.Dead, "dead letter"), printable(r.Output))
		}
		return giveUp(o, giving[admin.ForgetResult]{
			do: func(dryRun bool) (admin.ForgetResult, error) {
				return d.Forget(ctx, admin.OutputRequest{Output: args[0], DryRun: dryRun})
			},
			nothing: func(admin.ForgetResult) bool { return false }, // its place in the log is something
			settled: func(r *admin.ForgetResult) { r.DryRun = false },
			would:   func(r admin.ForgetResult) string { return what(r) + " would be given up." },
			did:     func(r admin.ForgetResult) string { return what(r) + " given up." },
		})
	})
	o.dryRunFlag(cmd)
	o.yesFlag(cmd)
	return cmd
}
