package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	sparePrefix = "spare-"
	spareChunk  = 256 << 10
)

// spare is a file of zeros, as long as a segment and durable, that the next
// segment is made of. Writing over blocks that are there lets fdatasync leave the
// file system's journal alone: a commit takes about half as long
// (docs/performance.md has the figures). It is no more than that: without a spare a segment grows as it is
// written.
type spare struct {
	path string
	file File
	size int64
}

// prepare makes a spare whenever the committer asks for one and there is none.
// Close stops it. Each spare has a name of its own: the committer may be about to
// make a segment of the one before, and no zeros may ever go into that.
func (s *Spool) prepare() {
	defer close(s.prepared)
	for number := 1; ; number++ {
		select {
		case <-s.quit:
			return
		case <-s.wantSpare:
		}
		if s.hasSpare() {
			continue
		}
		made, err := s.makeSpare(fmt.Sprintf("%s%d", sparePrefix, number))
		if err != nil {
			s.log.Warn("could not prepare a segment, the next one grows as it is written", "error", err)
		}
		s.mu.Lock()
		s.spareSegment = made
		s.mu.Unlock()
	}
}

func (s *Spool) hasSpare() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spareSegment != nil
}

// askForSpare is called once for each segment, when it is half full.
func (s *Spool) askForSpare() {
	select {
	case s.wantSpare <- struct{}{}:
	default:
	}
}

// makeSpare writes a spare, nil if there isn't room in plenty for one.
func (s *Spool) makeSpare(name string) (*spare, error) {
	size := s.segmentSize
	s.mu.Lock()
	crowded := s.usedLocked()+2*size > s.o.MaxSize/2
	s.mu.Unlock()
	free, _, err := s.fs.Space(s.o.Dir)
	if err != nil || crowded || free-2*size < 2*s.o.MinFree {
		return nil, err
	}
	p := &spare{path: filepath.Join(s.dirSegments(), name), size: size}
	if p.file, err = s.fs.Open(p.path, os.O_RDWR|os.O_CREATE|os.O_EXCL); err != nil {
		return nil, err
	}
	zeros := make([]byte, min(spareChunk, size))
	for at := int64(0); at < size && err == nil; at += int64(len(zeros)) {
		_, err = p.file.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at)
		if err == nil {
			err = p.file.Sync() // bit by bit, so that no commit waits long behind it
		}
		if s.quitting() {
			err = ErrClosed
		}
	}
	if errors.Is(err, ErrClosed) {
		return nil, p.remove(s.fs)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", p.path, err), p.remove(s.fs))
	}
	return p, nil
}

func (s *Spool) quitting() bool {
	select {
	case <-s.quit:
		return true
	default:
		return false
	}
}

func (p *spare) remove(fsys FS) error {
	return errors.Join(p.file.Close(), fsys.Remove(p.path))
}

// takeSpare returns the spare if there is one; it is the caller's then.
func (s *Spool) takeSpare() *spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.spareSegment
	s.spareSegment = nil
	return p
}

// dropSpares gives back the room that was taken ahead of need, and tells whether
// there was any.
func (s *Spool) dropSpares() bool {
	dropped := false
	if p := s.takeSpare(); p != nil {
		if err := p.remove(s.fs); err != nil {
			s.log.Warn("could not remove the prepared segment", "error", err)
		}
		dropped = true
	}
	if g := s.openSegment(); g != nil && s.trim(g) {
		dropped = true
	}
	return dropped
}

// trim cuts off what a segment was made longer than it is written, and tells
// whether it was.
func (s *Spool) trim(g *segment) bool {
	if g.ahead <= g.size {
		return false
	}
	if err := s.cutBack(g); err != nil {
		s.log.Warn("could not cut the unused end off a segment", "file", g.path, "error", err)
	}
	return true
}

// removeOldSpare removes what an earlier process prepared, if name is that, and
// tells whether it is.
func (s *Spool) removeOldSpare(name string) (bool, error) {
	if !strings.HasPrefix(name, sparePrefix) {
		return false, nil
	}
	if err := s.fs.Remove(filepath.Join(s.dirSegments(), name)); err != nil {
		return true, fmt.Errorf("remove prepared segment: %w", err)
	}
	return true, nil
}
