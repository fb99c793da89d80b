package load_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/siemrelay/siemrelay/internal/load"
)

// A quantile is the one of the sorted times, or up to a 32nd above it; two histograms
// say together what one would.
func TestHistogram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.Uint64Range(0, 1<<39).Draw(t, "ns") >> rapid.IntRange(0, 39).Draw(t, "shift"))
		}), 1, 50).Draw(t, "times")
		var all, part load.Histogram
		for i, d := range times {
			if i%2 == 0 {
				all.Add(d)
			} else {
				part.Add(d)
			}
		}
		all.Merge(&part)
		slices.Sort(times)
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 1} {
			want := times[min(int(q*float64(len(times))), len(times)-1)]
			if got := all.Quantile(q); got < want || got > want+want/32 {
				t.Errorf("quantile %v is %v, want %v, of %v", q, got, want, times)
			}
		}
		if all.Total() != int64(len(times)) || all.Max() != times[len(times)-1] {
			t.Errorf("total %d, max %v of %v", all.Total(), all.Max(), times)
		}
	})
}

func TestHistogramOfWhatIsOutOfRange(t *testing.T) {
	var h load.Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("the median of nothing is not 0")
	}
	h.Add(-time.Second) // a clock that was set back
	h.Add(time.Hour)
	if h.Quantile(0) != 0 || h.Quantile(1) != time.Hour {
		t.Errorf("quantiles %v and %v, want 0 and 1h", h.Quantile(0), h.Quantile(1))
	}
}
