package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// RecordPage says which part of the records is wanted.
type RecordPage struct {
	Kind    string // threat or ticket; empty is any
	Company string // a company_id; empty is any
	// Severity puts the worst first, those alike by their last change; otherwise
	// the last change comes first.
	Severity bool
	Limit    int // at least 1
	// Cursor is what Records returned for the page before.
	Cursor string
	// Most is where the counting of matches ends.
	Most int
}

// Records returns the records that match q, where to go on ("" at the end), and how
// many match in all. The limits of q are about the last change.
func (r *Reader) Records(ctx context.Context, q Query, p RecordPage) (records []Record, next string, total int, err error) {
	at, err := parseCursor(p)
	if err != nil {
		return nil, "", 0, err
	}
	err = r.view(ctx, func(v *view) error {
		s, err := v.selection(q, p)
		if err != nil {
			return err
		}
		if total, err = s.count(p.Most); err != nil {
			return err
		}
		records, next, err = s.page(p, at)
		return err
	})
	if err != nil {
		return nil, "", 0, fmt.Errorf("search threats and tickets: %w", err)
	}
	return records, next, total, nil
}

// cursor is the last record of a page: its severity, unless the order is by change,
// and its number.
type cursor struct {
	severity int
	n        int64
}

func parseCursor(p RecordPage) (c cursor, err error) {
	c = cursor{severity: 1 << 30, n: maxNumber}
	if p.Cursor == "" {
		return c, nil
	}
	severity, n, found := strings.Cut(p.Cursor, ".")
	if c.severity, err = strconv.Atoi(severity); err == nil && found {
		c.n, err = strconv.ParseInt(n, 10, 64)
	}
	if err != nil || !found || c.n < 0 {
		return c, wrong("cursor %q is none: it must be next of the page before", cut(p.Cursor, 60))
	}
	return c, nil
}

func (c cursor) String() string { return fmt.Sprintf("%d.%d", c.severity, c.n) }

// selection is the records that a query asks for.
type selection struct {
	*view
	q        Query
	from, to int64    // of their numbers, [from, to)
	more     []string // further conditions for FTS5
}

func (v *view) selection(q Query, p RecordPage) (s selection, err error) {
	s = selection{view: v, q: q, to: maxNumber}
	if s.from, err = v.number("records", "updated", q.Since); err != nil {
		return s, err
	}
	if !q.Until.IsZero() {
		if s.to, err = v.number("records", "updated", q.Until); err != nil {
			return s, err
		}
	}
	if p.Kind != "" {
		s.more = append(s.more, inFacets(facet(facetKind, p.Kind)))
	}
	if p.Company != "" {
		s.more = append(s.more, inFacets(facet(facetCompany, p.Company)))
	}
	return s, nil
}

// numbers is the query for the numbers of the selection below to, and its parameters.
func (s selection) numbers(to int64, more ...string) (query string, args []any) {
	args = []any{s.from, min(s.to, to)}
	if match := s.q.match(append(s.more, more...)...); match != "" {
		return `SELECT rowid AS n FROM records_text WHERE records_text MATCH ? AND rowid >= ? AND rowid < ?`, append([]any{match}, args...)
	}
	return `SELECT n FROM records WHERE n >= ? AND n < ?`, args
}

func (s selection) count(most int) (total int, err error) {
	query, args := s.numbers(maxNumber)
	err = s.row(`SELECT COUNT(*) FROM (`+query+` LIMIT ?)`, append(args, most)...).Scan(&total)
	return total, err
}

// page returns a page of the selection, and where to go on.
func (s selection) page(p RecordPage, at cursor) (records []Record, next string, err error) {
	if p.Severity {
		records, err = s.bySeverity(p.Limit+1, &at)
	} else {
		records, err = s.take(p.Limit+1, &at)
	}
	if err != nil || len(records) <= p.Limit {
		return records, "", err
	}
	return records[:p.Limit], cursorOf(p, records[p.Limit-1]), nil
}

// cursorOf is the cursor of a record that was the last of its page.
func cursorOf(p RecordPage, r Record) string {
	c := cursor{n: r.number}
	if p.Severity {
		c.severity = r.Severity
	}
	return c.String()
}

// take returns at most n records below the cursor, the highest numbers first.
func (s selection) take(n int, at *cursor, more ...string) ([]Record, error) {
	query, args := s.numbers(at.n, more...)
	order := ` ORDER BY n DESC LIMIT ?`
	if strings.Contains(query, "rowid AS n") {
		order = ` ORDER BY rowid DESC LIMIT ?`
	}
	return s.scanRecords(`SELECT n, packed FROM (`+query+order+`) JOIN records USING (n) ORDER BY n DESC`, append(args, n))
}

// bySeverity returns at most n records below the cursor, the worst first. There are
// few severities, so each is a query of its own.
func (s selection) bySeverity(n int, at *cursor) (records []Record, err error) {
	for at.severity >= 0 && len(records) < n {
		err = s.row(`SELECT severity FROM records WHERE severity <= ? ORDER BY severity DESC LIMIT 1`, at.severity).Scan(&at.severity)
		if errors.Is(err, sql.ErrNoRows) {
			return records, nil
		}
		if err != nil {
			return nil, err
		}
		some, err := s.take(n-len(records), at, inFacets(facet(facetSeverity, strconv.Itoa(at.severity))))
		if err != nil {
			return nil, err
		}
		records = append(records, some...)
		at.severity, at.n = at.severity-1, maxNumber
	}
	return records, nil
}

func (v *view) scanRecords(query string, args []any) (records []Record, err error) {
	err = v.all(query, args, func(rows *sql.Rows) error {
		var n int64
		var packed []byte
		if err := rows.Scan(&n, &packed); err != nil {
			return err
		}
		r, err := v.codec.record(packed)
		if err != nil {
			return err
		}
		r.number = n
		records = append(records, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range records {
		if records[i].Events, err = v.eventsOf(records[i].Key); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// maxCounted is where the counting of a record's events ends.
const maxCounted = 10_000

// eventsOf counts the events of a record.
func (v *view) eventsOf(key string) (n int, err error) {
	err = v.row(`SELECT COUNT(*) FROM (SELECT 1 FROM events_text WHERE events_text MATCH ? LIMIT ?)`, inFacets(facet(facetKey, key)), maxCounted).Scan(&n)
	return n, err
}

// Record returns a record by its key with its newest events, at most limit, the newest
// first; ErrNotFound if it isn't there.
func (r *Reader) Record(ctx context.Context, key string, limit int) (record Record, timeline []Event, err error) {
	found := false
	err = r.view(ctx, func(v *view) error {
		s := selection{view: v, to: maxNumber, more: []string{inFacets(facet(facetKey, key))}}
		records, err := s.take(1, &cursor{n: maxNumber})
		if err != nil || len(records) == 0 {
			return err
		}
		record, found = records[0], true
		timeline, err = v.scanEvents(`SELECT n, sequence, id, accepted, packed FROM
			(SELECT rowid AS n FROM events_text WHERE events_text MATCH ? ORDER BY rowid DESC LIMIT ?) JOIN events USING (n) ORDER BY n DESC`,
			[]any{inFacets(facet(facetKey, key)), limit})
		return err
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return record, nil, fmt.Errorf("read record %s: %w", cut(key, 200), err)
	}
	return record, timeline, nil
}
