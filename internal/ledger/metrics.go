package ledger

import "github.com/prometheus/client_golang/prometheus"

// Collector shows the ledger: every scrape is one snapshot.
type Collector struct {
	spool   Spool
	letters Letters
	entered *prometheus.Desc
	events  *prometheus.Desc
}

// NewCollector makes the collector; the caller registers it.
func NewCollector(s Spool, l Letters) *Collector {
	return &Collector{
		spool: s, letters: l,
		entered: prometheus.NewDesc("siemrelay_output_entered_total",
			"Events that the output should get, and those that a replay entered again; also of an output that left the configuration.",
			[]string{"output"}, nil),
		events: prometheus.NewDesc("siemrelay_output_events",
			"What became of the events that entered: each is in exactly one state, and the states add up to siemrelay_output_entered_total.",
			[]string{"output", "state"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) { ch <- c.entered; ch <- c.events }

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	for _, e := range Entries(c.spool, c.letters) {
		ch <- prometheus.MustNewConstMetric(c.entered, prometheus.CounterValue, float64(e.Entered), e.Output)
		for _, state := range []struct {
			name   string
			events uint64
		}{
			{"delivered", e.Delivered}, {"sent", e.Sent}, {"filtered", e.Filtered}, {"dead", e.Dead},
			{"dropped", e.Dropped}, {"unreadable", e.Unreadable}, {"pending", e.Pending},
		} {
			ch <- prometheus.MustNewConstMetric(c.events, prometheus.GaugeValue, float64(state.events), e.Output, state.name)
		}
	}
}
