package admin

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Paths of the API for Explorer. All need the token.
const (
	EventsPath   = "/api/v1/events" // and /ID
	RecordsPath  = "/api/v1/records"
	RecordPath   = "/api/v1/record" // ?key=KEY
	OverviewPath = "/api/v1/overview"
	TestPath     = "/api/v1/test"
)

// explore adds the paths for Explorer.
func (a *api) explore(on func(path, method string, h http.HandlerFunc)) {
	on(EventsPath, http.MethodGet, get(a, func(ctx context.Context, r *http.Request) (EventPage, error) {
		q, err := parseEventQuery(r.URL.Query())
		if err != nil {
			return EventPage{}, err
		}
		return a.explorer.Events(ctx, q)
	}))
	on(EventsPath+"/{id}", http.MethodGet, get(a, func(ctx context.Context, r *http.Request) (EventDetail, error) {
		return a.explorer.Event(ctx, r.PathValue("id"))
	}))
	on(RecordsPath, http.MethodGet, get(a, func(ctx context.Context, r *http.Request) (RecordPage, error) {
		q, err := parseRecordQuery(r.URL.Query())
		if err != nil {
			return RecordPage{}, err
		}
		return a.explorer.Records(ctx, q)
	}))
	on(RecordPath, http.MethodGet, get(a, func(ctx context.Context, r *http.Request) (RecordDetail, error) {
		v := r.URL.Query()
		if err := knownParameters(v, "key"); err != nil {
			return RecordDetail{}, err
		}
		return a.explorer.Record(ctx, v.Get("key"))
	}))
	on(OverviewPath, http.MethodGet, get(a, func(ctx context.Context, r *http.Request) (Overview, error) {
		q, err := parseOverviewQuery(r.URL.Query())
		if err != nil {
			return Overview{}, err
		}
		return a.explorer.Overview(ctx, q)
	}))
	on(TestPath, http.MethodPost, post(a, func(ctx context.Context, _ struct{}) (TestResult, error) {
		return a.explorer.SendTest(ctx)
	}))
}

// knownParameters returns an Error for a parameter that there is not.
func knownParameters(v url.Values, known ...string) error {
	for name := range v {
		if !slices.Contains(known, name) {
			return Errorf(Invalid, "unknown parameter %q: there are %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

func parseEventQuery(v url.Values) (q EventQuery, err error) {
	if err := knownParameters(v, "text", "company", "limit", "before", "after"); err != nil {
		return q, err
	}
	q.Text, q.Company = v.Get("text"), v.Get("company")
	if q.Limit, err = parseLimit(v); err != nil {
		return q, err
	}
	for name, into := range map[string]*uint64{"before": &q.Before, "after": &q.After} {
		text := v.Get(name)
		if text == "" {
			continue
		}
		if *into, err = strconv.ParseUint(text, 10, 64); err != nil {
			return q, Errorf(Invalid, "%s %q: it must be the sequence of an event", name, text)
		}
	}
	return q, nil
}

func parseRecordQuery(v url.Values) (q RecordQuery, err error) {
	if err := knownParameters(v, "kind", "text", "company", "sort", "limit", "cursor"); err != nil {
		return q, err
	}
	q = RecordQuery{Kind: v.Get("kind"), Text: v.Get("text"), Company: v.Get("company"), Sort: v.Get("sort"), Cursor: v.Get("cursor")}
	q.Limit, err = parseLimit(v)
	return q, err
}

func parseLimit(v url.Values) (int, error) {
	text := v.Get("limit")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, Errorf(Invalid, "limit %q: it must be a number", text)
	}
	return n, nil
}

func parseOverviewQuery(v url.Values) (q OverviewQuery, err error) {
	if err := knownParameters(v, "company", "window"); err != nil {
		return q, err
	}
	q.Company = v.Get("company")
	if text := v.Get("window"); text != "" {
		if q.Window, err = time.ParseDuration(text); err != nil {
			return q, Errorf(Invalid, "window %q: it must be a duration, as 24h", text)
		}
	}
	return q, nil
}
