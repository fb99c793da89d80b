package soak_test

import (
	"crypto/tls"
	"flag"
	"path/filepath"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

var soakFor = flag.Duration("soak.for", 12*time.Second, "how long TestSoak takes; 20m is thorough")

// soak is a relay with three outputs that meets one fault after the other.
type soak struct {
	*endtoend.Rig
	t       *testing.T
	process *endtoend.Process
	load    *endtoend.Load
	spool   *endtoend.Tmpfs // where the spool is
	archive *endtoend.Tmpfs // where the file output writes
	search  *endtoend.BulkSink
	relp    *outsideSink
	other   endtoend.Certificate // takes turns with the rig's
	samples []sample
	faults  map[string]int
}

type sample struct {
	at time.Time
	endtoend.Vitals
}

func openSoak(t *testing.T) *soak {
	t.Helper()
	s := &soak{t: t, faults: map[string]int{}, spool: endtoend.NewTmpfs(t, 256), archive: endtoend.NewTmpfs(t, 64)}
	dir := t.TempDir()
	var err error
	if s.search, err = endtoend.NewBulkSink(filepath.Join(dir, "documents.ndjson")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.search.Close() })
	s.relp = startOutsideSink(t, filepath.Join(dir, "messages"))
	s.Rig = endtoend.NewRig(t, endtoend.Setup{
		Binary: binary, SpoolDir: filepath.Join(s.spool.Dir, "spool"), MaxSize: "64MiB", Retention: "20s", RetryWindow: "1m",
		Receiver: "  read_timeout: 3s\n",
		Outputs: []endtoend.Output{
			{
				Format: "ecs", Name: "file", Path: filepath.Join(s.archive.Dir, "events.ndjson"), Type: "file",
				Settings: `{path: "` + filepath.Join(s.archive.Dir, "events.ndjson") + `", max_size: 8MiB, keep: 2}`,
			},
			s.search.Output("search", 100), s.relp.output("relp", 50),
		},
	})
	if s.other, err = endtoend.NewCertificate(); err != nil {
		t.Fatal(err)
	}
	s.process = s.Start()
	s.load = endtoend.StartLoad(endtoend.LoadOptions{Client: s.client, Connections: 8, Records: 3, BodySize: 1000, Retries: true, Pause: 20 * time.Millisecond})
	s.load.SetDoor(s.Serving().Address)
	t.Cleanup(func() {
		s.load.SetDoor("")
		s.load.Stop()
	})
	return s
}

// client trusts both certificates.
func (s *soak) client() *endtoend.Client {
	c := s.Client()
	c.TLS.RootCAs.AppendCertsFromPEM(s.other.Cert)
	c.TLS.MinVersion = tls.VersionTLS12
	return c
}

// wait lets time pass, and looks at the process once a second.
func (s *soak) wait(d time.Duration) {
	s.t.Helper()
	for ends := time.Now().Add(d); time.Now().Before(ends); time.Sleep(min(200*time.Millisecond, time.Until(ends))) {
		if n := len(s.samples); n == 0 || time.Since(s.samples[n-1].at) >= time.Second {
			s.samples = append(s.samples, sample{time.Now(), s.Vitals(s.process)})
		}
		if s.process.Exited() {
			s.t.Fatalf("the process ended, log:\n%s", s.process.Log())
		}
	}
}

// TestSoak: whatever fails and comes back, nothing that was accepted is lost, and
// memory, goroutines, descriptors and disk do not grow.
func TestSoak(t *testing.T) {
	random := moments(t)
	s := openSoak(t)
	audit := endtoend.StartAudit(s.load.Accepted)
	t.Cleanup(func() { audit.Stop() })
	audit.SetAdmin(s.Serving().Admin)
	began := time.Now()
	longest := max(min(*soakFor/100, 8*time.Second), time.Second) // longer than the outputs' timeout, if there is time
	all := s.disturbances()
	for n := 0; time.Since(began) < *soakFor; n++ {
		if n%len(all) == 0 { // each of them, in another order every time
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		}
		d := all[n%len(all)]
		s.faults[d.name]++
		end := d.begin()
		s.wait(between(random, 500*time.Millisecond, longest))
		end()
		s.wait(between(random, 100*time.Millisecond, longest/2))
	}
	took := time.Since(began)
	sent := s.load.Stop()
	s.AwaitDrained()
	last := s.Accounts()
	s.Stop(s.process)
	scrapes, problems := audit.Stop()
	logFirst(t, "ledger", problems)
	t.Logf("%v: %d webhooks accepted, faults %v, %d scrapes of the ledger with %d problems", took.Round(time.Second), len(sent), s.faults, scrapes, len(problems))
	s.checkSent(sent, last)
	s.checkFlat(began, took)
}

// checkSent checks that everything came out where it can be read.
func (s *soak) checkSent(sent []endtoend.Delivery, last map[string]endtoend.Account) {
	s.t.Helper()
	for _, d := range sent {
		if d.Wrong != "" || !d.Accepted() {
			s.t.Errorf("webhook %d of record %s: %+v, %v, %s", d.Number, d.Record, d.Answer, d.Err, d.Wrong)
		}
	}
	for name, a := range last {
		if a.Delivered != a.Entered {
			s.t.Errorf("output %s: %+v, want all delivered", name, a)
		}
	}
	s.relp.stop()
	if err := s.search.Close(); err != nil {
		s.t.Error(err)
	}
	for _, o := range s.Outputs[1:] { // the file output keeps only the newest
		paths := []string{o.Path}
		if o.Name == "relp" {
			paths = s.relp.paths
		}
		problems, lines, err := lost(o.Format, paths, sent)
		if err != nil {
			s.t.Error(err)
		}
		logFirst(s.t, "output "+o.Name, problems)
		s.t.Logf("output %s: %d lines of %d accepted webhooks, %d problems; %+v", o.Name, lines, len(sent), len(problems), last[o.Name])
	}
}
