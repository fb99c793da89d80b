package faults_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// blocked is the file of an output on a full disk of its own, and how to give that
// disk room.
func blocked(t *testing.T) (path string, unblock func()) {
	t.Helper()
	disk := endtoend.NewTmpfs(t, 1)
	disk.Fill()
	return filepath.Join(disk.Dir, "events.ndjson"), func() {
		disk.Resize(256)
		disk.Free()
	}
}

// TestNoInodesLeft (F6): the spool's disk has room, but takes no more files. New
// webhooks get 503, the outputs go on, also after a kill and a start there, and all is
// well again by itself when the disk takes files.
func TestNoInodesLeft(t *testing.T) {
	disk := endtoend.NewTmpfs(t, 64)
	path, unblock := blocked(t)
	w := newWorld(t, endtoend.Setup{
		SpoolDir: filepath.Join(disk.Dir, "spool"), MaxSize: "8MiB", Retention: "0",
		Outputs: []endtoend.Output{{Format: "ecs", Path: path}, {Format: "cef"}},
	}, endtoend.LoadOptions{Connections: 4, Records: 2, BodySize: 20_000})
	w.start()
	w.accepts(20)
	disk.LimitInodes(disk.Inodes())
	for range 2 {
		w.refuses(100)
		w.ready(false)
		w.drained("cef") // it does not wait for the other one
		t.Logf("no files: %d webhooks accepted, %d refused", w.load.Accepted(), w.load.Refused())
		w.kill()
		disk.LimitInodes(disk.Inodes()) // also of what its end gave back
		w.start()
	}
	w.refuses(100)
	disk.LimitInodes(1000)
	w.accepts(20)
	unblock()
	w.ready(true)
	w.accepts(200)
	w.finish()
}

// TestNoBlocksLeft (F6): somebody else takes the very last block of the spool's disk.
// The outputs go on, also after a stop or a kill and a start there, and all is well again
// when there is room.
func TestNoBlocksLeft(t *testing.T) {
	for _, end := range []string{"stopped", "killed"} {
		t.Run(end, func(t *testing.T) {
			disk := endtoend.NewTmpfs(t, 32)
			path, unblock := blocked(t)
			w := newWorld(t, endtoend.Setup{
				SpoolDir: filepath.Join(disk.Dir, "spool"), Outputs: []endtoend.Output{{Format: "ecs", Path: path}, {Format: "cef"}},
			}, ordinary)
			w.start()
			w.accepts(200)
			disk.Fill()
			w.refuses(50)
			w.ready(false)
			w.drained("cef")
			if end == "stopped" {
				w.Stop(w.process)
				w.ended()
			} else {
				w.kill()
			}
			disk.Free()
			disk.Fill() // also what its end gave back
			w.start()
			w.refuses(50)
			unblock()
			w.drained("ecs", "cef")
			t.Logf("full to the last block: %d webhooks accepted, %d refused", w.load.Accepted(), w.load.Refused())
			disk.Free()
			w.accepts(200)
			w.ready(true)
			w.finish()
		})
	}
}

// TestFirstStartOnFullDisk (F6): there is no spool yet, and no room for one.
func TestFirstStartOnFullDisk(t *testing.T) {
	disk := endtoend.NewTmpfs(t, 16)
	disk.Fill()
	w := newWorld(t, endtoend.Setup{SpoolDir: filepath.Join(disk.Dir, "spool"), Outputs: twoFiles()}, ordinary)
	if said := w.refusesToStart(); !strings.Contains(said, "the disk of "+disk.Dir) || !strings.Contains(said, "is full") {
		t.Errorf("it says: %s", said)
	}
	disk.Free()
	w.start()
	w.accepts(50)
	w.finish()
}

// TestDiskBecomesReadOnly (F8): the system finds an error in the spool's file system
// and lets nobody write any more. Webhooks get 503, and it is not ready. It does not
// start on such a disk, and says why; after a repair nothing is lost.
func TestDiskBecomesReadOnly(t *testing.T) {
	disk := endtoend.NewDisk(t, 256)
	w := newWorld(t, endtoend.Setup{SpoolDir: filepath.Join(disk.Dir, "spool"), Outputs: twoFiles()}, ordinary)
	w.start()
	w.accepts(200)
	disk.BecomeReadOnly()
	w.refuses(ordinary.Connections)
	before := w.load.Accepted()
	w.refuses(50)
	if n := w.load.Accepted() - before; n > 0 {
		t.Errorf("%d webhooks were accepted on a read-only disk", n)
	}
	w.ready(false)
	t.Logf("%d webhooks accepted before, %d refused after; status: %q", before, w.load.Refused(), w.Status().Problems)
	w.kill()
	said := w.refusesToStart()
	if !strings.Contains(said, "read-only file system") || !strings.Contains(said, disk.Dir) {
		t.Errorf("it says: %s", said)
	}
	disk.Replug()
	w.start()
	w.accepts(50)
	w.finish()
}

// refusesToStart starts a process that has to end by itself, and returns what it says.
func (w *world) refusesToStart() string {
	w.t.Helper()
	p, err := w.TryStart()
	w.process = p
	if err == nil || !p.Exited() {
		w.t.Fatalf("it started, log:\n%s", p.Log())
	}
	code, err := p.AwaitExit()
	w.must(err)
	_, said, found := strings.Cut(p.Log(), "siemrelay: ")
	if code <= 0 || !found {
		w.t.Errorf("exit code %d, log:\n%s", code, p.Log())
	}
	w.t.Logf("exit code %d: %s", code, said)
	return said
}

// TestFolderOfAnotherUser (F8): the spool's folder may not be written to at the start.
func TestFolderOfAnotherUser(t *testing.T) {
	needs(t, "setpriv")
	w := newWorld(t, endtoend.Setup{Outputs: twoFiles()}, ordinary)
	w.start()
	w.accepts(50)
	w.kill()
	// Nobody may enter the folders above, and read the configuration.
	for _, path := range []string{filepath.Dir(filepath.Dir(binary)), filepath.Dir(binary), filepath.Dir(w.Dir), w.Dir} {
		w.must(os.Chmod(path, 0o755))
	}
	for _, path := range []string{w.Config, w.PasswordFile(0), filepath.Join(w.Dir, "tls.crt"), filepath.Join(w.Dir, "tls.key")} {
		w.must(os.Chmod(path, 0o644))
	}
	for _, mode := range []os.FileMode{0o700, 0o555} {
		w.must(os.Chmod(w.SpoolDir, mode))
		w.Configure(func(s *endtoend.Setup) {
			s.Serve = wrapped(t, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
			for _, dir := range []string{filepath.Dir(filepath.Dir(s.Serve)), filepath.Dir(s.Serve)} {
				w.must(os.Chmod(dir, 0o755))
			}
			w.must(os.Chmod(s.Serve, 0o755))
		})
		if said := w.refusesToStart(); !strings.Contains(said, "permission denied") || !strings.Contains(said, w.SpoolDir) {
			t.Errorf("it says, with mode %v: %s", mode, said)
		}
	}
	w.must(os.Chmod(w.SpoolDir, 0o700))
	w.Configure(func(s *endtoend.Setup) { s.Serve = "" })
	w.must(os.Chmod(w.Config, 0o600))
	w.start()
	w.accepts(50)
	w.finish()
}
