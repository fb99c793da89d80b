package local

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/valyala/fastjson"
)

// Event is a stored event.
type Event struct {
	// Number orders the events: see the package comment.
	Number uint64
	// Sequence is the spool's number.
	Sequence uint64
	ID, Key  string
	Accepted time.Time
	Trigger  string
	Facts
	// Document is the ECS document as it was stored.
	Document []byte
	// Damaged: the row can't be read; only Number, Sequence, ID and Accepted are known.
	Damaged bool
}

// Page says which part of the events is wanted.
type Page struct {
	Company string // a company_id, besides what the query says; empty is any
	Limit   int    // at least 1
	// Before asks for numbers below it, 0 for all; After for numbers above it, with
	// the oldest first, if it is not 0.
	Before, After uint64
}

// Events returns the events that match q, the newest first, and whether there are more.
func (r *Reader) Events(ctx context.Context, q Query, p Page) (events []Event, more bool, err error) {
	err = r.view(ctx, func(v *view) error {
		events, err = v.events(q, p)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("search events: %w", err)
	}
	if len(events) > p.Limit {
		return events[:p.Limit], true, nil
	}
	return events, false, nil
}

// events returns one more than the page has, if there are more.
func (v *view) events(q Query, p Page) ([]Event, error) {
	from, err := v.number("events", "accepted", q.Since)
	if err != nil {
		return nil, err
	}
	to := int64(maxNumber)
	if !q.Until.IsZero() {
		if to, err = v.number("events", "accepted", q.Until); err != nil {
			return nil, err
		}
	}
	if p.Before > 0 {
		to = min(to, clampNumber(p.Before))
	}
	order := "DESC"
	if p.After > 0 {
		from, order = max(from, clampNumber(p.After)+1), "ASC"
	}
	var more []string
	if p.Company != "" {
		more = []string{inFacets(facet(facetCompany, p.Company))}
	}
	query := `SELECT n, sequence, id, accepted, packed FROM events WHERE n >= ? AND n < ? ORDER BY n ` + order + ` LIMIT ?`
	args := []any{from, to, p.Limit + 1}
	if match := q.match(more...); match != "" {
		query = `SELECT n, sequence, id, accepted, packed FROM
			(SELECT rowid AS n FROM events_text WHERE events_text MATCH ? AND rowid >= ? AND rowid < ? ORDER BY rowid ` + order + ` LIMIT ?)
			JOIN events USING (n) ORDER BY n ` + order
		args = append([]any{match}, args...)
	}
	return v.scanEvents(query, args)
}

func clampNumber(n uint64) int64 { return int64(min(n, maxNumber-1)) }

func (v *view) scanEvents(query string, args []any) (events []Event, err error) {
	var parser fastjson.Parser
	err = v.all(query, args, func(rows *sql.Rows) error {
		var n, sequence, accepted int64
		var id, packed []byte
		if err := rows.Scan(&n, &sequence, &id, &accepted, &packed); err != nil {
			return err
		}
		e := Event{Number: uint64(n), Sequence: uint64(sequence), ID: idText(id), Accepted: time.Unix(0, accepted).UTC()}
		if err := v.codec.event(&e, &parser, packed); err != nil {
			v.log.Warn("an event of the local store can't be read", "id", e.ID, "error", err)
			e.Damaged = true
		}
		events = append(events, e)
		return nil
	})
	return events, err
}

// event unpacks an event.
func (c *codec) event(e *Event, p *fastjson.Parser, packed []byte) error {
	b, err := c.unpack(packed)
	if err != nil {
		return err
	}
	var lines [4][]byte
	for i := range lines {
		var found bool
		if lines[i], b, found = bytes.Cut(b, []byte{'\n'}); !found {
			return fmt.Errorf("%w: an event has no document", ErrDamaged)
		}
	}
	e.ID, e.Key, e.Kind, e.Trigger, e.Document = string(lines[0]), string(lines[1]), string(lines[2]), string(lines[3]), b
	return parse(p, b, &e.Facts)
}

// Event returns the event of an event.id; ErrNotFound if it isn't there.
func (r *Reader) Event(ctx context.Context, id string) (e Event, err error) {
	err = r.view(ctx, func(v *view) error {
		token, _ := eventFacet(id)
		var n int64
		err := v.row(`SELECT rowid FROM events_text WHERE events_text MATCH ? LIMIT 1`, inFacets(token)).Scan(&n)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		events, err := v.scanEvents(`SELECT n, sequence, id, accepted, packed FROM events WHERE n = ?`, []any{n})
		if len(events) == 1 {
			e = events[0]
		}
		return err
	})
	if err == nil && e.Number == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return e, fmt.Errorf("read event %s: %w", cut(id, 64), err)
	}
	return e, nil
}

// Current tells whether the number of an event is of the spool that fills the database
// now, so that its Sequence is one of that spool's.
func (r *Reader) Current(ctx context.Context, e Event) (current bool, err error) {
	err = r.view(ctx, func(v *view) error {
		offset := int64(0)
		err := v.row(`SELECT value FROM settings WHERE name = 'offset'`).Scan(&offset)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		current = int64(e.Number) == int64(e.Sequence)+offset
		return nil
	})
	return current, err
}

func idText(id []byte) string {
	if len(id) == 16 {
		return fmt.Sprintf("%x", id)
	}
	return string(id)
}
