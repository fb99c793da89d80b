package local

import (
	"context"
	"fmt"

	"github.com/siemrelay/siemrelay/internal/config"
)

// SetMaxSize makes max_size less than a configuration may: an event takes time when
// races are looked for.
func (o *Output) SetMaxSize(size config.Size) { o.c.MaxSize = size }

// LimitPages makes the disk full at so many pages more than there are; a negative
// number mends it.
func (o *Output) LimitPages(more int) error {
	var pages int
	if err := o.db.db.QueryRowContext(context.Background(), `PRAGMA page_count`).Scan(&pages); err != nil {
		return err
	}
	limit := pages + more
	if more < 0 {
		limit = 1 << 30
	}
	_, err := o.db.db.ExecContext(context.Background(), fmt.Sprintf(`PRAGMA max_page_count = %d`, limit))
	return err
}

// UsedPages returns how many pages the database takes, without those that are free.
func (o *Output) UsedPages() (pages int, err error) {
	err = o.db.db.QueryRowContext(context.Background(), `SELECT a.page_count - b.freelist_count FROM pragma_page_count a, pragma_freelist_count b`).Scan(&pages)
	return pages, err
}

// Check runs SQLite's own check of everything, the full-text index included.
func (o *Output) Check() (found string, err error) {
	err = o.db.db.QueryRowContext(context.Background(), `PRAGMA integrity_check(3)`).Scan(&found)
	return found, err
}

// Prune does at once what is done every Upkeep.
func (o *Output) Prune() { o.prunes() }
