package endtoend

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Path is where every relay of the tests takes webhooks.
const Path = "/webhooks/defense"

// Login is a user name and a password.
type Login struct{ Username, Password string }

// Token is the login as an Authorization header has it, without the scheme.
func (l Login) Token() string {
	return base64.StdEncoding.EncodeToString([]byte(l.Username + ":" + l.Password))
}

// Client posts webhooks over one connection, which it keeps and opens again when
// it has ended. It never sends a body twice by itself. One goroutine uses it.
type Client struct {
	Address string      // host:port
	TLS     *tls.Config // nil: plain HTTP
	Login   Login

	raw  *net.TCPConn
	conn net.Conn // raw, or TLS over it
	in   *bufio.Reader
}

// Answer is what a webhook got.
type Answer struct {
	Status     int
	RetryAfter string
	ID         string // of the event, if it was accepted
	Duplicate  bool   // it was there already
	Reason     string // if it was not
}

// Accepted tells whether the sender takes the answer for a success.
func (a Answer) Accepted() bool { return a.Status >= 200 && a.Status < 300 }

// Dial opens the connection if there is none.
func (c *Client) Dial() error {
	if c.conn != nil {
		return nil
	}
	d := net.Dialer{Timeout: Patience}
	conn, err := d.Dial("tcp", c.Address)
	if err != nil {
		return err
	}
	raw := conn.(*net.TCPConn)
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		conn.Close()
		return err
	}
	if c.TLS != nil {
		secure := tls.Client(conn, c.TLS)
		if err := secure.Handshake(); err != nil {
			conn.Close()
			return err
		}
		conn = secure
	}
	c.raw, c.conn, c.in = raw, conn, bufio.NewReader(conn)
	return nil
}

// Certificate returns the first certificate that the server showed, as DER, and
// nil without TLS or a connection.
func (c *Client) Certificate() []byte {
	secure, ok := c.conn.(*tls.Conn)
	if !ok {
		return nil
	}
	return secure.ConnectionState().PeerCertificates[0].Raw
}

// Close ends the connection, if there is one.
func (c *Client) Close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// Post sends a body and returns the answer. After an error the body may have
// been accepted or not.
func (c *Client) Post(body []byte) (Answer, error) {
	if err := c.Dial(); err != nil {
		return Answer{}, err
	}
	answer, keep, err := c.exchange(body)
	if err != nil || !keep {
		c.Close()
	}
	return answer, err
}

// Loss is how an answer does not reach the sender.
type Loss int

// The losses. After the last two the relay may have got the body or not.
const (
	Unread Loss = iota // it was on its way when the sender reset the connection
	Reset              // the sender reset the connection as soon as the body was out
	Closed             // the sender closed it then
)

// Lose sends a body and loses the answer.
func (c *Client) Lose(body []byte, how Loss) error {
	if err := c.Dial(); err != nil {
		return err
	}
	defer c.Close()
	if err := c.request(body); err != nil {
		return err
	}
	if how == Unread {
		if _, err := c.in.Peek(1); err != nil {
			return err
		}
	}
	if how != Closed {
		if err := c.raw.SetLinger(0); err != nil {
			return err
		}
	}
	return c.raw.Close() // no farewell of TLS
}

func (c *Client) request(body []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		return err
	}
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: relay.example.com\r\nAuthorization: Basic %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", Path, c.Login.Token(), len(body))
	_, err := c.conn.Write(append(request, body...))
	return err
}

func (c *Client) exchange(body []byte) (answer Answer, keep bool, err error) {
	if err := c.request(body); err != nil {
		return Answer{}, false, err
	}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return Answer{}, false, err
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, false, err
	}
	answer = Answer{Status: response.StatusCode, RetryAfter: response.Header.Get("Retry-After")}
	var said struct {
		ID, Reason string
		Duplicate  bool
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return answer, false, fmt.Errorf("read answer %d %q: %w", answer.Status, text, err)
	}
	answer.ID, answer.Reason, answer.Duplicate = said.ID, said.Reason, said.Duplicate
	return answer, !response.Close, nil
}
