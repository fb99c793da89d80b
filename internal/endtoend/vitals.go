package endtoend

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Vitals are what must not grow without end.
type Vitals struct {
	Heap        float64 // bytes of objects, those not yet collected too
	Goroutines  float64
	Descriptors float64
	RSS         float64 // bytes of memory that the process has of the machine
	Disk        float64 // bytes in the spool's folder, as they were written
}

// Vitals reads them of the process that runs.
func (r *Rig) Vitals(p *Process) Vitals {
	r.tb.Helper()
	m := r.Metrics()
	rss, err := p.Memory("VmRSS")
	r.must(err)
	disk, err := Size(r.SpoolDir)
	r.must(err)
	return Vitals{
		Heap: m["go_memstats_heap_alloc_bytes"], Goroutines: m["go_goroutines"], Descriptors: m["process_open_fds"],
		RSS: float64(rss), Disk: float64(disk),
	}
}

// Metrics returns the value of every series, by its name with its labels.
func (r *Rig) Metrics() map[string]float64 {
	r.tb.Helper()
	_, text := r.Admin("/metrics")
	values := map[string]float64{}
	for line := range strings.Lines(text) {
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		r.must(err)
		values[line[:at]] = value
	}
	return values
}

// Memory reads a line of the process's status, in bytes: VmRSS is the memory that it
// has of the machine, VmHWM the most it ever had.
func (p *Process) Memory(name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == name+":" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("read memory of process %d: there is no %s", p.PID(), name)
}

// Size is how many bytes the files under dir have, those that went meanwhile left out.
func Size(dir string) (int64, error) {
	total := int64(0)
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				total += info.Size()
			}
		}
		if os.IsNotExist(err) {
			return nil
		}
		return err
	})
	return total, err
}

// Latencies are how long answers took.
type Latencies []time.Duration

// Quantile returns the time within which that part of the answers came, 0 of none.
func (l Latencies) Quantile(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// String is what a test logs.
func (l Latencies) String() string {
	round := func(q float64) time.Duration { return l.Quantile(q).Round(10 * time.Microsecond) }
	return fmt.Sprintf("%d answers, p50 %v, p99 %v, slowest %v", len(l), round(0.5), round(0.99), round(1))
}
