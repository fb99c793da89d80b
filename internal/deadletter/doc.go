// Package deadletter keeps what nobody took: Store has the events that an output
// refused for good, Rejects the bodies that the receiver refused.
//
// Store guarantees that a letter is on disk when Put returns nil, that a letter
// counts for nothing until the cursor that handed it over has passed its event, and
// that its accounts and the cursors' add up at every moment, also after a crash:
//
//	dead       = cursor.dead + Carried - Queued - Delivered - Sent - Filtered - Dropped - Lost
//	delivered  = cursor.delivered + Delivered     (sent, filtered, dropped likewise)
//	unreadable = cursor.unreadable + Lost
//	pending    = cursor.pending + Queued
//	entered    = cursor.entered + Carried
//
// A letter goes through these states; in each line what moves it on:
//
//	Put         -> unsettled: stored, shown to nobody; its event is still pending
//	Settle      -> dead: the cursor has passed the event, and says so durably
//	Requeue     -> queued: pending again, on its way through the letters lane
//	Queue.Commit, Delivered, Sent, Drop -> gone, and counted as what became of it
//	Put again   -> dead, if the letters lane was refused once more
//
// After a crash Begin learns from the cursor which unsettled letters it had passed;
// the others are deleted, because their events are pending and will be sent again.
//
// Both stores are SQLite databases with a write-ahead log, locked by the process
// that has them open. PRAGMA application_id says which of the two a file is, PRAGMA
// user_version the version of its tables. A file that is damaged is moved aside, to
// NAME.damaged-N, and a new one takes its place.
//
// The package refuses to know outputs, events and the spool's files. It sends
// nothing, and it decides about no letter.
package deadletter
