package receiver

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/valyala/fasthttp"
)

// outcome is what the door decided about one delivery. It is the index of the
// prebuilt answers and of the metrics, so the set is closed.
type outcome uint8

const (
	// undecided means that every check so far has passed.
	undecided outcome = iota
	accepted

	malformed
	plainHTTP
	timedOut
	headersTooLarge
	unsupportedVersion
	wrongPath
	wrongMethod
	unauthorized
	tooManyLogins
	unsupportedExpectation
	unsupportedEncoding
	tooLarge
	missingLength
	emptyBody
	truncated
	damagedGzip
	invalidJSON
	notObject
	trailingBytes
	tooDeep
	tooManyConnections
	tooBusy
	notStored
	internalError

	outcomes // their number
)

// retryAfter is the wait, in seconds, that every 503 asks for. Defense.com
// waits a minute or more before its first retry whatever it is told; other
// senders obey.
const retryAfter = "30"

// retryLogin is the wait, in seconds, after which a failed login gets a 401
// again: the length of login.Window.
const retryLogin = "60"

// answer is everything about an outcome but the stored event's receipt.
type answer struct {
	code   int
	label  string // value of the metric label "reason"
	text   string // "reason" in the body: what to do, for whoever set the webhook up
	closes bool   // the connection can't, or must not, carry another request
	kept   bool   // the body is given to Options.Rejects

	body   []byte    // the JSON body, prebuilt
	header [2]string // one more header field, if its name is not empty
}

// answers returns the whole vocabulary of the door. The texts are stable:
// senders show them to their users.
//
// Kept is what is wrong with a payload that has come as its sender meant it. A
// request that broke off, or whose framing is broken, is not: the part that came
// can't be taken in after all, the sender will send the whole again, and it
// would push out of the store what can be mended.
func answers() [outcomes]answer {
	table := [outcomes]answer{
		accepted:               {code: 200},
		malformed:              {code: 400, label: "malformed_http", closes: true, text: "this is not well-formed HTTP"},
		plainHTTP:              {code: 400, label: "plain_http", closes: true, text: "this port speaks TLS: use https"},
		timedOut:               {code: 408, label: "timeout", closes: true, text: "the request did not arrive in time"},
		headersTooLarge:        {code: 431, label: "headers_too_large", closes: true, text: "the headers are larger than 16 KiB"},
		unsupportedVersion:     {code: 505, label: "http_version", closes: true, text: "use HTTP/1.1"},
		wrongPath:              {code: 404, label: "path", closes: true, text: "there is no webhook at this path: check the URL"},
		wrongMethod:            {code: 405, label: "method", closes: true, text: "use POST", header: [2]string{"Allow", "POST"}},
		unauthorized:           {code: 401, label: "credentials", closes: true, text: "check the user name and the password", header: [2]string{"WWW-Authenticate", `Basic realm="siemrelay", charset="UTF-8"`}},
		tooManyLogins:          {code: 429, label: "login_limit", closes: true, text: "too many failed logins from this address: try again in a minute", header: [2]string{"Retry-After", retryLogin}},
		unsupportedExpectation: {code: 417, label: "expectation", closes: true, text: "the only known Expect is 100-continue"},
		unsupportedEncoding:    {code: 415, label: "encoding", closes: true, text: "send the body as it is, or with Content-Encoding: gzip"},
		tooLarge:               {code: 413, label: "too_large", closes: true, text: "the body is larger than the receiver's max_body"},
		missingLength:          {code: 400, label: "no_length", closes: true, kept: true, text: "the body is empty: send one JSON object"},
		emptyBody:              {code: 400, label: "empty", kept: true, text: "the body is empty: send one JSON object"},
		truncated:              {code: 400, label: "truncated", closes: true, text: "the request broke off"},
		damagedGzip:            {code: 400, label: "gzip", closes: true, kept: true, text: "the body is not valid gzip"},
		invalidJSON:            {code: 400, label: "json", kept: true, text: "the body is not valid JSON in UTF-8"},
		notObject:              {code: 400, label: "not_object", kept: true, text: "the body must be one JSON object"},
		trailingBytes:          {code: 400, label: "trailing_bytes", kept: true, text: "the body must be one JSON object and nothing after it"},
		tooDeep:                {code: 400, label: "too_deep", kept: true, text: "the JSON is nested deeper than 64 levels"},
		tooManyConnections:     {code: 503, label: "max_connections", closes: true, text: "too many connections: send it again later"},
		tooBusy:                {code: 503, label: "busy", closes: true, text: "too many large bodies at once: send it again later"},
		notStored:              {code: 503, label: "not_stored", text: "it could not be stored: send it again later"},
		internalError:          {code: 503, label: "internal", closes: true, text: "internal error: send it again later"},
	}
	for o := range table {
		a := &table[o]
		if a.text == "" {
			continue
		}
		if a.code == http.StatusServiceUnavailable {
			a.header = [2]string{"Retry-After", retryAfter}
		}
		a.body = fmt.Appendf(nil, `{"status":"rejected","reason":"%s"}`, a.text)
	}
	return table
}

// replyAccepted answers ctx with 200. The id of r needs no escaping in JSON (see
// Receipt).
func (s *Server) replyAccepted(ctx *fasthttp.RequestCtx, r Receipt) {
	ctx.Response.SetStatusCode(s.answers[accepted].code)
	ctx.Response.Header.SetContentTypeBytes(s.contentType)
	ctx.Response.AppendBodyString(`{"status":"accepted","id":"`)
	ctx.Response.AppendBodyString(r.ID)
	if r.Duplicate {
		ctx.Response.AppendBodyString(`","duplicate":true}`)
	} else {
		ctx.Response.AppendBodyString(`","duplicate":false}`)
	}
	s.metrics.accept(ctx.Time(), r.Duplicate)
}

// reply answers ctx with a refusal.
func (s *Server) reply(ctx *fasthttp.RequestCtx, o outcome) {
	a := &s.answers[o]
	ctx.Response.SetStatusCode(a.code)
	ctx.Response.Header.SetContentTypeBytes(s.contentType)
	ctx.Response.SetBodyRaw(a.body)
	if a.header[0] != "" {
		ctx.Response.Header.Set(a.header[0], a.header[1])
	}
	if a.closes {
		ctx.SetConnectionClose()
		if c, ok := ctx.Conn().(*conn); ok {
			// Whoever stalled has had the time to read; all others may still
			// be sending.
			c.lingers = o != timedOut
		}
	}
	s.metrics.reject(o)
}

// wire is the answer as bytes, for connections that never reach fasthttp.
func (a *answer) wire() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n",
		a.code, http.StatusText(a.code), len(a.body))
	if a.header[0] != "" {
		fmt.Fprintf(&b, "%s: %s\r\n", a.header[0], a.header[1])
	}
	b.WriteString("\r\n")
	b.Write(a.body)
	return b.Bytes()
}
