package performance_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// subject is one of the things that are compared, and its results, one of each round.
type subject struct {
	name    string
	run     func(*testing.T) result
	results []result
}

// compareAll runs the subjects in turn, round after round.
func compareAll(t *testing.T, subjects []*subject) {
	t.Helper()
	for range *rounds {
		for _, s := range subjects {
			t.Run(strings.ReplaceAll(s.name, " ", "-"), func(t *testing.T) { s.results = append(s.results, s.run(t)) })
		}
	}
}

// whole tells whether every round of each has a result.
func whole(subjects []*subject) bool {
	for _, s := range subjects {
		if len(s.results) < *rounds {
			return false
		}
	}
	return true
}

// median is the median of what value finds in the results of s.
func (s *subject) median(value func(round int, r result) float64) float64 {
	var values []float64
	for i, r := range s.results {
		values = append(values, value(i, r))
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

const tableHead = `| | connections | | answers/s | of bare HTTP | of bare log | p50 | p99 | p99, of bare HTTP | processor | the load's | peak memory | behind | again |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
`

// rows are the lines of a table for what was compared at a door. The first two
// subjects are the bare server and the bare log.
func rows(d door, subjects []*subject) string {
	var b strings.Builder
	bare, log := subjects[0], subjects[1]
	for i, s := range subjects {
		number := func(format string, value func(r result) float64) string {
			v := s.median(func(_ int, r result) float64 { return value(r) })
			if v == 0 {
				return ""
			}
			return fmt.Sprintf(format, v)
		}
		ratio := func(to *subject, value func(r result) float64) string {
			if i < 2 {
				return ""
			}
			return fmt.Sprintf("%.2f", s.median(func(round int, r result) float64 { return value(r) / value(to.results[round]) }))
		}
		rate := func(r result) float64 { return r.rate }
		ms := func(value func(r result) time.Duration) func(r result) float64 {
			return func(r result) float64 { return float64(value(r)) / float64(time.Millisecond) }
		}
		us := func(value func(r result) time.Duration) func(r result) float64 {
			return func(r result) float64 { return float64(value(r)) / float64(time.Microsecond) }
		}
		p99 := ms(func(r result) time.Duration { return r.p99 })
		fmt.Fprintf(&b, "| %s |\n", strings.Join([]string{
			d.String(), fmt.Sprint(d.connections), s.name, number("%.0f", rate), ratio(bare, rate), ratio(log, rate),
			number("%.2f ms", ms(func(r result) time.Duration { return r.p50 })), number("%.2f ms", p99), ratio(bare, p99),
			number("%.1f µs", us(func(r result) time.Duration { return r.server })), number("%.1f µs", us(func(r result) time.Duration { return r.load })),
			number("%.0f MiB", func(r result) float64 { return float64(r.memory) / (1 << 20) }),
			number("%.0f ms", ms(func(r result) time.Duration { return r.behind })),
			number("%.0f", func(r result) float64 { return float64(r.again) }),
		}, " | "))
	}
	return b.String()
}

// publish logs a table and adds it to the report.
func publish(t *testing.T, title, table string) {
	t.Helper()
	text := fmt.Sprintf("## %s\n\nMedian of %d rounds of %v, bodies of %d bytes.\n\n%s\n", title, *rounds, *runFor, *body, table)
	t.Log("\n" + text)
	if *report == "" {
		return
	}
	f, err := os.OpenFile(*report, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(t, err)
	defer f.Close()
	_, err = f.WriteString(text)
	must(t, err)
}
