package deadletter

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a rejected body was not kept, as a metric label: a closed set.
const (
	lostBusy     = "busy"      // more came than the disk takes
	lostTooLarge = "too_large" // alone larger than what may be kept
	lostNoSpace  = "no_space"  // the disk is full
	lostIO       = "io"        // the disk failed
	lostClosed   = "closed"    // the process is stopping
)

func lostReason(err error) string {
	if errors.Is(err, ErrNoSpace) {
		return lostNoSpace
	}
	return lostIO
}

type rejectedMetrics struct {
	all  []prometheus.Collector
	lost *prometheus.CounterVec
}

func newRejectedMetrics(r *Rejects) *rejectedMetrics {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m := &rejectedMetrics{lost: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "siemrelay_rejected_lost_total", Help: "Rejected bodies that could not be kept, by reason.",
	}, []string{"reason"})}
	for _, reason := range []string{lostBusy, lostTooLarge, lostNoSpace, lostIO, lostClosed} {
		m.lost.WithLabelValues(reason)
	}
	m.all = []prometheus.Collector{
		m.lost,
		gauge("siemrelay_rejected_kept_bodies", "Rejected bodies that are kept.", func() float64 {
			kept, _ := r.keptNow()
			return float64(len(kept))
		}),
		gauge("siemrelay_rejected_bytes", "Size of the rejected bodies that are kept.", func() float64 {
			_, size := r.keptNow()
			return float64(size)
		}),
	}
	return m
}

func (m *rejectedMetrics) lose(reason string, n int) { m.lost.WithLabelValues(reason).Add(float64(n)) }

func (m *rejectedMetrics) register(r prometheus.Registerer) { r.MustRegister(m.all...) }

func (m *rejectedMetrics) unregister(r prometheus.Registerer) {
	for _, c := range m.all {
		r.Unregister(c)
	}
}
