package endtoend

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"
)

// Line is one line of an output, as far as a load's events need it.
type Line struct {
	EventID  string
	Record   string // the record's id
	Title    string
	Sequence uint64 // ECS only
	Hash     string // SHA-256 of the webhook's body; ECS only
}

// Tail reads the lines of a file as they are added. A line counts once it has its
// end: what a crash leaves of one is cut by the relay, and then the file goes on
// from there.
type Tail struct {
	Path   string
	offset int64
}

// Read returns the whole lines since the last call, without their ends. A file
// that is not there has none.
func (t *Tail) Read() ([][]byte, error) {
	f, err := os.Open(t.Path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < t.offset {
		return nil, fmt.Errorf("read %s: it was cut to %d bytes, whole lines had ended at %d", t.Path, info.Size(), t.offset)
	}
	text := make([]byte, info.Size()-t.offset)
	n, err := f.ReadAt(text, t.offset)
	if n < len(text) {
		return nil, fmt.Errorf("read %s: %w", t.Path, err)
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	t.offset += int64(len(text))
	var lines [][]byte
	for line := range bytes.Lines(text) {
		lines = append(lines, line[:len(line)-1])
	}
	return lines, nil
}

// Torn returns the bytes behind the last whole line.
func (t *Tail) Torn() (int64, error) {
	info, err := os.Stat(t.Path)
	if err != nil {
		return 0, err
	}
	return info.Size() - t.offset, nil
}

// ParseLine reads a line of an output in the format.
func ParseLine(format string, line []byte) (Line, error) {
	if !utf8.Valid(line) {
		return Line{}, fmt.Errorf("read line %.200q: not valid UTF-8", line)
	}
	if format == "cef" {
		return parseCEF(string(line))
	}
	var doc struct {
		Message string
		Event   struct {
			ID       string
			Sequence uint64
			Hash     string
		}
		Defensecom struct{ Threat, Ticket struct{ ID string } }
	}
	if err := json.Unmarshal(line, &doc); err != nil {
		return Line{}, fmt.Errorf("read line %.200q: %w", line, err)
	}
	if doc.Event.ID == "" {
		return Line{}, fmt.Errorf("read line %.200q: it has no event.id", line)
	}
	return Line{
		EventID: doc.Event.ID, Title: doc.Message, Sequence: doc.Event.Sequence, Hash: doc.Event.Hash,
		Record: doc.Defensecom.Threat.ID + doc.Defensecom.Ticket.ID,
	}, nil
}

// parseCEF trusts that no payload text is behind the event's id, and that record
// and title hold nothing that CEF escapes, where they are asked for.
func parseCEF(line string) (Line, error) {
	parts := strings.SplitN(line, "|", 8)
	if len(parts) < 8 || parts[0] != "CEF:0" {
		return Line{}, fmt.Errorf("read line %.200q: not CEF", line)
	}
	if strings.ContainsAny(line, "\r\x00") {
		return Line{}, fmt.Errorf("read line %.200q: a control character", line)
	}
	id := line[strings.LastIndex(line, " cs6=")+1:]
	id, rest, _ := strings.Cut(strings.TrimPrefix(id, "cs6="), " ")
	if len(id) != 32 || !strings.HasPrefix(rest, "cs6Label=eventId") {
		return Line{}, fmt.Errorf("read line %.200q: it has no event id", line)
	}
	_, record, _ := strings.Cut(parts[7], "externalId=")
	record, _, _ = strings.Cut(record, " ")
	return Line{EventID: id, Title: parts[5], Record: record}, nil
}

// number is the title as a load's deliveries have it, 0 if it is something else.
func (l Line) number() int {
	n, err := strconv.Atoi(l.Title)
	if err != nil {
		return 0
	}
	return n
}
