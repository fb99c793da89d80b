package deadletter_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/siemrelay/siemrelay/internal/deadletter"
)

func openRejected(t testing.TB, o deadletter.RejectedOptions) *deadletter.Rejects {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "rejected.db")
	}
	r, err := deadletter.OpenRejected(o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

func rejected(body string) deadletter.Rejected {
	return deadletter.Rejected{
		At: time.Date(2026, 3, 1, 12, 0, 0, 1, time.UTC), Address: "192.0.2.1", Reason: "not_json", Body: []byte(body),
	}
}

func bodies(t testing.TB, r *deadletter.Rejects) []string {
	t.Helper()
	list, err := r.List(1000, 0)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	if n, err := r.Count(); err != nil || n != len(list) {
		t.Errorf("count: %d, %v, the list has %d", n, err, len(list))
	}
	found := []string{}
	for _, x := range list {
		got, err := r.Get(x.ID)
		if err != nil {
			t.Fatalf("get: %v", err)
		}
		found = append(found, string(got.Body))
	}
	return found
}

// TestRejectedAreKept: at once for who asks, copied, and across starts.
func TestRejectedAreKept(t *testing.T) {
	o := deadletter.RejectedOptions{Path: filepath.Join(t.TempDir(), "rejected.db")}
	r := openRejected(t, o)
	x := rejected("{broken")
	r.Keep(x)
	copy(x.Body, "XXXXXXX")
	list, err := r.List(10, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := rejected("{broken")
	want.ID, want.Size, want.Body = 1, 7, nil
	if diff := cmp.Diff([]deadletter.Rejected{want}, list); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	r.Keep(rejected("2"))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = openRejected(t, o)
	want.Body = []byte("{broken")
	got, err := r.Get(1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("get (-want +got):\n%s", diff)
	}
	if err := r.Remove(1); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Get(1); !errors.Is(err, deadletter.ErrNotFound) {
		t.Errorf("get of a removed one: %v", err)
	}
	if err := r.Remove(1); !errors.Is(err, deadletter.ErrNotFound) {
		t.Errorf("remove of a removed one: %v", err)
	}
	if diff := cmp.Diff([]string{"2"}, bodies(t, r)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestOnlyTheNewestAreKept(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := deadletter.RejectedOptions{Path: filepath.Join(t.TempDir(), "rejected.db"), MaxBodies: 3, MaxSize: 20, Registry: reg}
	r := openRejected(t, o)
	keep := func(list ...string) {
		for _, body := range list {
			r.Keep(rejected(body))
		}
	}
	check := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, bodies(t, r)); diff != "" {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
		size := 0
		for _, body := range want {
			size += len(body)
		}
		if n, b := metric(t, reg, "siemrelay_rejected_kept_bodies"), metric(t, reg, "siemrelay_rejected_bytes"); n != float64(len(want)) || b != float64(size) {
			t.Errorf("the metrics say %v bodies of %v bytes, want %d of %d", n, b, len(want), size)
		}
	}
	keep("1", "2", "3", "4")
	check("2", "3", "4")
	keep("fifteen bytes..")
	check("3", "4", "fifteen bytes..")
	keep("six by")
	check("six by")
	keep("twenty-one bytes.....")
	check("six by")
	if got := metric(t, reg, "siemrelay_rejected_lost_total", "too_large"); got != 1 {
		t.Errorf("%v were too large, want 1", got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = openRejected(t, o)
	keep("7", "8", "9")
	check("7", "8", "9")
}

// TestKeepDoesNotWait: a burst that is more than may wait is counted, and every body
// is either kept or counted.
func TestKeepDoesNotWait(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := openRejected(t, deadletter.RejectedOptions{MaxBodies: 10_000, Registry: reg})
	const senders, each = 4, 300
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for n := range each {
				r.Keep(rejected(fmt.Sprintf("%d %d %s", i, n, bytes.Repeat([]byte("x"), 20_000))))
			}
		})
	}
	wg.Wait()
	if _, err := r.List(1, 0); err != nil { // everything before it is stored or counted now
		t.Fatal(err)
	}
	kept, lost := metric(t, reg, "siemrelay_rejected_kept_bodies"), metric(t, reg, "siemrelay_rejected_lost_total", "busy")
	if kept+lost != senders*each || kept == 0 {
		t.Errorf("%v kept and %v lost, want %d together", kept, lost, senders*each)
	}
}

// TestRejectedOnAFailingDisk: the caller notices nothing, it is counted and logged
// once, and it works again.
func TestRejectedOnAFailingDisk(t *testing.T) {
	reg := prometheus.NewRegistry()
	log, said := logTo()
	r := openRejected(t, deadletter.RejectedOptions{Registry: reg, Log: log})
	big := string(make([]byte, 3<<20))
	restore := limitFiles(t, 1<<20)
	for range 3 {
		r.Keep(rejected(big))
		if got := bodies(t, r); len(got) != 0 {
			t.Errorf("%d bodies were kept on a failing disk", len(got))
		}
	}
	restore()
	if got := metric(t, reg, "siemrelay_rejected_lost_total", "io"); got != 3 {
		t.Errorf("%v are lost, want 3", got)
	}
	r.Keep(rejected("works again"))
	if diff := cmp.Diff([]string{"works again"}, bodies(t, r)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if n := bytes.Count(said.Bytes(), []byte("can't be kept")); n != 1 {
		t.Errorf("the outage was logged %d times, want once:\n%s", n, said)
	}
	if !bytes.Contains(said.Bytes(), []byte("kept again")) {
		t.Errorf("its end was not logged:\n%s", said)
	}
}

func TestRejectedAfterClose(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := openRejected(t, deadletter.RejectedOptions{Registry: reg})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.Keep(rejected("late"))
	if _, err := r.List(1, 0); !errors.Is(err, deadletter.ErrClosed) {
		t.Errorf("list: %v", err)
	}
	if _, err := r.Count(); !errors.Is(err, deadletter.ErrClosed) {
		t.Errorf("count: %v", err)
	}
}

func TestTheTwoFilesAreNotTheSame(t *testing.T) {
	o := options(t.TempDir())
	s := open(t, o)
	settled(t, s, letters("kibana", 1)...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	log, said := logTo()
	r := openRejected(t, deadletter.RejectedOptions{Path: o.Path, Log: log})
	r.Keep(rejected("x"))
	if got := bodies(t, r); len(got) != 1 || !bytes.Contains(said.Bytes(), []byte("damaged-1")) {
		t.Errorf("%d bodies are kept, said: %s", len(got), said)
	}
}

func TestAnyRejectedBytesComeBack(t *testing.T) {
	r := openRejected(t, deadletter.RejectedOptions{Path: filepath.Join(scratch(t), "rejected.db")})
	id := int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		id++
		x := rejected("")
		x.Body = rapid.SliceOf(rapid.Byte()).Draw(rt, "body")
		x.Reason = rapid.String().Draw(rt, "reason")
		r.Keep(x)
		got, err := r.Get(id)
		if err != nil || !bytes.Equal(got.Body, x.Body) || got.Reason != x.Reason || got.Size != len(x.Body) {
			rt.Fatalf("got %q %q, %v; want %q %q", got.Body, got.Reason, err, x.Body, x.Reason)
		}
	})
}
