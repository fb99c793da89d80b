package deadletter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
)

// quickCheckSize is how large a database may be, in bytes, for its structure to be
// checked at each start.
const quickCheckSize = 32 << 20

// suspectSuffix marks a database in which damage was met.
const suspectSuffix = ".suspect"

// suspect has the next start check everything, however large the file is: damage that
// was met once must not hold up an output for ever.
func (d *database) suspect() {
	if err := os.WriteFile(d.path+suspectSuffix, nil, 0o600); err != nil {
		d.log.Warn("damage could not be noted; the next start may not see it", "file", d.path, "err", err)
	}
}

// hasLog tells whether there is a write-ahead log. SQLite would delete one whose
// database is empty or gone, and what is in it.
func (d *database) hasLog() bool {
	info, err := os.Stat(d.path + "-wal")
	return err == nil && info.Size() > 0
}

func (d *database) orphaned() error {
	return fmt.Errorf("%w: it is empty, but its log is not", ErrDamaged)
}

// sound runs one of SQLite's checks, or none if check is empty.
func sound(tx *sql.Tx, check string) error {
	if check == "" {
		return nil
	}
	found := ""
	if err := tx.QueryRowContext(context.Background(), check).Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, found)
	}
	return nil
}

// suffixes are those of the files that make up a database, the main one last: should
// a crash leave a part behind, then none that SQLite would take for a new file's log.
func suffixes() []string { return []string{"-wal", "-shm", ""} }

// moveAside renames a database to the first free NAME.damaged-N.
func moveAside(path string) (aside string, err error) {
	for n := 1; aside == "" || taken(aside); n++ {
		aside = fmt.Sprintf("%s.damaged-%d", path, n)
	}
	for _, suffix := range suffixes() {
		err := os.Rename(path+suffix, aside+suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("move damaged database aside: %w", err)
		}
	}
	return aside, syncDir(path)
}

func taken(path string) bool {
	for _, suffix := range suffixes() {
		if _, err := os.Lstat(path + suffix); err == nil {
			return true
		}
	}
	return false
}
