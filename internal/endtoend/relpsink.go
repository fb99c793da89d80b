package endtoend

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
)

// RELPSink is a receiver of syslog over RELP that writes the body of each message to
// a file before it confirms it. It takes RFC 5424 headers.
// The protocol: https://github.com/rsyslog/librelp/blob/master/doc/relp.html.
type RELPSink struct{ sink }

// NewRELPSink starts one on 127.0.0.1 that writes to the file at path. An address is
// host:port; empty is any free port.
func NewRELPSink(path, address string) (*RELPSink, error) {
	s := &RELPSink{}
	s.serve = s.session
	return s, s.open(path, or(address, "127.0.0.1:0"))
}

// Output is an output of the relay to it.
func (s *RELPSink) Output(name string, maxEvents int) Output {
	return Output{
		Name: name, Format: "cef", Path: s.Path(), MaxEvents: maxEvents, Type: "syslog",
		Settings: fmt.Sprintf("{address: %q, timeout: 5s}", "relp://"+s.Address()),
	}
}

// session takes frames until the connection ends, or something is wrong.
func (s *RELPSink) session(c net.Conn) {
	in, out := bufio.NewReaderSize(c, 64<<10), bufio.NewWriter(c)
	for {
		number, command, data, err := readFrame(in)
		if err != nil {
			return
		}
		reply := "200 OK"
		switch command {
		case "open":
			reply = "200 OK\nrelp_version=0\nrelp_software=test\ncommands=syslog"
		case "close":
			reply = ""
		case "syslog":
			body, ok := messageBody(data)
			if !ok {
				s.problem("no RFC 5424 header: %.200q", data)
			}
			if s.record(body) != nil {
				return
			}
		default:
			s.problem("unknown RELP command %q", command)
		}
		if reply == "" {
			fmt.Fprintf(out, "%d rsp 0\n", number)
		} else {
			fmt.Fprintf(out, "%d rsp %d %s\n", number, len(reply), reply)
		}
		if in.Buffered() > 0 && command != "close" {
			continue
		}
		if s.flush() != nil || out.Flush() != nil || command == "close" {
			return
		}
	}
}

// readFrame reads TXNR SP COMMAND SP DATALEN [SP DATA] LF.
func readFrame(in *bufio.Reader) (number int, command string, data []byte, err error) {
	first, err := in.ReadString(' ')
	if err != nil {
		return 0, "", nil, err
	}
	if number, err = strconv.Atoi(first[:len(first)-1]); err != nil {
		return 0, "", nil, err
	}
	if command, err = in.ReadString(' '); err != nil {
		return 0, "", nil, err
	}
	command = command[:len(command)-1]
	length := 0
	for {
		b, err := in.ReadByte()
		switch {
		case err != nil:
			return 0, "", nil, err
		case b == '\n' && length == 0:
			return number, command, nil, nil
		case b == ' ':
			data = make([]byte, length+1)
			if _, err := io.ReadFull(in, data); err != nil {
				return 0, "", nil, err
			}
			if data[length] != '\n' {
				return 0, "", nil, fmt.Errorf("read frame %d: it has no end", number)
			}
			return number, command, data[:length], nil
		case b < '0' || b > '9' || length > 1<<24:
			return 0, "", nil, fmt.Errorf("read frame %d: %q is no length", number, b)
		}
		length = 10*length + int(b-'0')
	}
}

// messageBody cuts the header of RFC 5424 off. It trusts that no space is in the
// structured data but between its elements' parts, as siemrelay's has it.
func messageBody(text []byte) ([]byte, bool) {
	rest := text
	for range 6 { // PRI and version, time, host, application, process, message id
		var ok bool
		if _, rest, ok = bytes.Cut(rest, []byte(" ")); !ok {
			return text, false
		}
	}
	if after, ok := bytes.CutPrefix(rest, []byte("- ")); ok {
		return after, true
	}
	_, body, ok := bytes.Cut(rest, []byte("] "))
	return body, ok && bytes.HasPrefix(rest, []byte("["))
}
