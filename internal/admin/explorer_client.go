package admin

import (
	"context"
	"net/url"
	"strconv"
)

var _ Explorer = (*Client)(nil)

// Events implements Explorer.
func (c *Client) Events(ctx context.Context, q EventQuery) (EventPage, error) {
	v := limited(q.Limit)
	set(v, "text", q.Text)
	set(v, "company", q.Company)
	if q.Before != 0 {
		v.Set("before", strconv.FormatUint(q.Before, 10))
	}
	if q.After != 0 {
		v.Set("after", strconv.FormatUint(q.After, 10))
	}
	return ask[EventPage](ctx, c, EventsPath+"?"+v.Encode())
}

// Event implements Explorer.
func (c *Client) Event(ctx context.Context, id string) (EventDetail, error) {
	if id == "" { // the path of the listing
		return EventDetail{}, Errorf(NotFound, "there is no event without an id")
	}
	return ask[EventDetail](ctx, c, EventsPath+"/"+url.PathEscape(id))
}

// Records implements Explorer.
func (c *Client) Records(ctx context.Context, q RecordQuery) (RecordPage, error) {
	v := limited(q.Limit)
	for name, text := range map[string]string{"kind": q.Kind, "text": q.Text, "company": q.Company, "sort": q.Sort, "cursor": q.Cursor} {
		set(v, name, text)
	}
	return ask[RecordPage](ctx, c, RecordsPath+"?"+v.Encode())
}

// Record implements Explorer.
func (c *Client) Record(ctx context.Context, key string) (RecordDetail, error) {
	return ask[RecordDetail](ctx, c, RecordPath+"?"+url.Values{"key": {key}}.Encode())
}

// Overview implements Explorer.
func (c *Client) Overview(ctx context.Context, q OverviewQuery) (Overview, error) {
	v := url.Values{}
	set(v, "company", q.Company)
	if q.Window != 0 {
		v.Set("window", q.Window.String())
	}
	return ask[Overview](ctx, c, OverviewPath+"?"+v.Encode())
}

// SendTest implements Explorer.
func (c *Client) SendTest(ctx context.Context) (TestResult, error) {
	return tell[TestResult](ctx, c, TestPath, struct{}{})
}

func set(v url.Values, name, text string) {
	if text != "" {
		v.Set(name, text)
	}
}

func limited(limit int) url.Values {
	v := url.Values{}
	if limit != 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	return v
}
