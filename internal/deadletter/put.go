package deadletter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

const (
	maxText  = 1 << 10 // bytes of a text for listings
	maxError = 4 << 10 // bytes of what the output said
)

const (
	stateDead   = 0
	stateQueued = 1
)

// Put stores letters, all or none, durably if it returns nil. They are unsettled
// until Settle. A letter of the same key is replaced and keeps its number. A letter
// that the queue of its output has handed out becomes dead again at once: its event
// was passed long ago. A letter whose event the cursor had passed and comes to again,
// because it was lost itself, is unsettled again, and is carried no more.
//
// ErrFull: the letters take MaxSize already; what goes back from the queue, or grows
// nothing, is stored all the same. After an error Put may be repeated.
func (s *Store) Put(letters []Letter) error {
	var grown int64 // by letters that did not come back from the queue
	err := s.change(func(tx *sql.Tx, c *changes) error {
		p := putter{s: s, tx: tx, c: c, unsettled: make(map[int64]unsettledLetter)}
		for i := range letters {
			if err := p.put(&letters[i]); err != nil {
				return fmt.Errorf("output %s, sequence %d: %w", letters[i].Output, letters[i].Sequence, err)
			}
		}
		grown = p.grown
		// What is put at once may pass the limit: letters of a batch that is larger than
		// max_size could otherwise never be stored, and nothing could be dropped for them.
		if used, limit := s.Full(); grown > 0 && used >= limit {
			return fmt.Errorf("%w: %d bytes are used, max_size is %d; replay some or drop some, or raise dead_letters.max_size", ErrFull, used, limit)
		}
		c.then = append(c.then, p.settle)
		return nil
	})
	if err != nil {
		return fmt.Errorf("store %d dead letters: %w", len(letters), err)
	}
	return nil
}

// Settle says that the cursor has passed, durably, every event of the output that was
// put with this pass: the letters count and are shown from now on.
func (s *Store) Settle(output string, pass uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, of := range s.unsettled[output] {
		if of == pass {
			s.mark = append(s.mark, id)
			delete(s.unsettled[output], id)
		}
	}
}

// putter is one Put.
type putter struct {
	s         *Store
	tx        *sql.Tx
	c         *changes
	grown     int64
	unsettled map[int64]unsettledLetter // those that this Put made so, by number
	back      []handedBack
}

type unsettledLetter struct {
	output string
	pass   uint64
}

type handedBack struct {
	output string
	id     int64
}

// settle brings the memory up to date, with Store.mu held.
func (p *putter) settle() {
	s := p.s
	for id, l := range p.unsettled {
		if s.unsettled[l.output] == nil {
			s.unsettled[l.output] = make(map[int64]uint64)
		}
		s.unsettled[l.output][id] = l.pass
		if q := s.queues[l.output]; q != nil {
			q.page = nil // what it has read ahead may have been replaced
		}
	}
	for _, b := range p.back {
		s.queues[b.output].backLocked(b.id)
	}
}

// stored is the row that a letter replaces.
type stored struct {
	id, size, first int64
	state           int
}

func (p *putter) put(l *Letter) error {
	if l.Output == "" {
		return errors.New("the letter has no output")
	}
	var old stored
	err := p.tx.QueryRowContext(context.Background(), `SELECT id, state, size, first FROM letters WHERE output = ? AND sequence = ? AND pass = ?`,
		l.Output, int64(l.Sequence), int64(l.Pass)).Scan(&old.id, &old.state, &old.size, &old.first)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return p.insert(l)
	case err != nil:
		return err
	}
	return p.replace(l, old)
}

func (p *putter) insert(l *Letter) error {
	columns, size := l.columns()
	args := append([]any{l.Output, int64(l.Pass), int64(l.Sequence), stateDead, 0, size}, columns...)
	r, err := p.tx.ExecContext(context.Background(), `INSERT INTO letters
		(output, pass, sequence, state, settled, size, event, accepted, possible_retry, overwrite, kind, company, record, title, code,
		reason, error, tries, first, refused, body_size, body_crc)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, args...)
	if err != nil {
		return err
	}
	id, err := r.LastInsertId()
	if err != nil {
		return err
	}
	p.grown += size
	p.unsettled[id] = unsettledLetter{l.Output, l.Pass}
	p.c.add(l.Output, counts{dead: 1, bytes: size})
	return p.body(id, l.Body)
}

func (p *putter) replace(l *Letter, old stored) error {
	back, unsettled := p.standing(l.Output, old.id)
	settled := 0
	d := counts{}
	switch {
	case back:
		settled = 1
		if old.first != 0 && (l.First.IsZero() || old.first < l.First.UnixNano()) {
			l2 := *l
			l2.First = fromNano(old.first)
			l = &l2
		}
		p.back = append(p.back, handedBack{l.Output, old.id})
	case !unsettled:
		// The same event enters a second time. What is counted for the first time
		// ends here; the cursor counts the second.
		if c := p.s.countsOf(l.Output).plus(p.c.counts[l.Output]); c.carried > 0 {
			d.carried = -1
		} else {
			d.lost = 1
		}
		p.unsettled[old.id] = unsettledLetter{l.Output, l.Pass}
	}
	if old.state == stateQueued {
		d.queued, d.dead = -1, 1
	}
	columns, size := l.columns()
	d.bytes = size - old.size
	if !back {
		p.grown += d.bytes
	}
	p.c.add(l.Output, d)
	args := append([]any{stateDead, settled, size}, columns...)
	_, err := p.tx.ExecContext(context.Background(), `UPDATE letters SET state = ?, settled = ?, size = ?, event = ?, accepted = ?, possible_retry = ?, overwrite = ?,
		kind = ?, company = ?, record = ?, title = ?, code = ?, reason = ?, error = ?, tries = ?, first = ?, refused = ?,
		body_size = ?, body_crc = ? WHERE id = ?`, append(args, old.id)...)
	if err != nil {
		return err
	}
	return p.body(old.id, l.Body)
}

// standing tells whether the queue has handed the letter out, and whether the cursor
// has yet to pass it.
func (p *putter) standing(output string, id int64) (back, unsettled bool) {
	if _, ok := p.unsettled[id]; ok {
		return false, true
	}
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[output]; q != nil && q.handedLocked(id) {
		return true, false
	}
	_, unsettled = s.unsettled[output][id]
	return false, unsettled
}

func (p *putter) body(id int64, body []byte) error {
	if body == nil {
		body = []byte{} // nil would be NULL
	}
	_, err := p.tx.ExecContext(context.Background(), `INSERT OR REPLACE INTO bodies (id, body) VALUES (?, ?)`, id, body)
	return err
}

// columns returns what is stored of a letter besides its key and state, in the order
// of the table, and what the letter takes of MaxSize.
func (l *Letter) columns() (columns []any, size int64) {
	columns = []any{l.EventID, nano(l.Accepted), l.PossibleRetry, l.Overwrite}
	size = int64(len(l.Body)+len(l.Output)+len(l.EventID)) + letterOverhead
	for _, text := range []struct {
		value string
		limit int
	}{{l.Kind, maxText}, {l.Company, maxText}, {l.Record, maxText}, {l.Title, maxText}, {l.Code, maxText}, {l.Reason, maxText}, {l.Error, maxError}} {
		clipped := clip(text.value, text.limit)
		columns = append(columns, clipped)
		size += int64(len(clipped))
	}
	return append(columns, l.Tries, nano(l.First), nano(l.Refused), len(l.Body), int64(checksum(l.Body))), size
}

func checksum(body []byte) uint32 { return crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) }

// nano is how a time is stored; 0 stands for none.
func nano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
