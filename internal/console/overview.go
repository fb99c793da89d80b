package console

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// windows are the parts of the past that the overview shows.
var windows = []struct {
	Name, Label string
	Length      time.Duration
}{
	{"24h", "24 hours", 24 * time.Hour},
	{"7d", "7 days", 7 * 24 * time.Hour},
	{"30d", "30 days", 30 * 24 * time.Hour},
}

// overviewData is the data of the first page.
type overviewData struct {
	page
	Overview *admin.Overview // nil: Problem says why
	Problem  string
	Window   string
	Windows  []windowLink
	Latest   []admin.EventSummary
	Minutes  []minuteBar
	MaxOpen  int
	Total    severityTotal
}

type windowLink struct {
	Label, Address string
	Now            bool
}

// minuteBar is one minute of the last hour in a picture 240 wide and 40 high.
type minuteBar struct{ X, Y, Height, Count, Ago int }

// severityTotal is how many events of the window have each severity.
type severityTotal struct{ Critical, High, Medium, Low, Info int }

// Nothing tells whether nothing has come at all.
func (d overviewData) Nothing() bool {
	return d.Overview != nil && d.Overview.Events == 0 && d.Company == ""
}

// ThisMinute is how many events came in the minute that is not over.
func (d overviewData) ThisMinute() int {
	if n := len(d.Overview.Accepted); n > 0 {
		return d.Overview.Accepted[n-1]
	}
	return 0
}

// LastHour is how many events came in the last 60 minutes.
func (d overviewData) LastHour() int {
	sum := 0
	for _, n := range d.Overview.Accepted {
		sum += n
	}
	return sum
}

// SpoolWidth is how full the spool is, of 240.
func (d overviewData) SpoolWidth() int {
	return min(240, share(uint64(max(0, d.Status.Spool.Bytes)), uint64(max(0, d.Status.Spool.MaxBytes)), 240))
}

// OpenWidth is the length of the bar of a count, of 100.
func (d overviewData) OpenWidth(n int) int { return share(uint64(n), uint64(d.MaxOpen), 100) }

// Goods counts the configured outputs, and those that go on.
func (d overviewData) Goods() [2]int {
	var n [2]int
	for _, o := range d.Status.Outputs {
		if o.Configured {
			n[1]++
			if o.State == admin.StateOK {
				n[0]++
			}
		}
	}
	return n
}

// OpenTotal is how many threats are open.
func (d overviewData) OpenTotal() int {
	sum := 0
	for _, k := range d.Overview.OpenThreats {
		sum += k.Count
	}
	return sum
}

func (c *Console) overviewPage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	window, length := readWindow(r)
	d := overviewData{page: c.newPage(ctx, r, "Overview", "/"), Window: window}
	for _, k := range windows {
		d.Windows = append(d.Windows, windowLink{k.Label, address("/", "window", k.Name, "company", d.Company), k.Name == window})
	}
	o, err := c.explore.Overview(ctx, admin.OverviewQuery{Company: d.Company, Window: length})
	if err != nil {
		// The rest of the page is of use without it.
		c.note(r, err)
		_, d.Problem = explain(err)
		c.render(w, r, http.StatusOK, "overview", d)
		return
	}
	d.fill(&o)
	latest, err := c.explore.Events(ctx, admin.EventQuery{Company: d.Company, Limit: 8})
	if err != nil {
		c.note(r, err)
		_, d.Problem = explain(err)
	}
	d.Latest = latest.Events
	c.render(w, r, http.StatusOK, "overview", d)
}

func (d *overviewData) fill(o *admin.Overview) {
	d.Overview = o
	most := 1
	for _, n := range o.Accepted {
		most = max(most, n)
	}
	for i, n := range o.Accepted {
		height := share(uint64(n), uint64(most), 40)
		d.Minutes = append(d.Minutes, minuteBar{X: i * 4, Y: 40 - height, Height: height, Count: n, Ago: len(o.Accepted) - 1 - i})
	}
	for _, k := range o.OpenThreats {
		d.MaxOpen = max(d.MaxOpen, k.Count)
	}
	for _, b := range o.Buckets {
		d.Total.Critical += b.Critical
		d.Total.High += b.High
		d.Total.Medium += b.Medium
		d.Total.Low += b.Low
		d.Total.Info += b.Info
	}
}

func readWindow(r *http.Request) (string, time.Duration) {
	name := r.URL.Query().Get("window")
	for _, k := range windows {
		if k.Name == name {
			return k.Name, k.Length
		}
	}
	return windows[0].Name, windows[0].Length
}

// severityData is the picture of severities over time, as columns: the begin of each
// part of the window in seconds, then the events from critical to info.
func (c *Console) severityData(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	_, length := readWindow(r)
	w.Header().Set("Content-Type", "application/json")
	o, err := c.explore.Overview(ctx, admin.OverviewQuery{Company: r.URL.Query().Get("company"), Window: length})
	if err != nil {
		c.note(r, err)
		status, text := explain(err)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": text}) // as above
		return
	}
	columns := make([][]int64, 6)
	for i := range columns {
		columns[i] = make([]int64, 0, len(o.Buckets))
	}
	for _, b := range o.Buckets {
		for i, n := range []int64{b.Start.Unix(), int64(b.Critical), int64(b.High), int64(b.Medium), int64(b.Low), int64(b.Info)} {
			columns[i] = append(columns[i], n)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"columns": columns}) // who does not read the answer does not get it
}

// statusPart is the bar at the top of every page and the numbers in its menu.
func (c *Console) statusPart(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	p := page{Swap: true, Now: c.now(), Version: c.version, Caller: admin.CallerOf(r.Context()), Company: r.URL.Query().Get("company")}
	p.setStatus(c.ops.Status(ctx))
	if fragment(r) == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	c.render(w, r, http.StatusOK, "status", p)
}
