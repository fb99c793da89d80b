package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/internal/ledger"
	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/outputs/local"
)

// The files beside the spool's own under spool.dir.
const (
	lettersFile  = "deadletters.db"
	rejectedFile = "rejected.db"
)

// stores are all that lies under spool.dir.
type stores struct {
	spool   *spool.Spool
	letters *deadletter.Store
	rejects *deadletter.Rejects // nil if its file can't be used, which costs no webhook
	ages    *ledger.Ages
	events  *local.Reader // of the first local output; nil if the configuration has none
}

// storeOptions say who opens the stores.
type storeOptions struct {
	log      *slog.Logger
	registry prometheus.Registerer
	offline  bool // a command, while no process is running
}

// openStores opens what lies under cfg's spool.dir; the spool first, because its lock
// guards the others.
func openStores(cfg *config.Config, o storeOptions) (*stores, error) {
	s := &stores{}
	if err := s.open(cfg, o); err != nil {
		return nil, errors.Join(fullDisk(cfg.Spool.Dir, err), s.close())
	}
	return s, nil
}

// fullDisk says so beside an error of what lies in dir, if that is the reason: SQLite
// needs a little room to open a file, and has no word for why it found none.
func fullDisk(dir string, err error) error {
	var disk unix.Statfs_t
	if unix.Statfs(dir, &disk) != nil || disk.Bavail > 0 && (disk.Ffree > 0 || disk.Files == 0) {
		return err
	}
	return fmt.Errorf("%w; the disk of %s is full: free some room or inodes", err, dir)
}

func (s *stores) open(cfg *config.Config, o storeOptions) (err error) {
	s.spool, err = openSpool(spool.Options{
		Dir:          cfg.Spool.Dir,
		MaxSize:      int64(cfg.Spool.MaxSize),
		MinFree:      int64(cfg.Spool.MinFree),
		Retention:    cfg.Spool.Retention,
		RetryWindow:  cfg.Spool.RetryWindow,
		RetryEntries: cfg.Spool.RetryEntries,
		Offline:      o.offline,
		Log:          o.log,
		Registry:     o.registry,
	})
	if err != nil {
		return err
	}
	s.ages = ledger.NewAges(s.spool)
	s.letters, err = deadletter.Open(deadletter.Options{
		Path:     filepath.Join(cfg.Spool.Dir, lettersFile),
		MaxSize:  int64(cfg.DeadLetters.MaxSize),
		Log:      o.log,
		Registry: o.registry,
	})
	if err != nil {
		return err
	}
	for _, name := range s.spool.Cursors() {
		if err := s.begin(name); err != nil {
			return err
		}
	}
	if _, path := localStore(cfg); path != "" {
		if s.events, err = local.NewReader(local.ReaderOptions{Path: path, Logger: o.log}); err != nil {
			return err
		}
	}
	s.rejects, err = deadletter.OpenRejected(deadletter.RejectedOptions{
		Path:     filepath.Join(cfg.Spool.Dir, rejectedFile),
		Log:      o.log,
		Registry: o.registry,
	})
	if err != nil {
		o.log.Error("bodies that the receiver refuses can't be kept; it refuses them all the same", "error", err)
		s.rejects = nil
	}
	return nil
}

// lockPatience is how long a starting process waits for a command that works on the
// files; a second process has them for longer.
const lockPatience = 3 * time.Second

func openSpool(o spool.Options) (*spool.Spool, error) {
	for end := time.Now().Add(lockPatience); ; time.Sleep(50 * time.Millisecond) {
		s, err := spool.Open(o)
		if o.Offline || !errors.Is(err, spool.ErrLocked) || time.Now().After(end) {
			return s, err
		}
	}
}

// begin makes the dead letters of an output agree with its cursor.
func (s *stores) begin(output string) error {
	p, err := s.spool.Position(output)
	if err != nil {
		return err
	}
	return s.letters.Begin(output, deadletter.Position{Next: p.Next, Pass: p.Pass, ReplayNext: p.ReplayNext, Dead: p.Dead})
}

func (s *stores) close() error {
	var errs []error
	if s.rejects != nil {
		errs = append(errs, named("close the rejected bodies", s.rejects.Close()))
	}
	if s.events != nil {
		errs = append(errs, named("close the local store", s.events.Close()))
	}
	if s.letters != nil {
		errs = append(errs, named("close the dead letters", s.letters.Close()))
	}
	if s.spool != nil {
		errs = append(errs, named("close the spool", s.spool.Close()))
	}
	return errors.Join(errs...)
}
