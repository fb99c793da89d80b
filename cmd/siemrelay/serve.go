package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
)

func newServe(std streams) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Receive webhooks and deliver them until SIGTERM",
		Long: `Runs the relay: receives webhooks, keeps each one on disk before it answers, and
delivers to every output of the configuration.

With no configuration file at all it listens on this machine only, makes a
certificate and a password for itself under ./siemrelay-data, and keeps the events
there, to be looked at in the console, whose address it tells.

SIGTERM and SIGINT stop it: no new webhooks, what is in hand is finished, exit
code 0. A second signal ends it at once; nothing that was accepted is lost by
that either. Certificates and password files are read again when they change;
anything else in the configuration takes a restart.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), path, std) },
	}
	configFlag(cmd, &path)
	return cmd
}

func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", "", "configuration `FILE`")
}

func serve(ctx context.Context, flag string, std streams) error {
	// A file output may write to standard output: that nobody reads it is an
	// outage of that output, not the end of the process.
	signal.Ignore(syscall.SIGPIPE)
	tuneRuntime()
	o := configOptions()
	var log *slog.Logger // made once the configuration says how
	o.SecretRead = func(path string, err error) {
		switch {
		case log == nil:
		case err != nil:
			log.Error("could not read a secret file, its last value stays in use", "file", path, "error", err)
		default:
			log.Info("read a secret file again", "file", path)
		}
	}
	cfg, path, err := loadConfig(flag, o)
	if err != nil {
		return err
	}
	var first *firstStart
	if cfg == nil {
		if cfg, first, err = startWithoutConfig(o); err != nil {
			return err
		}
	}
	if _, err := loadMapping(cfg); err != nil { // before anything is made
		return err
	}
	log = newLogger(std.err, cfg.Log)
	for _, w := range cfg.Warnings {
		log.Warn("configuration", "file", w.File, "line", w.Line, "key", w.Key, "warning", w.Text)
	}
	log.Info("starting", "version", version, "config", path, "spool", cfg.Spool.Dir)
	p, err := start(cfg, log, std.out)
	if err != nil {
		return err
	}
	log.Info("receiving webhooks", "address", p.receiverAddr, "path", cfg.Receiver.Path, "tls", !cfg.Receiver.InsecureHTTP, "admin", p.adminAddr, "console", p.consoleURL(cfg))
	if first != nil {
		first.tell(std, p.receiverAddr, p.consoleURL(cfg))
	}
	return p.untilDone(ctx)
}

// tuneRuntime sets what Go's runtime can't know, unless the environment does. It
// gets one processor more than the machine, or its cgroup, has: under load one
// thread is nearly always in fdatasync, and the scheduler takes some time to notice
// that it could run another. And it collects garbage sooner than by default: there
// is little of it, and a peak of 67 MB under full load was 84 without. Where the
// cgroup has a limit of memory, garbage is collected harder from 90% of it on: better
// slow than killed.
func tuneRuntime() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if limit := memoryLimit(os.DirFS("/")); limit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit / 10 * 9)
	}
}

// untilDone waits for a signal, or for a server that can't go on, and stops.
func (p *process) untilDone(ctx context.Context) error {
	p.notify(daemon.SdNotifyReady)
	var failure error
	select {
	case <-ctx.Done():
		p.log.Info("stopping")
	case failure = <-p.failed:
		p.log.Error("stopping because a listener failed", "error", failure)
	}
	p.notify(daemon.SdNotifyStopping)
	if err := p.stopInTime(2 * grace); err != nil && failure == nil {
		failure = err
	}
	if failure != nil {
		return failure
	}
	p.log.Info("stopped")
	return nil
}

// notify tells systemd, if it started us.
func (p *process) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		p.log.Warn("could not notify systemd", "state", state, "error", err)
	}
}
