package relay

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are the counters of all relays, with the label output.
type Metrics struct {
	sent     *prometheus.CounterVec
	letters  *prometheus.CounterVec
	filter   *prometheus.CounterVec
	batches  *prometheus.CounterVec
	retries  *prometheus.CounterVec
	state    *prometheus.GaugeVec
	success  *prometheus.GaugeVec
	events   *prometheus.HistogramVec
	bytes    *prometheus.HistogramVec
	duration *prometheus.HistogramVec
}

// NewMetrics makes the metrics, once for a process, and registers them with reg
// unless that is nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	output := []string{"output"}
	return &Metrics{
		sent: f.NewCounterVec(prometheus.CounterOpts{
			Name: "siemrelay_output_sent_events_total",
			Help: "Events that the output delivered, or handed over where it gets no confirmation, repeats included.",
		}, output),
		letters: f.NewCounterVec(prometheus.CounterOpts{
			Name: "siemrelay_output_dead_letters_total",
			Help: "Dead letters that were stored since the start, by reason.",
		}, []string{"output", "reason"}),
		filter: f.NewCounterVec(prometheus.CounterOpts{
			Name: "siemrelay_output_filter_errors_total",
			Help: "Events that were sent because the output's filter failed on them.",
		}, output),
		batches: f.NewCounterVec(prometheus.CounterOpts{
			Name: "siemrelay_output_batches_total",
			Help: "Batches of which every event was delivered or became a dead letter, and the cursor was saved.",
		}, output),
		retries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "siemrelay_output_retries_total",
			Help: "Tries that must be repeated, in whole or in part, by reason.",
		}, []string{"output", "reason"}),
		state: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "siemrelay_output_state",
			Help: "1 for the state that the output is in: ok, retrying, or paused until somebody acts.",
		}, []string{"output", "state"}),
		success: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "siemrelay_output_last_success_timestamp_seconds",
			Help: "When an event was last delivered or sent, in Unix time; 0 if none was since the start.",
		}, output),
		events: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "siemrelay_output_batch_events",
			Help:    "Events in a batch.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8), // to 16,384
		}, output),
		bytes: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "siemrelay_output_batch_bytes",
			Help:    "Bytes of encoded events in a batch.",
			Buckets: prometheus.ExponentialBuckets(1<<10, 4, 9), // 1 KiB to 64 MiB
		}, output),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "siemrelay_output_send_duration_seconds",
			Help:    "Time that one try to send took, whatever came of it.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9), // to 65 s
		}, output),
	}
}

// meters are the metrics of one output.
type meters struct {
	events, batches prometheus.Counter
	letters         map[string]prometheus.Counter
	filterErrors    prometheus.Counter
	retries         map[reason]prometheus.Counter
	states          map[string]prometheus.Gauge
	success         prometheus.Gauge
	size, bytes     prometheus.Observer
	duration        prometheus.Observer
}

// of returns the metrics of one output, all of them there from the start.
func (m *Metrics) of(output string) meters {
	o := meters{
		events:       m.sent.WithLabelValues(output),
		batches:      m.batches.WithLabelValues(output),
		letters:      map[string]prometheus.Counter{},
		filterErrors: m.filter.WithLabelValues(output),
		retries:      map[reason]prometheus.Counter{},
		states:       map[string]prometheus.Gauge{},
		success:      m.success.WithLabelValues(output),
		size:         m.events.WithLabelValues(output),
		bytes:        m.bytes.WithLabelValues(output),
		duration:     m.duration.WithLabelValues(output),
	}
	for _, r := range LetterReasons() {
		o.letters[r] = m.letters.WithLabelValues(output, r)
	}
	for _, r := range reasons() {
		o.retries[r] = m.retries.WithLabelValues(output, string(r))
	}
	for _, s := range []string{StateOK, StateRetrying, StatePaused} {
		o.states[s] = m.state.WithLabelValues(output, s)
	}
	o.state("")
	return o
}

// state sets the state that follows from what is wrong, "" being nothing.
func (m meters) state(why reason) {
	for s, gauge := range m.states {
		if s == why.state() {
			gauge.Set(1)
		} else {
			gauge.Set(0)
		}
	}
}

func (m meters) done(n int) {
	m.events.Add(float64(n))
	m.success.SetToCurrentTime()
}

func (m meters) sent(began time.Time) { m.duration.Observe(time.Since(began).Seconds()) }
