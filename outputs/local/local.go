package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fastjson"

	"github.com/siemrelay/siemrelay/internal/sqlitefile"
	"github.com/siemrelay/siemrelay/outputs"
)

// Options are what an output needs besides its settings.
type Options struct {
	// Name is the output's, for messages.
	Name   string
	Logger *slog.Logger
	// Now is the wall clock, time.Now if nil.
	Now func() time.Time
	// Upkeep is how often old events are looked for while none come; an hour if 0.
	Upkeep time.Duration
}

// Output writes events to the database.
type Output struct {
	c     Config
	o     Options
	codec *codec

	mu     sync.Mutex
	db     *database // nil until it is needed, and after it was lost
	parser fastjson.Parser
	docs   []Facts
	packed []byte

	stop    chan struct{}  // closed by Close
	running sync.WaitGroup // upkeep, which Close waits for
}

// New makes an output for c, whose Path is not empty. It touches no file.
func New(c Config, o Options) (*Output, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Upkeep == 0 {
		o.Upkeep = time.Hour
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, fmt.Errorf("find the local store: %w", err)
	}
	c.Path = path
	packer, err := newCodec()
	if err != nil {
		return nil, err
	}
	out := &Output{c: c, o: o, codec: packer, stop: make(chan struct{})}
	out.running.Go(out.upkeep)
	return out, nil
}

// Send implements outputs.Output. A document that is no JSON object is refused.
func (o *Output) Send(ctx context.Context, batch []outputs.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	results, refused := o.parse(batch)
	err := o.write(func(d *database) error { return o.store(ctx, d, batch, results) })
	switch {
	case err != nil:
		return explain(err)
	case refused:
		return &outputs.Partial{Results: results}
	}
	return nil
}

// parse reads the documents of a batch into o.docs.
func (o *Output) parse(batch []outputs.Message) (results []outputs.Result, refused bool) {
	results = make([]outputs.Result, len(batch))
	if cap(o.docs) < len(batch) {
		o.docs = make([]Facts, len(batch))
	}
	o.docs = o.docs[:len(batch)]
	for i, m := range batch {
		o.docs[i] = Facts{Kind: m.Kind, Company: m.Company}
		if err := parse(&o.parser, m.Body, &o.docs[i]); err != nil {
			results[i] = outputs.Result{Status: outputs.Refused, Err: fmt.Errorf("store event %s: %w", m.ID, err)}
			refused = true
		}
	}
	return results, refused
}

// write runs f on the database, which is opened if need be. One that turns out to be
// damaged is moved aside, and f runs on a new one.
func (o *Output) write(f func(*database) error) error {
	err := o.try(f)
	if !errors.Is(err, sqlitefile.ErrDamaged) {
		return err
	}
	if err := o.setAside(err); err != nil {
		return err
	}
	return o.try(f)
}

func (o *Output) try(f func(*database) error) error {
	if o.db != nil && (o.db.replaced() || sqlitefile.Suspected(o.c.Path)) {
		if err := o.closeDatabase(); err != nil {
			o.o.Logger.Warn("the local store was not closed well", "file", o.c.Path, "error", err)
		}
	}
	if o.db == nil {
		d, err := openDatabase(o.c.Path)
		if err != nil {
			return err
		}
		o.db = d
	}
	return f(o.db)
}

func (o *Output) closeDatabase() error {
	d := o.db
	o.db = nil
	if d == nil {
		return nil
	}
	return d.close()
}

// setAside moves the damaged database aside and says how to fill the new one.
func (o *Output) setAside(damage error) error {
	if err := o.closeDatabase(); err != nil {
		o.o.Logger.Warn("the damaged local store was not closed well", "file", o.c.Path, "error", err)
	}
	aside, err := sqlitefile.MoveAside(o.c.Path)
	if err != nil {
		return errors.Join(damage, err)
	}
	sqlitefile.Trust(o.c.Path)
	o.o.Logger.Error("the local store is damaged; it is kept aside and a new one is begun. No event is lost for other outputs. "+
		"To fill the new one with what the spool still has, run the command",
		"file", o.c.Path, "aside", aside, "error", damage, "command", o.rebuild())
	return nil
}

// rebuild is the command that fills a new database.
func (o *Output) rebuild() string {
	since := "2000-01-01"
	if o.c.Retention > 0 {
		since = o.o.Now().Add(-o.c.Retention).UTC().Format(time.DateOnly)
	}
	return fmt.Sprintf("siemrelay replay --output %s --since %s", o.o.Name, since)
}

// store writes a batch in one transaction, which is durable when it returns nil.
func (o *Output) store(ctx context.Context, d *database, batch []outputs.Message, results []outputs.Result) error {
	before, offset := d.last, d.offset
	err := sqlitefile.Transact(d.db, func(tx *sql.Tx) error {
		w := o.begin(d, tx)
		if err := o.prune(w, pruneLeast+2*len(batch)); err != nil {
			return fmt.Errorf("delete old events: %w", err)
		}
		for i := range batch {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("store events: %w", err)
			}
			if results[i].Status == outputs.Refused {
				continue
			}
			if err := w.message(&batch[i], &o.docs[i]); err != nil {
				return fmt.Errorf("store event %s: %w", batch[i].ID, err)
			}
		}
		if err := w.flush(); err != nil {
			return fmt.Errorf("store events: %w", err)
		}
		o.packed = w.packed
		return nil
	})
	if err != nil {
		d.last, d.offset = before, offset
	}
	return err
}

// Close ends the upkeep and closes the database.
func (o *Output) Close() error {
	close(o.stop)
	o.running.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.closeDatabase()
	o.codec.close()
	return err
}

// explain says of an error what it means for the events: that a person has to mend
// something, or that it is not their fault.
func explain(err error) error {
	var hint string
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		hint = fmt.Sprintf("let user id %d, as which siemrelay runs, read and write the file and its folder", os.Geteuid())
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ELOOP):
		hint = "name a file that can be made as the output's path"
	case errors.Is(err, sqlitefile.ErrVersion):
		hint = "run the newer siemrelay again, or name another path"
	default:
		return &outputs.Transient{Err: err}
	}
	return &outputs.NotReady{Err: fmt.Errorf("%w: %s", err, hint)}
}
