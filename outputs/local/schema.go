package local

import "github.com/siemrelay/siemrelay/internal/sqlitefile"

// schema makes the tables. Times are Unix nanoseconds, but for counts. The full-text
// tables hold no texts, only the index: the texts are in the packed rows.
const schema = `
CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE companies (id INTEGER PRIMARY KEY, company TEXT NOT NULL UNIQUE, name TEXT NOT NULL);
CREATE TABLE events (
	n INTEGER PRIMARY KEY,
	sequence INTEGER NOT NULL, -- the spool's
	id BLOB NOT NULL,          -- event.id
	accepted INTEGER NOT NULL,
	company INTEGER NOT NULL,
	word INTEGER NOT NULL,     -- of its severity: 0 info to 4 critical
	packed BLOB NOT NULL       -- id, record key, kind and trigger, a line each, and the document
);
CREATE INDEX events_accepted ON events(accepted);
CREATE VIRTUAL TABLE events_text USING fts5(text, company, source, facets,
	content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');
CREATE TABLE counts ( -- events by acceptance
	span INTEGER NOT NULL,  -- seconds: 60 or 3600
	start INTEGER NOT NULL, -- Unix seconds
	company INTEGER NOT NULL, word INTEGER NOT NULL, events INTEGER NOT NULL,
	PRIMARY KEY (span, start, company, word)
) WITHOUT ROWID;
CREATE TABLE records (
	n INTEGER PRIMARY KEY,     -- that of the event whose state it is
	hash BLOB NOT NULL UNIQUE, -- of the record key
	event BLOB NOT NULL,       -- event.id
	version INTEGER NOT NULL,  -- its acceptance, 0 for a creation
	noted INTEGER NOT NULL,    -- the version of the last note
	updated INTEGER NOT NULL,  -- its acceptance
	company INTEGER NOT NULL, kind TEXT NOT NULL, risk TEXT NOT NULL, severity INTEGER NOT NULL, open INTEGER NOT NULL,
	packed BLOB NOT NULL       -- the record as JSON
);
CREATE INDEX records_updated ON records(updated);
CREATE INDEX records_severity ON records(severity, n);
CREATE INDEX records_open ON records(kind, company, risk) WHERE open = 1;
CREATE VIRTUAL TABLE records_text USING fts5(text, company, source, facets,
	content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2')`

// spans of the table counts, in seconds.
const (
	spanMinute = 60
	spanHour   = 3600
)

// databaseLayout is what a file of this package looks like. The application id is "SRev".
func databaseLayout() sqlitefile.Layout {
	return sqlitefile.Layout{ApplicationID: 0x53526576, Version: 1, Schema: schema}
}
