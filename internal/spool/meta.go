package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	metaName  = "spool.meta"
	lockName  = "spool.lock"
	metaMagic = "SRSPOOL\n"
	metaSize  = 44
)

// spoolID is the random number that makes the event ids of one spool its own.
type spoolID [16]byte

func encodeMeta(id spoolID) []byte {
	b := append(make([]byte, 0, metaSize), metaMagic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	b = append(b, id[:]...)
	b = append(b, make([]byte, 12)...)
	return sealed(b)
}

func parseMeta(b []byte) (spoolID, error) {
	var id spoolID
	if len(b) < metaSize || string(b[:len(metaMagic)]) != metaMagic {
		return id, errors.New("not a spool's meta file")
	}
	if !intact(b[:metaSize]) { // first, for a flipped bit must not look like a newer version
		return id, errors.New("checksum does not match")
	}
	if err := checkVersion(binary.LittleEndian.Uint32(b[len(metaMagic):])); err != nil {
		return id, err
	}
	copy(id[:], b[12:])
	return id, nil
}

// checkVersion refuses what a newer siemrelay wrote.
func checkVersion(v uint32) error {
	if v == 0 || v > formatVersion {
		return fmt.Errorf("%w: format version %d, this siemrelay reads %d", ErrVersion, v, formatVersion)
	}
	return nil
}

// loadID reads the spool's id: from the meta file or, where that is missing or
// damaged, from a segment. A new spool gets a random one. So does a spool without
// segments that has no cursor either, or has a damaged one: it may count again from
// a sequence that was given before, which must not give the same event ids.
func (s *Spool) loadID(cursorsDamaged bool) error {
	name := filepath.Join(s.o.Dir, metaName)
	numbersLost := len(s.segments) == 0 && (cursorsDamaged || len(s.cursors) == 0)
	b, err := readFile(s.fs, name)
	if err == nil {
		s.id, err = parseMeta(b)
	}
	switch {
	case err == nil && !numbersLost:
		return nil
	case errors.Is(err, ErrVersion):
		return fmt.Errorf("read %s: %w", name, err)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		s.log.Error("spool meta file is unreadable, writing it anew", "file", name, "error", err)
	}
	if _, err := io.ReadFull(s.o.Rand, s.id[:]); err != nil {
		return fmt.Errorf("make spool id: %w", err)
	}
	for _, g := range s.segments {
		if g.headerErr == nil {
			s.id = g.id
		}
	}
	s.syncAncestors()
	if err := writeFileDurably(s.fs, name, encodeMeta(s.id)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// syncAncestors makes the way to the spool durable, before the meta file says that
// it is: an earlier process may have made it and been killed. Where we may not, we
// did not make it either.
func (s *Spool) syncAncestors() {
	for dir := s.o.Dir; dir != filepath.Dir(dir); {
		dir = filepath.Dir(dir)
		if err := s.fs.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrPermission) {
			s.log.Warn("could not sync a directory above the spool", "directory", dir, "error", err)
		}
	}
}

func readFile(fsys FS, name string) ([]byte, error) {
	f, err := fsys.Open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// writeFileDurably replaces name by content: after it returns nil the content
// and the name survive a power cut; after an error name holds the old or the new.
func writeFileDurably(fsys FS, name string, content []byte) error {
	tmp := name + ".tmp"
	f, err := fsys.Open(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(content, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fsys.Remove(tmp))
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// makeDirs makes dir and its parents, each durable in its own parent.
func makeDirs(fsys FS, dir string) error {
	err := fsys.Mkdir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDirs(fsys, filepath.Dir(dir)); err != nil {
			return err
		}
		err = fsys.Mkdir(dir)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(dir))
}
