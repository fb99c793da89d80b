package receiver

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// wellFramed refuses what fasthttp accepts but another HTTP implementation may
// read differently, so that a proxy and we could disagree about where a request
// ends (request smuggling). raw is the header block as it came, without the
// request line; requestLine judges that one's ending. Refused are
//   - lines that end in a bare LF (RFC 9112 section 2.2 calls it a MAY);
//   - continuation lines, obs-fold (section 5.2);
//   - field names with a space in them (section 5.1);
//   - Transfer-Encoding with anything but one "chunked", and Transfer-Encoding
//     together with Content-Length (sections 6.1 and 6.3).
//
// fasthttp itself refuses repeated and malformed Content-Length fields, two
// Transfer-Encoding fields, repeated and missing Host fields, control
// characters, and white space before a colon. The raw-socket tests hold both
// halves.
func wellFramed(raw []byte) bool {
	length, encoding := false, false
	for len(raw) > 0 {
		end := bytes.IndexByte(raw, '\n')
		if end < 1 || raw[end-1] != '\r' {
			return false
		}
		line := raw[:end-1]
		raw = raw[end+1:]
		if len(line) == 0 {
			break // the empty line that ends the block
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 1 || bytes.IndexByte(line[:colon], ' ') >= 0 || line[0] == '\t' {
			return false
		}
		switch {
		case isField(line[:colon], fasthttp.HeaderContentLength):
			length = true
		case isField(line[:colon], fasthttp.HeaderTransferEncoding):
			if encoding || !isField(bytes.Trim(line[colon+1:], " \t"), "chunked") {
				return false
			}
			encoding = true
		}
	}
	return len(raw) == 0 && (!length || !encoding)
}

// isField compares ASCII without case.
func isField(got []byte, want string) bool {
	return len(got) == len(want) && bytes.EqualFold(got, []byte(want))
}
