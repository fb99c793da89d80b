package local

import (
	"cmp"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/siemrelay/siemrelay/internal/sqlitefile"
	"github.com/siemrelay/siemrelay/outputs"
)

// Record is a threat or ticket as it is now: the state after its newest event, and what
// that does not say again.
type Record struct {
	Key, Kind, ID, Reference    string
	Title, Company, Name        string
	Risk, Priority              string
	Severity                    int
	State, Status, Type, Source string
	Link                        string
	Created, Updated            time.Time
	NoteBy, Note                string
	NoteAt                      time.Time
	Description                 string
	// Notes are the notes that were seen, the newest first, to be searched.
	Notes string
	// Events counts those that are stored; Reader fills it.
	Events int `json:"-"`

	number int64 // of its row; Reader fills it
}

// maxNotes is how much of its notes a record is found by, in bytes; the events are
// found by each.
const maxNotes = 8 << 10

// versions say how new what is stored of a record is: the acceptance of its event, and
// 0 for a creation, since one that comes after others is a late retry.
type versions struct{ state, note int64 }

// state brings the record up to date with an event that is new, or is to overwrite.
//
// As with the latest documents of Elasticsearch: a state is written over an older one;
// a creation only where there is none, or over itself; a state without a note, or
// without a description, leaves the last one. Besides, an older event that comes late
// still gives its note to a record that has none, or an older one.
func (w *writing) state(n int64, c company, m *outputs.Message, d *Facts) error {
	if len(m.State) == 0 {
		return nil
	}
	sum := sha256.Sum256([]byte(m.Key))
	hash := [16]byte(sum[:])
	there, err := w.stored(hash)
	if err != nil {
		return err
	}
	version := m.Accepted.UnixNano()
	if m.Trigger == triggerCreate {
		version = 0
	}
	takes := there.n == 0 || version > there.state ||
		m.Overwrite && version == there.state && string(there.event) == string(eventID(m.ID))
	next := there
	if takes {
		next.record = d.record(m)
		next.keep(there.record)
		next.n, next.event, next.state, next.company = n, eventID(m.ID), version, c.id
	}
	if changed := next.supply(there, version, d); takes || changed {
		next.was = there.was
		w.records[hash] = next
	}
	return nil
}

// storedRecord is a row of the table records.
type storedRecord struct {
	n       int64 // 0: there is none
	was     int64 // its number in the database, before this transaction
	event   []byte
	company int64
	versions
	record Record
}

// stored returns a record as this transaction has left it, if there is one.
func (w *writing) stored(hash [16]byte) (r storedRecord, err error) {
	if r, ok := w.records[hash]; ok {
		return r, nil
	}
	var packed []byte
	err = w.row(w.record, hash[:]).Scan(&r.n, &r.event, &r.company, &r.state, &r.note, &packed)
	if errors.Is(err, sql.ErrNoRows) {
		return storedRecord{}, nil
	}
	if err == nil {
		r.was = r.n
		r.record, err = w.codec.record(packed)
	}
	return r, err
}

// record unpacks a record.
func (c *codec) record(packed []byte) (r Record, err error) {
	document, err := c.unpack(packed)
	if err == nil {
		if err = json.Unmarshal(document, &r); err != nil {
			err = fmt.Errorf("%w: read a record: %w", sqlitefile.ErrDamaged, err)
		}
	}
	return r, err
}

// record is what an event says of its record.
func (d *Facts) record(m *outputs.Message) Record {
	return Record{
		Key: m.Key, Kind: m.Kind, ID: d.Record, Reference: d.Reference, Title: d.Title, Company: m.Company, Name: d.Name,
		Risk: d.Risk, Priority: d.Priority, Severity: d.Severity, State: d.State, Status: d.Status, Type: d.Type, Source: d.Source,
		Link: d.Link, Created: d.Created, Updated: m.Accepted.UTC(), Description: d.Description,
	}
}

// keep takes over what the new state does not say.
func (r *storedRecord) keep(old Record) {
	r.record.NoteBy, r.record.Note, r.record.NoteAt, r.record.Notes = old.NoteBy, old.Note, old.NoteAt, old.Notes
	if r.record.Description == "" {
		r.record.Description = old.Description
	}
	if r.record.Created.IsZero() {
		r.record.Created = old.Created
	}
}

// supply adds the note of an event, if it is newer than the record's, and what the
// record lacks. It tells whether anything has changed.
func (r *storedRecord) supply(there storedRecord, version int64, d *Facts) bool {
	changed := false
	none := r.record.Note == "" && r.record.NoteBy == ""
	if d.hasNote() {
		if none || version >= there.note && (version > 0 || there.state == 0) {
			r.record.NoteBy, r.record.Note, r.record.NoteAt, r.note = d.NoteBy, d.Note, d.NoteAt, version
			changed = true
		}
		if text := d.NoteBy + ": " + d.Note + "\n"; !strings.Contains(r.record.Notes, text) {
			r.record.Notes = cut(text+r.record.Notes, maxNotes)
			changed = true
		}
	}
	if r.record.Description == "" && d.Description != "" {
		r.record.Description = d.Description
		changed = true
	}
	return changed
}

// flushRecords writes the records that have changed: first what goes, then what comes,
// both in the order of their numbers, because the index writes a part of its own
// whenever a number is lower than the one before.
func (w *writing) flushRecords() error {
	var gone []int64
	var hashes [][16]byte
	for hash, r := range w.records {
		hashes = append(hashes, hash)
		if r.was > 0 {
			gone = append(gone, r.was)
		}
	}
	slices.Sort(gone)
	slices.SortFunc(hashes, func(a, b [16]byte) int { return cmp.Compare(w.records[a].n, w.records[b].n) })
	if err := w.dropNumbers(gone); err != nil {
		return err
	}
	for _, hash := range hashes {
		if err := w.put(hash, w.records[hash]); err != nil {
			return err
		}
	}
	clear(w.records)
	return nil
}

// dropNumbers deletes records.
func (w *writing) dropNumbers(numbers []int64) error {
	for _, n := range numbers {
		if err := w.exec(w.unindexRecord, n); err != nil {
			return err
		}
		if err := w.exec(w.dropRecord, n); err != nil {
			return err
		}
	}
	return nil
}

// put writes a record that is not there.
func (w *writing) put(hash [16]byte, next storedRecord) error {
	r := &next.record
	document, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write a record: %w", err)
	}
	w.packed = w.codec.pack(w.packed[:0], document)
	open := 0
	if r.Status == statusOpen {
		open = 1
	}
	err = w.exec(w.putRecord, next.n, hash[:], next.event, next.state, next.note, r.Updated.UnixNano(),
		next.company, r.Kind, r.Risk, r.Severity, open, w.packed)
	if err != nil {
		return err
	}
	i := r.index()
	return w.exec(w.indexRecord, next.n, i.text, i.company, i.source, i.facets)
}

// index says what is searched in a record.
func (r *Record) index() indexed {
	d := Facts{
		Kind: r.Kind, Record: r.ID, Reference: r.Reference, Title: r.Title, Description: r.Description, Company: r.Company, Name: r.Name,
		Risk: r.Risk, Priority: r.Priority, State: r.State, Status: r.Status, Type: r.Type, Source: r.Source,
	}
	f := &facets{}
	f.value(facetKey, r.Key)
	f.value(facetSeverity, fmt.Sprint(r.Severity))
	return d.index(f, r.Notes)
}
