package soak_test

import (
	"bufio"
	"fmt"
	"os"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// checkFlat compares the last quarter of the run with the second one.
func (s *soak) checkFlat(began time.Time, took time.Duration) {
	s.t.Helper()
	ratio, room := 1.25, 1.0
	short := took < 10*time.Minute
	if short {
		ratio, room = 2, 2 // a few samples, and not everything has been met once
	}
	mib := func(n float64) float64 { return n * (1 << 20) * room }
	for _, v := range []struct {
		name  string
		of    func(endtoend.Vitals) float64
		more  float64 // that may be there besides
		scale float64
	}{
		{"heap, MiB", func(v endtoend.Vitals) float64 { return v.Heap }, mib(8), 1 << 20},
		{"memory of the process, MiB", func(v endtoend.Vitals) float64 { return v.RSS }, mib(16), 1 << 20},
		{"goroutines", func(v endtoend.Vitals) float64 { return v.Goroutines }, 20, 1},
		{"descriptors", func(v endtoend.Vitals) float64 { return v.Descriptors }, 20, 1},
		{"disk, MiB", func(v endtoend.Vitals) float64 { return v.Disk }, mib(16), 1 << 20},
	} {
		var means [4]float64
		for q := range means {
			sum, n := 0.0, 0
			for _, sample := range s.samples {
				if at := int(4 * sample.at.Sub(began) / took); at == q {
					sum, n = sum+v.of(sample.Vitals), n+1
				}
			}
			if n == 0 && short { // the machine was busy with something else
				s.t.Logf("no sample in quarter %d of %v: what grows was not looked at", q+1, took)
				return
			}
			means[q] = sum / float64(n)
		}
		s.t.Logf("%s, mean of each quarter: %.1f, %.1f, %.1f, %.1f", v.name, means[0]/v.scale, means[1]/v.scale, means[2]/v.scale, means[3]/v.scale)
		if means[3] > ratio*means[1]+v.more {
			s.t.Errorf("%s grew from %.1f in the second quarter to %.1f in the last", v.name, means[1]/v.scale, means[3]/v.scale)
		}
	}
}

// lost returns which accepted webhooks are not in the files, or not under the id of
// their answer, and how many lines there are.
func lost(format string, paths []string, sent []endtoend.Delivery) (problems []string, lines int, err error) {
	type key struct {
		record, title string
	}
	ids := map[key]string{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, 0, err
		}
		defer f.Close()
		in := bufio.NewScanner(f)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			lines++
			l, err := endtoend.ParseLine(format, in.Bytes())
			if err != nil {
				return nil, lines, err
			}
			k := key{l.Record, l.Title}
			if other := ids[k]; other != "" && other != l.EventID {
				problems = append(problems, fmt.Sprintf("webhook %s of record %s came as %s and as %s", l.Title, l.Record, other, l.EventID))
			}
			ids[k] = l.EventID
		}
		if err := in.Err(); err != nil {
			return nil, lines, err
		}
	}
	for _, d := range sent {
		if id := ids[key{d.Record, fmt.Sprint(d.Number)}]; id != d.Answer.ID {
			problems = append(problems, fmt.Sprintf("webhook %d of record %s was accepted as %s and came as %q", d.Number, d.Record, d.Answer.ID, id))
		}
	}
	return problems, lines, nil
}
