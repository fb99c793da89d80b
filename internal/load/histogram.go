package load

import (
	"math/bits"
	"time"
)

// A bucket is at most a 32nd of its times wide.
const (
	fineBits = 6
	fine     = 1 << fineBits
	buckets  = fine * (40 - fineBits) // up to 2^40 ns, a quarter of an hour
)

// Histogram counts how long answers took, each to within 3%.
type Histogram struct {
	counts [buckets]uint32
	total  int64
	max    time.Duration
}

// Add counts one answer.
func (h *Histogram) Add(took time.Duration) {
	took = max(took, 0)
	h.counts[bucketOf(uint64(took))]++
	h.total++
	h.max = max(h.max, took)
}

// Merge adds what another one has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range &other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// Total is how many answers were counted.
func (h *Histogram) Total() int64 { return h.total }

// Max is the longest time, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is the time within which that part of the answers came, 0 of none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := int64(q * float64(h.total))
	for i, n := range &h.counts {
		if rank -= int64(n); rank < 0 {
			return min(endOf(i), h.max)
		}
	}
	return h.max
}

// bucketOf is linear up to fine, and then has half as many buckets for each doubling.
func bucketOf(ns uint64) int {
	if ns < fine {
		return int(ns)
	}
	shift := bits.Len64(ns) - fineBits
	return min(shift*fine/2+int(ns>>shift), buckets-1)
}

// endOf is the greatest time of a bucket.
func endOf(i int) time.Duration {
	if i < fine {
		return time.Duration(i)
	}
	shift := i/(fine/2) - 1
	return time.Duration(uint64(i-shift*fine/2+1)<<shift - 1)
}
