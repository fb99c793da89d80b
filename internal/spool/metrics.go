package spool

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// reason is why Append refused, as a metric label: one of a closed set.
func reason(err error) string {
	switch {
	case errors.Is(err, ErrFull):
		return "full"
	case errors.Is(err, ErrNoSpace):
		return "no_space"
	case errors.Is(err, ErrSlow):
		return "slow"
	case errors.Is(err, ErrClosed):
		return "closed"
	}
	return "io"
}

type metrics struct {
	all          []prometheus.Collector
	appended     prometheus.Counter
	appendedSize prometheus.Counter
	commit       prometheus.Histogram
	batch        prometheus.Histogram
	refusals     *prometheus.CounterVec
	cut          prometheus.Counter

	retries, possibleRetries prometheus.Counter
}

func newMetrics(s *Spool) *metrics {
	m := &metrics{
		appended: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "siemrelay_spool_appended_events_total", Help: "Events made durable.",
		}),
		appendedSize: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "siemrelay_spool_appended_bytes_total", Help: "Bytes made durable, headers included.",
		}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "siemrelay_spool_commit_duration_seconds", Help: "Time to write and sync one batch of events.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "siemrelay_spool_commit_events", Help: "Events that shared one sync.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 12),
		}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "siemrelay_spool_refused_events_total", Help: "Events that could not be stored, by reason.",
		}, []string{"reason"}),
	}
	m.cut = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "siemrelay_spool_cut_tail_bytes_total", Help: "Bytes of unfinished or damaged tails that were cut off when the spool was opened.",
	})
	m.retries = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "siemrelay_spool_retries_total", Help: "Deliveries that were the sender's retry of an event, and were not stored again.",
	})
	m.possibleRetries = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "siemrelay_spool_possible_retries_total", Help: "Events made durable that may be the sender's retry of another one.",
	})
	for _, r := range []string{"full", "no_space", "io", "slow", "closed"} {
		m.refusals.WithLabelValues(r)
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m.all = []prometheus.Collector{
		m.appended, m.appendedSize, m.commit, m.batch, m.refusals, m.cut, m.retries, m.possibleRetries,
		gauge("siemrelay_spool_bytes", "Size of the segment files.", func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return float64(s.usedLocked())
		}),
		gauge("siemrelay_spool_needed_bytes", "Size of the segment files that an output still needs something of.", func() float64 {
			return float64(s.Needed())
		}),
		gauge("siemrelay_spool_retry_entries", "Events that are remembered to know the sender's retries of them.", func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.retries == nil {
				return 0
			}
			return float64(s.retries.len())
		}),
		gauge("siemrelay_spool_max_bytes", "Size that the segment files may reach: max_size.", func() float64 { return float64(s.o.MaxSize) }),
		gauge("siemrelay_spool_disk_free_bytes", "Free bytes on the spool's disk.", func() float64 {
			free, _, _ := s.fs.Space(s.o.Dir)
			return float64(free)
		}),
	}
	return m
}

func (m *metrics) register(r prometheus.Registerer) { r.MustRegister(m.all...) }

func (m *metrics) unregister(r prometheus.Registerer) {
	for _, c := range m.all {
		r.Unregister(c)
	}
}

func (m *metrics) committed(events, size int, took time.Duration) {
	m.appended.Add(float64(events))
	m.appendedSize.Add(float64(size))
	m.batch.Observe(float64(events))
	m.commit.Observe(took.Seconds())
}

func (m *metrics) refused(err error) { m.refusals.WithLabelValues(reason(err)).Inc() }
