package local

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
)

// writing is one transaction.
type writing struct {
	*database
	tx        *sql.Tx
	codec     *codec
	packed    []byte
	companies map[string]company
	counts    map[slot]int
	records   map[[16]byte]storedRecord // that have changed, by the hash of their keys
}

func (o *Output) begin(d *database, tx *sql.Tx) *writing {
	return &writing{
		database: d, tx: tx, codec: o.codec, packed: o.packed,
		companies: map[string]company{}, counts: map[slot]int{}, records: map[[16]byte]storedRecord{},
	}
}

// company is a row of the table companies.
type company struct {
	id   int64
	name string
}

// slot is a row of the table counts.
type slot struct {
	span, start, company int64
	word                 int
}

// message stores an event and what it says of its record.
func (w *writing) message(m *outputs.Message, d *Facts) error {
	company, err := w.company(m.Company, d.Name)
	if err != nil {
		return err
	}
	n, there, err := w.place(m)
	if err != nil {
		return err
	}
	switch {
	case there && !m.Overwrite:
		return nil
	case there:
		err = w.rewrite(n, company, m, d)
	default:
		err = w.add(n, company, m, d)
	}
	if err != nil {
		return err
	}
	return w.state(n, company, m, d)
}

func (w *writing) exec(s *sql.Stmt, args ...any) error {
	_, err := w.tx.StmtContext(context.Background(), s).ExecContext(context.Background(), args...)
	return err
}

func (w *writing) row(s *sql.Stmt, args ...any) *sql.Row {
	return w.tx.StmtContext(context.Background(), s).QueryRowContext(context.Background(), args...)
}

// place finds the number of an event, and whether the event is there already. The
// number is its sequence, counted on from the events of an earlier spool: one that
// was begun anew counts from 1 again, which shows in that the number belongs to
// another event, or in that its neighbours are not of that time.
func (w *writing) place(m *outputs.Message) (n int64, there bool, err error) {
	n = int64(m.Sequence) + w.offset
	if n > w.last.n {
		w.last = row{n, m.Accepted.UnixNano()}
		return n, false, nil
	}
	id, accepted := []byte(nil), int64(0)
	err = w.row(w.event, n).Scan(&id, &accepted, new(int64), new(int64))
	if err == nil && bytes.Equal(id, eventID(m.ID)) {
		return n, true, nil
	}
	foreign := err == nil
	if errors.Is(err, sql.ErrNoRows) {
		foreign, err = w.outOfTime(n, m.Accepted.UnixNano())
	}
	if err != nil || !foreign {
		return n, false, err
	}
	if old, err := w.find(m.ID); err != nil || old > 0 {
		return old, old > 0, err
	}
	w.offset = w.last.n + 1 - int64(m.Sequence)
	w.last = row{w.last.n + 1, m.Accepted.UnixNano()}
	_, err = w.tx.ExecContext(context.Background(), `INSERT OR REPLACE INTO settings (name, value) VALUES ('offset', ?)`, w.offset)
	return w.last.n, false, err
}

// outOfTime tells whether an event of that acceptance does not belong between its
// neighbours: in one spool numbers and acceptance grow together.
func (w *writing) outOfTime(n, accepted int64) (bool, error) {
	var before, after int64
	err := w.row(w.below, n).Scan(&before)
	if errors.Is(err, sql.ErrNoRows) {
		before, err = accepted, nil
	}
	if err != nil {
		return false, err
	}
	err = w.row(w.above, n).Scan(&after)
	if errors.Is(err, sql.ErrNoRows) {
		after, err = accepted, nil
	}
	return before > accepted || after < accepted, err
}

// find looks an event up by its id; 0 if it isn't there.
func (w *writing) find(id string) (n int64, err error) {
	token, _ := eventFacet(id)
	err = w.tx.QueryRowContext(context.Background(), `SELECT rowid FROM events_text WHERE events_text MATCH ? LIMIT 1`, "facets:"+quote(token)).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

// add stores a new event.
func (w *writing) add(n int64, c company, m *outputs.Message, d *Facts) error {
	w.pack(m)
	err := w.exec(w.insert, n, int64(m.Sequence), eventID(m.ID), m.Accepted.UnixNano(), c.id, d.word, w.packed)
	if err != nil {
		return err
	}
	w.counted(m.Accepted.Unix(), c.id, d.word, 1)
	return w.indexEvent(n, m, d)
}

// rewrite stores an event again, as it looks now.
func (w *writing) rewrite(n int64, c company, m *outputs.Message, d *Facts) error {
	var accepted, was int64
	var word int
	if err := w.row(w.event, n).Scan(new([]byte), &accepted, &was, &word); err != nil {
		return err
	}
	w.counted(accepted/int64(time.Second), was, word, -1)
	w.counted(accepted/int64(time.Second), c.id, d.word, 1)
	w.pack(m)
	if err := w.exec(w.replace, c.id, d.word, w.packed, n); err != nil {
		return err
	}
	if err := w.exec(w.unindex, n); err != nil {
		return err
	}
	return w.indexEvent(n, m, d)
}

func (w *writing) indexEvent(n int64, m *outputs.Message, d *Facts) error {
	f := &facets{}
	f.value(facetKey, m.Key)
	token, _ := eventFacet(m.ID)
	f.token(token)
	i := d.index(f)
	return w.exec(w.index, n, i.text, i.company, i.source, i.facets)
}

// pack writes the row's packed column to w.packed.
func (w *writing) pack(m *outputs.Message) {
	var b []byte
	for _, line := range []string{m.ID, m.Key, m.Kind, m.Trigger} {
		b = append(append(b, line...), '\n')
	}
	b = append(b, m.Body...)
	w.packed = w.codec.pack(w.packed[:0], b)
}

// company finds the number of a company, and notes its name.
func (w *writing) company(id, name string) (company, error) {
	c, ok := w.companies[id]
	if ok && (name == "" || c.name == name) {
		return c, nil
	}
	err := w.tx.QueryRowContext(context.Background(), `INSERT INTO companies (company, name) VALUES (?, ?)
		ON CONFLICT DO UPDATE SET name = CASE excluded.name WHEN '' THEN name ELSE excluded.name END RETURNING id, name`, id, name).Scan(&c.id, &c.name)
	if err == nil {
		w.companies[id] = c
	}
	return c, err
}

// counted changes how many events there are of a second.
func (w *writing) counted(second, company int64, word, by int) {
	for _, span := range []int64{spanMinute, spanHour} {
		w.counts[slot{span, second - second%span, company, word}] += by
	}
}

// flush writes what was counted, and the records.
func (w *writing) flush() error {
	if err := w.flushRecords(); err != nil {
		return err
	}
	for s, n := range w.counts {
		if n == 0 {
			continue
		}
		if err := w.exec(w.count, s.span, s.start, s.company, s.word, n); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		if err := w.exec(w.uncount, s.span, s.start, s.company, s.word); err != nil {
			return err
		}
	}
	clear(w.counts)
	return nil
}

// eventID is an event.id as it is stored.
func eventID(id string) []byte {
	if b, err := hex.DecodeString(id); err == nil && len(b) == 16 && hex.EncodeToString(b) == id {
		return b
	}
	return []byte(id)
}
