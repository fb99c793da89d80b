// Package local is an output that keeps events on this machine, to be searched: a
// SQLite database with every event, the current state of every threat and ticket, and
// a full-text index of both. Output writes it, Reader reads it, also while a process
// writes; the database is all that they share.
//
// It guarantees that a batch is on disk when Send returns nil, that an event is there
// once however often it is sent, and that a record's state never turns back. A
// database that is damaged is moved aside and a new one begun: what the spool still
// has is filled in again by a replay. It is given ECS documents and takes out of them
// what it indexes; it refuses to know how they came about.
//
// Each event has a number, the rowid of its row, that grows with its acceptance: the
// spool's sequence, unless the database is older than the spool; then counting goes on
// from the events of the spool before (see place). Everything that a search can ask
// for is in the full-text index, by number, so that the newest that match are found
// without sorting: words in the column text, and for each filter a token in the column
// facets that no word equals (see facet). A record's row has the number of the event
// that it is the state after.
package local
