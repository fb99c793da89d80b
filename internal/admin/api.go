package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Paths of the API. Listings and single things are GET, what changes something is
// POST with a JSON body; answers are JSON. Who may ask is the gate's business.
const (
	StatusPath        = "/api/v1/status"
	LettersPath       = "/api/v1/deadletters" // and /ID
	LettersReplayPath = "/api/v1/deadletters/replay"
	LettersDropPath   = "/api/v1/deadletters/drop"
	RejectedPath      = "/api/v1/rejected" // and /ID
	AcceptPath        = "/api/v1/rejected/accept"
	ReplayPath        = "/api/v1/replay"
	CancelPath        = "/api/v1/replay/cancel"
	ForgetPath        = "/api/v1/outputs/forget"
	PingPath          = "/api/v1/ping" // {} at once, with the token

	apiPrefix = "/api/"
)

const (
	maxRequest = 64 << 10 // bytes of a request's body
	// workTime bounds one operation: many dead letters take a while to drop.
	workTime = 5 * time.Minute
)

// api answers requests by calling Operations and Explorer.
type api struct {
	ops      Operations
	explorer Explorer // may be nil
	log      *slog.Logger
}

func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	on := func(path, method string, h http.HandlerFunc) { mux.HandleFunc(path, Only(method, h, refuseMethod)) }

	on(PingPath, http.MethodGet, get(a, func(context.Context, *http.Request) (struct{}, error) { return struct{}{}, nil }))
	on(StatusPath, http.MethodGet, get(a, func(ctx context.Context, _ *http.Request) (Status, error) {
		return a.ops.Status(ctx)
	}))
	on(LettersPath, http.MethodGet, get(a, func(ctx context.Context, r *http.Request) (LetterPage, error) {
		q, err := parseLetterQuery(r.URL.Query())
		if err != nil {
			return LetterPage{}, err
		}
		return a.ops.DeadLetters(ctx, q)
	}))
	on(LettersPath+"/{id}", http.MethodGet, get(a, withID(a.ops.DeadLetter)))
	on(LettersReplayPath, http.MethodPost, post(a, a.ops.ReplayDeadLetters))
	on(LettersDropPath, http.MethodPost, post(a, a.ops.DropDeadLetters))
	on(RejectedPath, http.MethodGet, get(a, func(ctx context.Context, r *http.Request) (RejectedPage, error) {
		p, err := parsePage(r.URL.Query(), "limit", "after")
		if err != nil {
			return RejectedPage{}, err
		}
		return a.ops.Rejected(ctx, p)
	}))
	on(RejectedPath+"/{id}", http.MethodGet, get(a, withID(a.ops.RejectedBody)))
	on(AcceptPath, http.MethodPost, post(a, a.ops.AcceptRejected))
	on(ReplayPath, http.MethodPost, post(a, a.ops.Replay))
	on(CancelPath, http.MethodPost, post(a, a.ops.CancelReplay))
	on(ForgetPath, http.MethodPost, post(a, a.ops.Forget))
	if a.explorer != nil {
		a.explore(on)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.refuse(w, r, Errorf(NotFound, "there is nothing at %s", r.URL.Path))
	})
	return mux
}

// get answers with what ask returns.
func get[T any](a *api, ask func(context.Context, *http.Request) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer(a, w, r, func(ctx context.Context) (T, error) { return ask(ctx, r) })
	}
}

// post reads the request from the body and answers with what do returns.
func post[Q, T any](a *api, do func(context.Context, Q) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer(a, w, r, func(ctx context.Context) (T, error) {
			var q Q
			if err := readRequest(w, r, &q); err != nil {
				var none T
				return none, err
			}
			return do(ctx, q)
		})
	}
}

func answer[T any](a *api, w http.ResponseWriter, r *http.Request, work func(context.Context) (T, error)) {
	// The listener's own limits are for health checks.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(workTime + time.Minute)); err != nil {
		a.log.Debug("could not move a deadline", "error", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), workTime)
	defer cancel()
	v, err := work(ctx)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, v)
}

func withID[T any](ask func(context.Context, int64) (T, error)) func(context.Context, *http.Request) (T, error) {
	return func(ctx context.Context, r *http.Request) (T, error) {
		id, err := parseID(r.PathValue("id"))
		if err != nil {
			var none T
			return none, Errorf(Invalid, "id %q: it must be a number from 1", r.PathValue("id"))
		}
		return ask(ctx, id)
	}
}

// readRequest takes one JSON value of known fields.
func readRequest(w http.ResponseWriter, r *http.Request, into any) error {
	// A form can't send this type: a page elsewhere would have to ask first.
	if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(media) != "application/json" {
		return Errorf(Invalid, "Content-Type must be application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return Errorf(Invalid, "the request has something after its JSON object")
		}
		return nil
	}
	return requestError(err)
}

func parseLetterQuery(v url.Values) (q LetterQuery, err error) {
	if q.Page, err = parsePage(v, "limit", "after", "output", "reason", "company", "kind", "since", "until"); err != nil {
		return q, err
	}
	q.Output, q.Reason, q.Company, q.Kind = v.Get("output"), v.Get("reason"), v.Get("company"), v.Get("kind")
	for name, into := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		text := v.Get(name)
		if text == "" {
			continue
		}
		if *into, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return q, Errorf(Invalid, "%s %q: it must be RFC 3339, as 2026-06-19T09:30:04Z", name, text)
		}
	}
	return q, nil
}

// parsePage reads a page; known are all the parameters that there may be.
func parsePage(v url.Values, known ...string) (Page, error) {
	for name := range v {
		if !slices.Contains(known, name) {
			return Page{}, Errorf(Invalid, "unknown parameter %q: there are %s", name, strings.Join(known, ", "))
		}
	}
	var p Page
	var err error
	if text := v.Get("limit"); text != "" {
		if p.Limit, err = strconv.Atoi(text); err != nil {
			return p, Errorf(Invalid, "limit %q: it must be a number", text)
		}
	}
	if text := v.Get("after"); text != "" {
		if p.After, err = strconv.ParseInt(text, 10, 64); err != nil {
			return p, Errorf(Invalid, "after %q: it must be an id", text)
		}
	}
	return p.Normal()
}

func parseID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err == nil && id < 1 {
		err = strconv.ErrRange
	}
	return id, err
}

// statusOf is the HTTP status of a code.
func statusOf(code Code) int {
	switch code {
	case Invalid:
		return http.StatusBadRequest
	case Denied:
		return http.StatusForbidden
	case NotFound:
		return http.StatusNotFound
	case Conflict:
		return http.StatusConflict
	case Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// refuse answers with an error.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = Errorf(Internal, "%v", err)
		a.log.Error("an admin request failed", "path", r.URL.Path, "error", err)
	}
	writeJSON(w, statusOf(e.Code), e)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // who does not read the answer does not get it
}
