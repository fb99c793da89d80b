package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Overview is how things are.
type Overview struct {
	Accepted    [60]int // events of each of the last 60 minutes, the current one last
	Last        time.Time
	OpenThreats map[string]int // by risk
	OpenTickets int
	Step        time.Duration
	Buckets     []Bucket
	Companies   []CompanyCount // by name, or id where there is none
	Events      int
	Oldest      time.Time
}

// Bucket counts events by the word of their severity, info first.
type Bucket struct {
	Start  time.Time
	Events [5]int
}

// CompanyCount is a company and its open threats.
type CompanyCount struct {
	ID, Name string
	Open     int
}

// maxBuckets is how many buckets a window has at most, and one more.
const maxBuckets = 100

// stepOf is how long a bucket of a window is.
func stepOf(window time.Duration) time.Duration {
	for _, step := range []time.Duration{
		time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	} {
		if window <= maxBuckets*step {
			return step
		}
	}
	return 24 * time.Hour
}

// Overview counts what is stored of a company, or of all if it is empty, with buckets
// for a window up to now.
func (r *Reader) Overview(ctx context.Context, company string, window time.Duration) (Overview, error) {
	now := r.o.Now().UTC()
	o := Overview{OpenThreats: map[string]int{}, Step: stepOf(window)}
	for start := now.Add(-window).Truncate(o.Step); !start.After(now); start = start.Add(o.Step) {
		o.Buckets = append(o.Buckets, Bucket{Start: start})
	}
	err := r.view(ctx, func(v *view) error {
		id, err := v.companies(&o, company)
		if err != nil {
			return err
		}
		return errors.Join(v.open(&o, id), v.minutes(&o, id, now), v.buckets(&o, id), v.sums(&o, id))
	})
	if err != nil {
		return o, fmt.Errorf("count events: %w", err)
	}
	return o, nil
}

// anyCompany is what a query takes for the number of a company where all are meant.
const anyCompany = -1

// companies lists all companies, and returns the number of the one that is asked for.
func (v *view) companies(o *Overview, company string) (id int64, err error) {
	id = anyCompany
	if company != "" {
		id = 0 // none
	}
	err = v.all(`SELECT c.id, c.company, c.name, (SELECT COUNT(*) FROM records r WHERE r.open = 1 AND r.kind = 'threat' AND r.company = c.id)
		FROM companies c ORDER BY CASE c.name WHEN '' THEN c.company ELSE c.name END COLLATE NOCASE, c.company`, nil, func(rows *sql.Rows) error {
		var n int64
		var c CompanyCount
		if err := rows.Scan(&n, &c.ID, &c.Name, &c.Open); err != nil {
			return err
		}
		if company != "" && c.ID == company {
			id = n
		}
		o.Companies = append(o.Companies, c)
		return nil
	})
	return id, err
}

// open counts open records.
func (v *view) open(o *Overview, company int64) error {
	return v.all(`SELECT kind, risk, COUNT(*) FROM records WHERE open = 1 AND (? < 0 OR company = ?) GROUP BY kind, risk`,
		[]any{company, company}, func(rows *sql.Rows) error {
			var kind, risk string
			var n int
			if err := rows.Scan(&kind, &risk, &n); err != nil {
				return err
			}
			if kind == kindThreat {
				o.OpenThreats[risk] += n
			} else {
				o.OpenTickets += n
			}
			return nil
		})
}

// minutes counts the last hour.
func (v *view) minutes(o *Overview, company int64, now time.Time) error {
	current := now.Truncate(time.Minute).Unix()
	first := current - int64(len(o.Accepted)-1)*spanMinute
	return v.all(`SELECT start, SUM(events) FROM counts WHERE span = ? AND start >= ? AND start <= ? AND (? < 0 OR company = ?) GROUP BY start`,
		[]any{spanMinute, first, current, company, company}, func(rows *sql.Rows) error {
			var start int64
			var n int
			err := rows.Scan(&start, &n)
			if err == nil {
				o.Accepted[(start-first)/spanMinute] = n
			}
			return err
		})
}

// buckets counts the window.
func (v *view) buckets(o *Overview, company int64) error {
	span := int64(spanHour)
	if o.Step < time.Hour {
		span = spanMinute
	}
	first := o.Buckets[0].Start.Unix()
	step := int64(o.Step / time.Second)
	return v.all(`SELECT start, word, events FROM counts WHERE span = ? AND start >= ? AND (? < 0 OR company = ?)`,
		[]any{span, first, company, company}, func(rows *sql.Rows) error {
			var start int64
			var word, n int
			if err := rows.Scan(&start, &word, &n); err != nil {
				return err
			}
			// What was accepted after now, by a clock that was wrong, is in no bucket.
			if i := (start - first) / step; i < int64(len(o.Buckets)) && word >= 0 && word < len(o.Buckets[i].Events) {
				o.Buckets[i].Events[word] += n
			}
			return nil
		})
}

// sums counts all events, and finds the first and the last.
func (v *view) sums(o *Overview, company int64) error {
	err := v.row(`SELECT COALESCE(SUM(events), 0) FROM counts WHERE span = ? AND (? < 0 OR company = ?)`, spanHour, company, company).Scan(&o.Events)
	if err != nil {
		return err
	}
	for order, into := range map[string]*time.Time{"ASC": &o.Oldest, "DESC": &o.Last} {
		var at int64
		err := v.row(`SELECT accepted FROM events ORDER BY accepted ` + order + ` LIMIT 1`).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		*into = time.Unix(0, at).UTC()
	}
	return nil
}
