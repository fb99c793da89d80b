package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/ledger"
)

// feeds is when a webhook of each company was last accepted, a retry included, so
// that a feed that went silent can be alarmed on. The companies are those of the
// configuration: what a payload names makes no time series.
type feeds map[string]prometheus.Gauge

func newFeeds(companies map[string]config.Company, registry prometheus.Registerer) feeds {
	all := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "siemrelay_company_last_accepted_timestamp_seconds",
		Help: "Unix time of the last accepted webhook of each company of the configuration, 0 if there was none since the start.",
	}, []string{"company"})
	registry.MustRegister(all)
	f := feeds{}
	for id := range companies {
		f[id] = all.WithLabelValues(id)
	}
	return f
}

// backlog shows since when each output has an event before it that it has not come
// to. It is safe for scrapes at the same time.
type backlog struct {
	spool   ledger.Spool
	letters ledger.Letters
	ages    *ledger.Ages
	oldest  *prometheus.Desc
}

func newBacklog(s *stores) *backlog {
	return &backlog{
		spool: s.spool, letters: s.letters, ages: s.ages,
		oldest: prometheus.NewDesc("siemrelay_output_oldest_pending_timestamp_seconds",
			"Unix time at which the oldest event that the output has not come to was accepted, 0 if there is none. Replays and dead letters that are sent again do not count.",
			[]string{"output"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (b *backlog) Describe(ch chan<- *prometheus.Desc) { ch <- b.oldest }

// Collect implements prometheus.Collector.
func (b *backlog) Collect(ch chan<- prometheus.Metric) {
	for _, e := range ledger.Entries(b.spool, b.letters) {
		at, err := b.ages.OldestPending(e)
		if err != nil {
			continue // a disk that can't be read must not blind all other metrics
		}
		seconds := 0.0
		if !at.IsZero() {
			seconds = float64(at.UnixMilli()) / 1000
		}
		ch <- prometheus.MustNewConstMetric(b.oldest, prometheus.GaugeValue, seconds, e.Output)
	}
}
