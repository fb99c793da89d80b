package spool_test

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// series collects many metrics, more than a scrape takes ahead of its reader.
type series struct{ desc *prometheus.Desc }

func (c series) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

func (c series) Collect(ch chan<- prometheus.Metric) {
	for i := range 2000 {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, 1, fmt.Sprint(i))
	}
}

// A scrape that is large must not stop the spool for ever: a collector that waits
// for its reader with the spool locked would, for the reader asks the spool too.
func TestALargeScrapeStopsNothing(t *testing.T) {
	o := options(crashfs.New(1))
	reg := prometheus.NewRegistry()
	o.Registry = reg
	for i := range 4 {
		reg.MustRegister(series{prometheus.NewDesc(fmt.Sprintf("series_%d", i), "A test.", []string{"i"}, nil)})
	}
	s := mustOpen(t, o)
	defer mustClose(t, s)
	for i := range 10 {
		mustCursor(t, s, fmt.Sprintf("out%d", i))
	}
	mustAppend(t, s, event(0))
	for range 100 { // a deadlock shows as a test that never ends
		if n := counter(t, reg, "siemrelay_spool_pending_events"); n != 10 {
			t.Fatalf("%v events before ten cursors, want 10", n)
		}
	}
}
