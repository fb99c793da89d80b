package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/siemrelay/siemrelay/internal/certificate"
)

// ErrNoAnswer means that nobody, or something else, answers at the address.
var ErrNoAnswer = errors.New("the admin listener does not answer")

// maxAnswer bounds an answer. The largest is one dead letter: its body, of at
// most 64 MiB, escaped, and the record made of it.
const maxAnswer = 1 << 30

// Client talks to the API of a running process. It implements Operations.
type Client struct {
	access Access
	base   string // of the URLs
	http   *http.Client
}

var _ Operations = (*Client)(nil)

// NewClient makes a client. It does not connect yet, and never through a proxy.
func NewClient(a Access) *Client {
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: workTime + time.Minute,
		DisableKeepAlives:     true,
	}
	base := "http://" + a.Address
	if a.Fingerprint != "" {
		base, transport.TLSClientConfig = "https://"+a.Address, certificate.Pinned(a.Fingerprint)
	}
	return &Client{a, base, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Ping returns nil if the process that the access is for answers. It asks for no
// work, so that the answer comes at once also while there is much to do.
func (c *Client) Ping(ctx context.Context) error {
	_, err := ask[struct{}](ctx, c, PingPath)
	return err
}

// Status implements Operations.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return ask[Status](ctx, c, StatusPath)
}

// DeadLetters implements Operations.
func (c *Client) DeadLetters(ctx context.Context, q LetterQuery) (LetterPage, error) {
	if err := q.CheckList(); err != nil { // ids have no place in a query
		return LetterPage{}, err
	}
	v := pageValues(q.Page)
	for name, text := range map[string]string{"output": q.Output, "reason": q.Reason, "company": q.Company, "kind": q.Kind} {
		if text != "" {
			v.Set(name, text)
		}
	}
	for name, t := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !t.IsZero() {
			v.Set(name, t.Format(time.RFC3339Nano))
		}
	}
	return ask[LetterPage](ctx, c, LettersPath+"?"+v.Encode())
}

// DeadLetter implements Operations.
func (c *Client) DeadLetter(ctx context.Context, id int64) (LetterDetail, error) {
	return ask[LetterDetail](ctx, c, LettersPath+"/"+strconv.FormatInt(id, 10))
}

// ReplayDeadLetters implements Operations.
func (c *Client) ReplayDeadLetters(ctx context.Context, a LetterAction) (LetterResult, error) {
	return tell[LetterResult](ctx, c, LettersReplayPath, a)
}

// DropDeadLetters implements Operations.
func (c *Client) DropDeadLetters(ctx context.Context, a LetterAction) (LetterResult, error) {
	return tell[LetterResult](ctx, c, LettersDropPath, a)
}

// Rejected implements Operations.
func (c *Client) Rejected(ctx context.Context, p Page) (RejectedPage, error) {
	return ask[RejectedPage](ctx, c, RejectedPath+"?"+pageValues(p).Encode())
}

// RejectedBody implements Operations.
func (c *Client) RejectedBody(ctx context.Context, id int64) (RejectedDetail, error) {
	return ask[RejectedDetail](ctx, c, RejectedPath+"/"+strconv.FormatInt(id, 10))
}

// AcceptRejected implements Operations.
func (c *Client) AcceptRejected(ctx context.Context, a AcceptRequest) (AcceptResult, error) {
	return tell[AcceptResult](ctx, c, AcceptPath, a)
}

// Replay implements Operations.
func (c *Client) Replay(ctx context.Context, r ReplayRequest) (ReplayResult, error) {
	return tell[ReplayResult](ctx, c, ReplayPath, r)
}

// CancelReplay implements Operations.
func (c *Client) CancelReplay(ctx context.Context, r OutputRequest) (CancelResult, error) {
	return tell[CancelResult](ctx, c, CancelPath, r)
}

// Forget implements Operations.
func (c *Client) Forget(ctx context.Context, r OutputRequest) (ForgetResult, error) {
	return tell[ForgetResult](ctx, c, ForgetPath, r)
}

func pageValues(p Page) url.Values {
	v := url.Values{}
	if p.Limit != 0 {
		v.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.After != 0 {
		v.Set("after", strconv.FormatInt(p.After, 10))
	}
	return v
}

func ask[T any](ctx context.Context, c *Client, path string) (T, error) {
	return roundTrip[T](ctx, c, path, nil)
}

func tell[T any](ctx context.Context, c *Client, path string, request any) (T, error) {
	body, err := json.Marshal(request)
	if err != nil {
		var none T
		return none, fmt.Errorf("encode request: %w", err)
	}
	return roundTrip[T](ctx, c, path, body)
}

// roundTrip sends a POST if there is a body, and a GET if not.
func roundTrip[T any](ctx context.Context, c *Client, path string, body []byte) (result T, err error) {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return result, fmt.Errorf("%w at %q: %w", ErrNoAnswer, c.access.Address, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.access.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.access.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return result, fmt.Errorf("%w at %s: %w", ErrNoAnswer, c.access.Address, withoutURL(err))
	}
	defer resp.Body.Close()
	d := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode == http.StatusOK {
		if err := d.Decode(&result); err != nil {
			return result, fmt.Errorf("read the answer of %s: %w", c.access.Address, err)
		}
		return result, nil
	}
	var e Error
	if err := d.Decode(&e); err != nil || e.Code == "" || e.Text == "" {
		return result, fmt.Errorf("%w at %s: something else answers there, with status %d", ErrNoAnswer, c.access.Address, resp.StatusCode)
	}
	if e.Code == Internal { // it may be of any kind there, and is here
		return result, errors.New(e.Text)
	}
	return result, &e
}

// withoutURL leaves out what url.Error repeats.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
