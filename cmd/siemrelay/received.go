package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// received is what the receiver has counted since the start, as the metrics tell it:
// the desk needs it before there is a receiver.
func received(metrics prometheus.Gatherer) admin.ReceiverStats {
	var s admin.ReceiverStats
	families, _ := metrics.Gather() // an error is about other metrics; there are all that could be had
	for _, f := range families {
		sum, gauge := uint64(0), 0.0
		for _, m := range f.GetMetric() {
			sum += uint64(m.GetCounter().GetValue())
			gauge = m.GetGauge().GetValue()
		}
		switch f.GetName() {
		case "siemrelay_receiver_accepted_total":
			s.Accepted = sum
		case "siemrelay_receiver_duplicates_total":
			s.Duplicates = sum
		case "siemrelay_receiver_rejected_total":
			s.Rejected = sum
		case "siemrelay_receiver_last_accepted_timestamp_seconds":
			if gauge > 0 {
				s.LastAccepted = time.UnixMilli(int64(gauge * 1000)).UTC()
			}
		}
	}
	return s
}
