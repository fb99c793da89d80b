package syslog

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// RELP, as librelp's doc/relp.html describes it: both sides send frames
//
//	TXNR SP COMMAND SP DATALEN [SP DATA] LF
//
// TXNR is a number, from 1 to 999,999,999 and round again, that the client counts and
// that the server's answer, a frame with the command "rsp", repeats; the server's own
// "serverclose" has 0. DATALEN counts the bytes of DATA, and SP stands before DATA
// only if there is any. The data of an answer begin with a status, "200 OK" or
// "500 …", and may go on after a line feed.
const (
	maxTXNR = 999_999_999
	// maxAnswer is far above what an answer has; more is no RELP.
	maxAnswer = 64 << 10
	// relpWindow is how many events may be without an answer, librelp's own default.
	relpWindow = 128
)

// relpError says that the receiver does not keep to RELP.
type relpError struct {
	problem string
	opening bool // in place of the first answer
}

func (e relpError) Error() string { return "read RELP: " + e.problem }

func noRELP(format string, args ...any) error {
	return relpError{problem: fmt.Sprintf(format, args...)}
}

// frame is what a server sent.
type frame struct {
	txnr    int
	command string
	data    []byte
}

// appendFrame writes a frame.
func appendFrame(dst []byte, txnr int, command string, data []byte) []byte {
	dst = append(strconv.AppendInt(dst, int64(txnr), 10), ' ')
	dst = append(append(dst, command...), ' ')
	dst = strconv.AppendInt(dst, int64(len(data)), 10)
	if len(data) > 0 {
		dst = append(append(dst, ' '), data...)
	}
	return append(dst, '\n')
}

// readFrame reads a frame; its data are valid until the next call with the same buf.
// The error is io.EOF if there is none, a relpError if it is none.
func readFrame(r *bufio.Reader, buf []byte) (frame, error) {
	if _, err := r.Peek(1); err != nil {
		return frame{}, err
	}
	txnr, _, err := readNumber(r, maxTXNR, " ")
	if err != nil {
		return frame{}, err
	}
	command, err := readCommand(r)
	if err != nil {
		return frame{}, err
	}
	length, end, err := readNumber(r, maxAnswer, " \n")
	if err != nil {
		return frame{}, err
	}
	f := frame{txnr: txnr, command: command}
	if end == '\n' {
		if length > 0 {
			return frame{}, noRELP("a frame of %d bytes ends before them", length)
		}
		return f, nil
	}
	f.data = append(buf[:0], make([]byte, length)...)
	if _, err := io.ReadFull(r, f.data); err != nil {
		return frame{}, unexpected(err)
	}
	if c, err := r.ReadByte(); err != nil || c != '\n' {
		if err != nil {
			return frame{}, unexpected(err)
		}
		return frame{}, noRELP("a frame of %d bytes goes on with %q", length, c)
	}
	return f, nil
}

// readNumber reads digits up to and with one of the bytes of ends.
func readNumber(r *bufio.Reader, limit int, ends string) (n int, end byte, err error) {
	for digits := 0; ; digits++ {
		c, err := r.ReadByte()
		switch {
		case err != nil:
			return 0, 0, unexpected(err)
		case digits > 0 && bytes.IndexByte([]byte(ends), c) >= 0:
			return n, c, nil
		case c < '0' || c > '9':
			return 0, 0, noRELP("%q where a number must be", c)
		}
		if n = 10*n + int(c-'0'); n > limit {
			return 0, 0, noRELP("a number over %d", limit)
		}
	}
}

func readCommand(r *bufio.Reader) (string, error) {
	const longest = 32
	var name []byte
	for {
		c, err := r.ReadByte()
		switch {
		case err != nil:
			return "", unexpected(err)
		case c == ' ' && len(name) > 0:
			return string(name), nil
		case c < '0' || c > 'z' || len(name) == longest:
			return "", noRELP("%q in the name of a command", c)
		}
		name = append(name, c)
	}
}

func unexpected(err error) error {
	if err == io.EOF { //nolint:errorlint // readers return it bare
		return io.ErrUnexpectedEOF
	}
	return err
}

// answer is what a server said to a command.
type answer struct {
	txnr   int
	status int    // 0 if there is none
	text   string // after the status, clipped, empty for 200
	offers []byte // what follows its line, of the first answer only
}

// parseAnswer reads the data of an rsp frame. An answer to "close" may have none.
func parseAnswer(f frame) (answer, error) {
	line, rest, _ := bytes.Cut(f.data, []byte("\n"))
	a := answer{txnr: f.txnr, offers: rest}
	if len(f.data) == 0 {
		return a, nil
	}
	digits, text, _ := bytes.Cut(line, []byte(" "))
	status, err := strconv.Atoi(string(digits))
	if err != nil || len(digits) != 3 {
		return a, noRELP("an answer without a status: %s", clip(line))
	}
	if a.status = status; status != 200 {
		a.text = clip(text)
	}
	return a, nil
}
