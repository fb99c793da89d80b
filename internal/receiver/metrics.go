package receiver

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are resolved once, so that counting costs an atomic operation.
type metrics struct {
	// Every request is counted once in codes, and once in one of the three after
	// it: so what came in adds up.
	codes      [outcomes]prometheus.Counter // requests_total, by the outcome's code
	reasons    [outcomes]prometheus.Counter // rejected_total
	accepted   prometheus.Counter
	duplicates prometheus.Counter

	unanswered prometheus.Counter
	duration   prometheus.Histogram

	refusedAddress  prometheus.Counter
	refusedLimit    prometheus.Counter
	acceptErrors    prometheus.Counter
	handshakeErrors prometheus.Counter
	panics          prometheus.Counter

	now          func() time.Time
	lastAccepted atomic.Int64 // Unix time in nanoseconds, 0 for never
}

type metricsOptions struct {
	registry prometheus.Registerer // may be nil
	server   *Server
	now      func() time.Time
}

const namespace, subsystem = "siemrelay", "receiver"

func opts(name, help string) prometheus.Opts {
	return prometheus.Opts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}
}

func newMetrics(o metricsOptions) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts(opts(name, help)))
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts(opts(name, help)), []string{label})
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts(name, help)), value)
	}
	requests := vector("requests_total", "Requests answered, by HTTP status code.", "code")
	rejected := vector("rejected_total", "Requests not accepted, by reason.", "reason")
	refused := vector("connections_refused_total", "Connections closed before a login was shown on them, by reason.", "reason")
	m := &metrics{
		now: o.now,
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "request_duration_seconds",
			Help:    "Time from the headers of a request to its 200, with the time to store it.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
		accepted:        counter("accepted_total", "Webhooks stored as new events and answered with 200."),
		duplicates:      counter("duplicates_total", "Retries of a stored webhook, answered with 200 and not stored again."),
		unanswered:      counter("unanswered_total", "Webhooks, stored or known as retries, whose 200 could not be written to the connection."),
		refusedAddress:  refused.WithLabelValues("address"),
		refusedLimit:    refused.WithLabelValues("max_connections"),
		acceptErrors:    counter("accept_errors_total", "Failed tries to accept a connection."),
		handshakeErrors: counter("tls_handshake_errors_total", "Connections that did not get through the TLS handshake."),
		panics:          counter("panics_total", "Panics that were caught; each is a mistake in the program."),
	}
	m.resolve(requests, rejected)
	if o.registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		requests, rejected, m.accepted, m.duplicates, m.unanswered, refused, m.duration, m.acceptErrors, m.handshakeErrors, m.panics,
		gauge("last_accepted_timestamp_seconds", "Unix time of the last accepted webhook, 0 if there was none since the start.",
			m.lastAcceptedSeconds),
		gauge("connections", "Open connections.",
			func() float64 { return float64(o.server.open()) }),
		gauge("inflight_body_bytes", "Memory reserved for bodies over 16 KiB that are being received or stored.",
			func() float64 { return float64(o.server.bodies.budget.inUse()) }),
	} {
		if err := o.registry.Register(c); err != nil {
			return nil, fmt.Errorf("register receiver metrics: %w", err)
		}
	}
	return m, nil
}

// resolve makes every label value exist from the start, so that an alert on a
// rate sees the first increase.
func (m *metrics) resolve(requests, rejected *prometheus.CounterVec) {
	for o, a := range answers() {
		if a.code == 0 {
			continue
		}
		m.codes[o] = requests.WithLabelValues(strconv.Itoa(a.code))
		if a.label != "" {
			m.reasons[o] = rejected.WithLabelValues(a.label)
		}
	}
}

// accept counts a request answered with 200, whose handling began at start.
func (m *metrics) accept(start time.Time, duplicate bool) {
	now := m.now().UnixNano() // not ours, so before anything is counted
	m.codes[accepted].Inc()
	m.duration.Observe(time.Since(start).Seconds())
	if duplicate {
		m.duplicates.Inc()
		return
	}
	m.accepted.Inc()
	m.lastAccepted.Store(now)
}

func (m *metrics) reject(o outcome) {
	m.codes[o].Inc()
	m.reasons[o].Inc()
}

func (m *metrics) lastAcceptedSeconds() float64 {
	return float64(m.lastAccepted.Load()) / 1e9
}
