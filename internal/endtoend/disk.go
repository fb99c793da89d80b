package endtoend

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Tmpfs is a file system in memory of a fixed size: a disk that fills up.
type Tmpfs struct {
	Dir string
	tb  testing.TB
}

// NewTmpfs mounts one of so many MiB until the test ends. Without the right to,
// the test is skipped, see Skip.
func NewTmpfs(tb testing.TB, mib int) *Tmpfs {
	tb.Helper()
	if os.Geteuid() != 0 {
		Skip(tb, errNotRoot)
	}
	d := &Tmpfs{Dir: tb.TempDir(), tb: tb}
	if err := d.mount(mib); err != nil {
		Skip(tb, err)
	}
	return d
}

// FastDir returns a folder in memory if the machine allows it, else on disk: for
// tests that ask nothing of a disk and must not be held up by a slow one.
func FastDir(tb testing.TB, mib int) string {
	tb.Helper()
	d := &Tmpfs{Dir: tb.TempDir(), tb: tb}
	if err := d.mount(mib); err != nil {
		tb.Logf("it runs on the disk: %v", err)
	}
	return d.Dir
}

func (d *Tmpfs) mount(mib int) error {
	if err := unix.Mount("tmpfs", d.Dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	d.tb.Cleanup(func() { unmount(d.tb, d.Dir) })
	return nil
}

// Resize changes the size while the disk is in use.
func (d *Tmpfs) Resize(mib int) {
	d.tb.Helper()
	d.remount(fmt.Sprintf("size=%dm", mib))
}

// LimitInodes changes how many files and folders there may be, those that are there
// included.
func (d *Tmpfs) LimitInodes(n int) {
	d.tb.Helper()
	d.remount(fmt.Sprintf("nr_inodes=%d", n))
}

// Inodes is how many files and folders there are.
func (d *Tmpfs) Inodes() int {
	d.tb.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(d.Dir, &s); err != nil {
		d.tb.Fatal(err)
	}
	return int(s.Files - s.Ffree)
}

func (d *Tmpfs) remount(option string) {
	d.tb.Helper()
	if err := unix.Mount("tmpfs", d.Dir, "tmpfs", unix.MS_REMOUNT, option); err != nil {
		d.tb.Fatalf("change the tmpfs to %s: %v", option, err)
	}
}

// Fill takes all the room that is left, until Free.
func (d *Tmpfs) Fill() {
	d.tb.Helper()
	f, err := os.Create(d.ballast())
	if err != nil {
		d.tb.Fatal(err)
	}
	defer f.Close()
	chunk := make([]byte, 1<<16)
	for len(chunk) > 0 {
		if _, err := f.Write(chunk); err != nil {
			chunk = chunk[:len(chunk)/2]
		}
	}
}

// Free gives back what Fill took.
func (d *Tmpfs) Free() {
	d.tb.Helper()
	if err := os.Remove(d.ballast()); err != nil && !errors.Is(err, os.ErrNotExist) {
		d.tb.Fatal(err)
	}
}

func (d *Tmpfs) ballast() string { return filepath.Join(d.Dir, "ballast") }

// unmount runs in a test's cleanup; whoever has files open there has ended.
func unmount(tb testing.TB, dir string) {
	if err := unix.Unmount(dir, 0); err != nil {
		tb.Errorf("unmount %s: %v", dir, err)
		_ = unix.Unmount(dir, unix.MNT_DETACH) // so that the folder can go
	}
}

// Disk is an ext4 file system on a loop device whose power can be cut.
type Disk struct {
	Dir     string
	image   string
	mounted bool
	tb      testing.TB
}

// NewDisk makes and mounts one until the test ends. Without the right to, the
// test is skipped, see Skip.
func NewDisk(tb testing.TB, mib int) *Disk {
	tb.Helper()
	if os.Geteuid() != 0 {
		Skip(tb, errNotRoot)
	}
	d := &Disk{Dir: tb.TempDir(), image: filepath.Join(tb.TempDir(), "disk.img"), tb: tb}
	f, err := os.Create(d.image)
	if err == nil {
		err = f.Truncate(int64(mib) << 20)
		f.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-e", "remount-ro", d.image).CombinedOutput(); err != nil {
		Skip(tb, fmt.Errorf("make an ext4 file system: %w: %s", err, out))
	}
	if err := d.mount(); err != nil {
		Skip(tb, err)
	}
	tb.Cleanup(func() {
		if d.mounted {
			unmount(tb, d.Dir)
		}
	})
	return d
}

func (d *Disk) mount() error {
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.Dir).CombinedOutput(); err != nil {
		return fmt.Errorf("mount a loop device: %w: %s", err, out)
	}
	d.mounted = true
	return nil
}

const (
	extShutdown   = 0x8004587d // FS_IOC_SHUTDOWN
	withoutAFlush = 2          // not even the journal is written
)

// CutPower ends all writing to the disk at once. What was not synced is gone, and
// every use of the disk fails until Replug.
func (d *Disk) CutPower() {
	d.tb.Helper()
	f, err := os.Open(d.Dir)
	if err != nil {
		d.tb.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), extShutdown, withoutAFlush); err != nil {
		d.tb.Fatalf("shut the file system down: %v", err)
	}
}

// BecomeReadOnly is what Linux makes of an ext4 file system in which it has found
// something wrong: whoever writes gets EROFS, until Replug.
func (d *Disk) BecomeReadOnly() {
	d.tb.Helper()
	device, err := exec.Command("findmnt", "-n", "-o", "SOURCE", d.Dir).Output()
	if err != nil {
		d.tb.Fatalf("find the loop device of %s: %v", d.Dir, err)
	}
	trigger := filepath.Join("/sys/fs/ext4", filepath.Base(strings.TrimSpace(string(device))), "trigger_fs_error")
	if err := os.WriteFile(trigger, []byte("1"), 0); err != nil {
		Skip(d.tb, fmt.Errorf("make a file system find an error: %w", err))
	}
}

// Replug mounts the disk again as it is found after a loss of power. Nobody may
// have a file open on it.
func (d *Disk) Replug() {
	d.tb.Helper()
	if err := unix.Unmount(d.Dir, 0); err != nil {
		d.tb.Fatalf("unmount after the loss of power: %v", err)
	}
	d.mounted = false
	if err := d.mount(); err != nil {
		d.tb.Fatal(err)
	}
}

// Hang makes every write to the disk wait, until the returned function is called
// or the test process ends, however it does: a shell of its own sees to that.
func (d *Disk) Hang() (goOn func()) {
	d.tb.Helper()
	cmd := exec.Command("sh", "-c", `fsfreeze -f "$1" && echo frozen && read -r _; fsfreeze -u "$1"`, "sh", d.Dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is not for it
	stdin, err := cmd.StdinPipe()
	if err != nil {
		d.tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		d.tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.tb.Fatal(err)
	}
	goOn = sync.OnceFunc(func() {
		stdin.Close()
		_ = cmd.Wait() // that the disk goes on is what counts
	})
	d.tb.Cleanup(goOn)
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		goOn()
		Skip(d.tb, fmt.Errorf("freeze a file system: %q, %w", line, err))
	}
	return goOn
}
