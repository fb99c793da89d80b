package spool

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

const (
	segmentHeaderSize = 48
	segmentMagic      = "\xd7SRH"
)

// segment is one log file. Its fields are guarded by Spool.mu, but for file
// and asked, which belong to the committer.
type segment struct {
	path   string
	number uint32 // orders the files that begin with the same sequence
	first  uint64 // first sequence that it may hold
	size   int64  // bytes that are durable, header included
	ahead  int64  // length of the file where it was made longer than size, else 0
	before int64  // acceptance time of the record before it, Unix nanoseconds

	id        spoolID
	headerErr error // why the header could not be read, nil if it could
	aside     bool  // a copy is kept aside
	dropped   bool  // no longer in the spool

	file  File // open for writing, nil once the segment is closed
	asked bool // for a spare to follow it; the committer's, as file is
}

// records tells whether the segment holds anything but its header.
func (g *segment) records() bool { return g.size > segmentHeaderSize }

func segmentName(number uint32, first uint64) string {
	return fmt.Sprintf("%010d-%020d.log", number, first)
}

func parseSegmentName(name string) (number uint32, first uint64, ok bool) {
	_, err := fmt.Sscanf(name, "%010d-%020d.log", &number, &first)
	return number, first, err == nil && first > 0 && name == segmentName(number, first)
}

func (g *segment) encodeHeader() []byte {
	b := append(make([]byte, 0, segmentHeaderSize), segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	b = binary.LittleEndian.AppendUint64(b, g.first)
	b = binary.LittleEndian.AppendUint64(b, uint64(g.before))
	b = append(b, g.id[:]...)
	b = append(b, 0, 0, 0, 0)
	return sealed(b)
}

func (g *segment) parseHeader(b []byte) error {
	if string(b[:4]) != segmentMagic || !intact(b) {
		return errors.New("segment header is damaged")
	}
	if err := checkVersion(binary.LittleEndian.Uint32(b[4:])); err != nil {
		return err
	}
	first := binary.LittleEndian.Uint64(b[8:])
	if first == 0 {
		return errors.New("segment header says first sequence 0")
	}
	g.first = first // what is written inside can't have been mixed up by hand
	g.before = int64(binary.LittleEndian.Uint64(b[16:]))
	copy(g.id[:], b[24:])
	return nil
}

// createSegment makes the file of the next segment: durable by name, its header
// written but not yet synced, which the first commit into it does.
func (s *Spool) createSegment() (*segment, error) {
	g := &segment{number: s.nextNumber, first: s.next, before: s.accepted, id: s.id, size: segmentHeaderSize}
	g.path = filepath.Join(s.dirSegments(), segmentName(g.number, g.first))
	s.nextNumber++ // even if what follows fails: the name may be taken then
	f, err := s.segmentFile(g)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	_, err = f.WriteAt(g.encodeHeader(), 0)
	if err == nil {
		err = s.fs.SyncDir(s.dirSegments())
	}
	if err != nil {
		return nil, fmt.Errorf("create segment %s: %w", g.path, errors.Join(err, f.Close(), s.fs.Remove(g.path)))
	}
	g.file = f
	return g, nil
}

// segmentFile makes the file of g: of the spare, if there is one.
func (s *Spool) segmentFile(g *segment) (File, error) {
	p := s.takeSpare()
	if p == nil {
		return s.fs.Open(g.path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	}
	if err := s.fs.Rename(p.path, g.path); err != nil {
		return nil, errors.Join(err, p.remove(s.fs))
	}
	g.ahead = p.size
	return p.file, nil
}

// openSegments lists the segment files in order and reads their headers.
func (s *Spool) openSegments() error {
	names, err := s.fs.List(s.dirSegments())
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	for _, name := range names {
		if spare, err := s.removeOldSpare(name); spare || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		number, first, ok := parseSegmentName(name)
		if !ok {
			s.log.Warn("file in the spool is not a segment, leaving it alone", "file", filepath.Join(s.dirSegments(), name))
			continue
		}
		g := &segment{path: filepath.Join(s.dirSegments(), name), number: number, first: first}
		if err := s.readSegmentHeader(g); err != nil {
			return fmt.Errorf("open segment %s: %w", g.path, err)
		}
		s.segments = append(s.segments, g)
		s.nextNumber = max(s.nextNumber, number+1)
	}
	// The numbers alone would do, but for a file that somebody copied.
	slices.SortStableFunc(s.segments, func(a, b *segment) int { return cmp.Compare(a.first, b.first) })
	return nil
}

// readSegmentHeader fails only where opening the spool must: a file that can't be
// opened, or a newer format. A header that is damaged or can't be read costs
// nothing but the spool's second copy of its id.
func (s *Spool) readSegmentHeader(g *segment) error {
	f, err := s.fs.Open(g.path, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	if g.size, err = f.Size(); err != nil {
		return err
	}
	b := make([]byte, segmentHeaderSize)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		g.headerErr = errors.Join(errShort, err)
		return nil
	}
	named := g.first
	g.headerErr = g.parseHeader(b)
	if g.first != named {
		s.log.Warn("segment has the name of another, going by its header", "file", g.path, "first", g.first)
	}
	if errors.Is(g.headerErr, ErrVersion) {
		return g.headerErr
	}
	return nil
}

// leaveForeign leaves out the segments of another spool, which somebody has put here:
// their events are not ours, and have the sequences of ours. Where no segment at all
// has the spool's id it is the id that is wrong.
func (s *Spool) leaveForeign() {
	foreign := func(g *segment) bool { return g.headerErr == nil && g.id != s.id }
	if !slices.ContainsFunc(s.segments, func(g *segment) bool { return g.headerErr == nil && g.id == s.id }) {
		return
	}
	for _, g := range s.segments {
		if foreign(g) {
			s.log.Error("segment is of another spool, leaving it alone", "file", g.path)
			s.keepAside(g)
		}
	}
	s.segments = slices.DeleteFunc(s.segments, foreign)
}
