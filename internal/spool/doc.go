// Package spool is the durable log between the door and the outputs.
//
// It guarantees that Append returns nil only after the body, its envelope and
// every directory entry that they need were fsynced; that what was appended is
// read back unchanged, in order, by every cursor, or is counted as unreadable
// and its file kept aside; and that nothing which a cursor still needs is ever
// removed. It refuses to know HTTP, JSON, ECS and the outputs: a body is bytes.
//
// It also tells the sender's retry of an event from a repeat, a new event with the
// same bytes: see Options.RetryWindow and retries. It never merges two events; what
// it has forgotten, or is not sure of, is a new one.
//
// # Files
//
//	DIR/spool.meta                 format version and the spool's random id
//	DIR/spool.clean                how the log ended, if the process before stopped
//	                               cleanly; none while one runs, see mark.go
//	DIR/spool.lock                 held by flock while a process has the spool open
//	DIR/segments/NNNNNNNNNN-SSSSSSSSSSSSSSSSSSSS.log
//	                               records; S… is the first sequence that the file
//	                               may hold, as the header says it too, and orders the
//	                               files; among those with the same one NNNNNNNNNN
//	                               does, which counts files
//	DIR/spool.note                 where the log ends, for after a crash
//	DIR/cursors/NAME.cursor        how far the output NAME has come, and its account
//	DIR/spool.outputs              the outputs that have a cursor
//	DIR/aside/                     damaged segments and cut tails, for a person
//
// Every number is little-endian, every checksum CRC-32C (Castagnoli).
//
// # spool.meta, 44 bytes, written once; every version begins with these
//
//	offset  size
//	     0     8  magic "SRSPOOL\n"
//	     8     4  format version, 1; a newer one is refused
//	    12    16  spool id, random
//	    28    12  zero
//	    40     4  checksum of bytes 0 to 39
//
// # spool.clean, 64 bytes
//
//	 0     8  magic "SRCLEAN\n"
//	 8     4  format version
//	12    16  spool id
//	28     8  sequence of the next record
//	36     8  acceptance time of the newest record, Unix nanoseconds
//	44     4  number of the newest segment file
//	48     8  its length
//	56     4  zero
//	60     4  checksum of bytes 0 to 59
//
// # Segment header, 48 bytes
//
//	 0     4  magic D7 'S' 'R' 'H'
//	 4     4  format version
//	 8     8  first sequence that the segment may hold
//	16     8  acceptance time of the record before it, Unix nanoseconds
//	24    16  spool id
//	40     4  zero
//	44     4  checksum of bytes 0 to 43
//
// # Record: a header of 40 bytes, then the envelope, then the body
//
//	 0     4  magic D7 'S' 'R' 'E'
//	 4     4  length of the body
//	 8     2  length of the envelope: 48, or 0 where retries are not looked for
//	10     2  zero
//	12     8  sequence, from 1, one more than the record before
//	20     8  acceptance time, Unix nanoseconds, strictly increasing
//	28     4  checksum of envelope and body
//	32     4  zero
//	36     4  checksum of bytes 0 to 35
//	40        envelope, body
//
// The header has a checksum of its own so that a flipped length can't mislead:
// after a bad header the reader looks for the next good one. A body can't forge
// a header, because a header has zero bytes and JSON text has none.
//
// A segment ends where the next one begins: records in it whose sequence is not
// below the next segment's first one were never acknowledged (their fsync
// failed, and the segment was given up). Only the newest segment can have a torn
// tail; it is cut when the spool is opened, and a copy is kept aside. Where
// spool.clean or spool.note says that the log went on, its end is damaged instead: the records
// are counted as unreadable, and the segment is kept aside. No segment is appended
// to again after a restart.
//
// # Envelope, 48 bytes
//
//	 0    16  record: the first half of SHA-256 of the record's key; zero if the
//	          event has no usable id
//	16    16  the first half of SHA-256 of the body; zero if record is
//	32     8  wall clock when the event came, Unix nanoseconds
//	40     1  flags: 1, it may be the sender's retry; 2, its body is unique by nature
//	41     3  zero
//	44     4  checksum of bytes 0 to 43
//
// It came after the first release of format version 1, whose readers pass over it
// by its length. A longer one begins with these bytes.
//
// # Cursor, two slots of 128 bytes at 0 and 512
//
//	  0     4  magic D7 'S' 'R' 'C'
//	  4     4  format version of the slot, 2; every later one has this length
//	  8     8  counter; the good slot with the higher one holds
//	 16     8  next sequence: everything before it is settled
//	 24     8  acceptance time of the record before it, Unix nanoseconds
//	 32     8  the first sequence that entered
//	 40     8  number of the latest replay, from 1; 0 if there was none
//	 48     8  next sequence of that replay that is not settled
//	 56     8  the sequence that follows its last
//	 64     8  how many events all replays have entered
//	 72     8  events delivered
//	 80     8  events sent: handed over on a way that confirms nothing
//	 88     8  events filtered
//	 96     8  events handed over as dead letters
//	104     8  events dropped by hand
//	112     8  events unreadable
//	120     4  flags: 1, that replay replaces what the receiver has of its events
//	124     4  checksum of bytes 0 to 123
//
// A slot of version 1 has 40 bytes: those to 31, four zero, and the checksum. It is
// read as one whose account begins where it stands.
//
// # spool.note, 56 bytes, written in place and never synced: it outlives the process
//
//	 0     8  magic "SRNOTE\x00\n"
//	 8     4  format version, 1
//	12    16  spool id
//	28     8  next sequence: everything before it was durable
//	36     8  acceptance time of the record before it, Unix nanoseconds
//	44     8  the process lived on for 10 s after accepting what is before this sequence
//	52     4  checksum of bytes 0 to 51
//
// # spool.outputs: the outputs that have a cursor
//
//	 0     4  magic D7 'S' 'R' 'O'
//	 4     4  format version, 1
//	 8        the names, each followed by a line feed
//	-4     4  checksum of what comes before
package spool
