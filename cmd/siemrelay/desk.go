package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/operations"
	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/normalize"
)

const (
	// deskPatience is how long a command waits for a process that is starting or
	// stopping, or for another command.
	deskPatience = 5 * time.Second
	deskPoll     = 100 * time.Millisecond
	// askTimeout bounds the question whether a process answers.
	askTimeout = 5 * time.Second
)

// deskOptions are what a desk needs besides configuration and stores.
type deskOptions struct {
	mapping *normalize.Mapping
	log     *slog.Logger
	live    *operations.Live        // nil for the files of a stopped process
	relays  map[string]*relay.Relay // by output, empty where nothing runs
}

// newDesk makes the desk over the stores.
func newDesk(cfg *config.Config, s *stores, o deskOptions) (*operations.Desk, error) {
	in := newInlet(s.spool, o.mapping, nil) // what a person accepts is no sign of life of a feed
	options := operations.Options{
		Version: version, Dir: absolute(cfg.Spool.Dir), MaxSize: int64(cfg.Spool.MaxSize),
		Spool: s.spool, Letters: s.letters, Rejects: s.rejects, Ages: s.ages,
		Mapping: o.mapping, Live: o.live, Log: o.log,
		Append: func(body []byte) (operations.Receipt, error) {
			r, err := in.appendAny(body)
			return operations.Receipt(r), err
		},
	}
	options.Store = s.events
	options.StoreOutput, _ = localStore(cfg)
	for _, c := range cfg.Outputs {
		out := operations.Output{Name: c.Name, Type: c.Type, Format: c.Format, Overwrites: overwrites(c)}
		var err error
		if out.Encode, err = newEncoder(c); err != nil {
			return nil, err
		}
		if c.When != "" {
			filter, err := relay.ParseFilter(c.When)
			if err != nil {
				return nil, err
			}
			out.Match = filter.Match
		}
		if r := o.relays[c.Name]; r != nil {
			out.Health = func() operations.Health { return health(r.Status()) }
		}
		options.Outputs = append(options.Outputs, out)
	}
	return operations.New(options), nil
}

func health(s relay.Status) operations.Health {
	return operations.Health{
		State: admin.State(s.State), Reason: s.Reason, Error: s.Error, Since: s.Since, LastSuccess: s.LastSuccess,
	}
}

// openDesk finds the desk for a command: that of the process that runs on the
// spool, over its admin API, else one on the files.
func openDesk(std streams) opener {
	return func(ctx context.Context, flag string) (*desk, error) {
		cfg, _, err := loadConfig(flag, configOptions())
		if err != nil {
			return nil, err
		}
		if cfg == nil {
			cfg = unconfigured()
		}
		return findDesk(ctx, cfg, slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: slog.LevelError})))
	}
}

func findDesk(ctx context.Context, cfg *config.Config, log *slog.Logger) (*desk, error) {
	dir := cfg.Spool.Dir
	_, err := os.Stat(filepath.Join(dir, "segments"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no spool in %s: siemrelay has not run with this configuration yet", absolute(dir))
	case errors.Is(err, fs.ErrPermission):
		return nil, notOurs(dir)
	case err != nil:
		return nil, fmt.Errorf("look for the spool: %w", err)
	}
	silent := errors.New("it has not written where it listens")
	for end := time.Now().Add(deskPatience); ; {
		d, err := askProcess(ctx, dir)
		if d != nil || err != nil && !errors.Is(err, admin.ErrNoAnswer) {
			return d, err
		}
		if err != nil {
			silent = err
		}
		d, err = openFiles(cfg, log)
		if !errors.Is(err, spool.ErrLocked) {
			return d, startFailure(err)
		}
		if time.Now().After(end) {
			return nil, &exitError{exitUnavailable, fmt.Errorf("siemrelay is running on %s, but can't be asked: %w", absolute(dir), silent)}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(deskPoll):
		}
	}
}

// askProcess returns the desk of the process that has written where it listens,
// nil if none has. The error is admin.ErrNoAnswer if it does not listen there.
func askProcess(ctx context.Context, dir string) (*desk, error) {
	access, err := admin.ReadAccess(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, notOurs(dir)
	case err != nil:
		return nil, err
	}
	client := admin.NewClient(access)
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err = client.Ping(ctx)
	if admin.CodeOf(err) == admin.Denied { // another process has the address now
		return nil, fmt.Errorf("%w at %s: %w", admin.ErrNoAnswer, access.Address, err)
	}
	if err != nil {
		return nil, err
	}
	return &desk{Operations: client, Explorer: client, running: true, close: func() error { return nil }}, nil
}

// openFiles returns a desk on the files of a stopped process. The error is
// spool.ErrLocked while somebody has them open.
func openFiles(cfg *config.Config, log *slog.Logger) (*desk, error) {
	if err := checkOwner(cfg.Spool.Dir, os.Geteuid()); err != nil {
		return nil, err
	}
	mapping, err := loadMapping(cfg)
	if err != nil {
		return nil, err
	}
	s, err := openStores(cfg, storeOptions{log: log, registry: prometheus.NewRegistry(), offline: true})
	if errors.Is(err, fs.ErrPermission) {
		return nil, notOurs(cfg.Spool.Dir)
	}
	if err != nil {
		return nil, err
	}
	d, err := newDesk(cfg, s, deskOptions{mapping: mapping, log: slog.New(slog.DiscardHandler)}) // the command tells what it did
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return &desk{Operations: d, Explorer: d, close: s.close}, nil
}

// checkOwner refuses that root works on another user's files: what it makes there,
// even to read, would keep the service from starting.
func checkOwner(dir string, uid int) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the spool: %w", err)
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	if uid != 0 || owner == 0 {
		return nil
	}
	return fmt.Errorf("siemrelay is not running, and files that root makes in %s would keep it from starting; run: %s",
		absolute(dir), asUser(owner, os.Args))
}

// notOurs is the error for a folder that this user may not use.
func notOurs(dir string) error {
	// The folder may be inside one that can't be entered either.
	for at := absolute(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err == nil || at == filepath.Dir(at) {
			owner := 0
			if err == nil {
				owner = int(info.Sys().(*syscall.Stat_t).Uid)
			}
			return fmt.Errorf("open %s: permission denied; run it as the user of the service: %s", absolute(dir), asUser(owner, os.Args))
		}
	}
}

// asUser is the command line that runs args as a user.
func asUser(uid int, args []string) string {
	name := "'#" + strconv.Itoa(uid) + "'"
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		name = u.Username
	}
	words := []string{"sudo", "-u", name}
	for _, arg := range args {
		words = append(words, shellWord(arg))
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
