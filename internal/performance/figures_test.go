package performance_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// doors are the ways that webhooks come in TestDoor.
func doors() []door {
	if !*all {
		return []door{{connections: 16}, {secure: true, anew: true, connections: 4}}
	}
	var list []door
	for _, secure := range []bool{false, true} {
		for _, anew := range []bool{false, true} {
			for _, connections := range []int{1, 64, 256} {
				list = append(list, door{secure, anew, connections})
			}
		}
	}
	return list
}

func yardsticks(d door) []*subject {
	return []*subject{
		{name: "bare HTTP", run: func(t *testing.T) result { return runBare(t, d) }},
		{name: "bare log", run: func(t *testing.T) result { return runBareLog(t, d.connections) }},
	}
}

// relaying is a siemrelay with an output of each of the kinds.
func relaying(name string, d door, kinds map[string]func(*testing.T) peer) *subject {
	return &subject{name: name, run: func(t *testing.T) result {
		peers := map[string]peer{}
		for name, start := range kinds {
			peers[name] = start(t)
		}
		return runRelay(t, d, peers)
	}}
}

// TestDoor measures durable answers: with an output that nobody is behind, so that
// they alone have the machine, and with one that delivers meanwhile.
func TestDoor(t *testing.T) {
	var table strings.Builder
	for _, d := range doors() {
		t.Run(fmt.Sprintf("%s/%d", d, d.connections), func(t *testing.T) {
			subjects := append(yardsticks(d), relaying("siemrelay, output down", d, nil), relaying("siemrelay, file", d, map[string]func(*testing.T) peer{"file": newFilePeer}))
			compareAll(t, subjects)
			if whole(subjects) {
				table.WriteString(rows(d, subjects))
			}
		})
	}
	publish(t, "Durable answers", tableHead+table.String())
}

// TestOutputs measures each output alone and all together, delivering while webhooks
// come as fast as they are answered.
func TestOutputs(t *testing.T) {
	d := door{connections: 64}
	subjects := yardsticks(d)
	kinds := kinds()
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		subjects = append(subjects, relaying(name, d, map[string]func(*testing.T) peer{name: kinds[name]}))
	}
	subjects = append(subjects, relaying("all four", d, kinds))
	if *all {
		subjects = append(subjects, relaying("elasticsearch, gzip", d, map[string]func(*testing.T) peer{"elasticsearch": newGzipBulkPeer}))
		for _, n := range []int{1, 4, 8} {
			many := map[string]func(*testing.T) peer{}
			for i := range n {
				many[fmt.Sprintf("cef-%d", i)] = newCEFPeer
			}
			subjects = append(subjects, relaying(fmt.Sprintf("%d files of CEF", n), d, many))
		}
	}
	compareAll(t, subjects)
	if whole(subjects) {
		publish(t, "Outputs", tableHead+rows(d, subjects))
	}
}

// TestPending measures a start with many events that wait: until it receives
// webhooks, until the first is accepted, and the memory, at once and under full load.
func TestPending(t *testing.T) {
	d := door{connections: 64}
	r := newRelay(t, d, nil)
	p := r.Start()
	before := send(t, r, r.Serving().Address, d, "--count", fmt.Sprint(*pending))
	r.Stop(p)
	var table strings.Builder
	table.WriteString("| events that wait | receives webhooks after | first accepted after | memory then | peak under load |\n|---|---|---|---|---|\n")
	p = r.Start()
	first := send(t, r, r.Serving().Address, door{connections: 1}, "--count", "1")
	memory, err := p.Memory("VmHWM")
	must(t, err)
	s := send(t, r, r.Serving().Address, d, "--duration", runFor.String())
	peak, err := p.Memory("VmHWM")
	must(t, err)
	fmt.Fprintf(&table, "| %d | %d ms | %.0f ms | %d MiB | %d MiB |\n", *pending, r.Serving().After.Milliseconds(),
		float64(r.Serving().After.Milliseconds())+first.Latency.P99, memory>>20, peak>>20)
	acknowledged := int64(len(before.ids) + len(first.ids) + len(s.ids))
	if got, want := r.Accounts()["down"], (endtoend.Account{Entered: acknowledged, Pending: acknowledged}); got != want {
		t.Errorf("the account is %+v, want %+v", got, want)
	}
	r.Stop(p)
	publish(t, "Start", table.String())
}
