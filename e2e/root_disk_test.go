//go:build root

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// volume is a small file system of its own, which ends with the test however
// that ends.
type volume struct {
	t     testing.TB
	Dir   string // where it is mounted
	image string // of the ext4; "" for a tmpfs
}

// newTmpfs mounts a tmpfs of some MiB.
func newTmpfs(t testing.TB, size int) *volume {
	t.Helper()
	v := &volume{t: t, Dir: t.TempDir()}
	v.run("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", size), "tmpfs", v.Dir)
	t.Cleanup(v.unmount)
	return v
}

// newExt4 makes an ext4 of some MiB in a file and mounts it by a loop device.
func newExt4(t testing.TB, size int64) *volume {
	t.Helper()
	v := &volume{t: t, Dir: t.TempDir(), image: filepath.Join(t.TempDir(), "disk.img")}
	f, err := os.Create(v.image)
	if err == nil {
		err = errors.Join(f.Truncate(size<<20), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	v.run("mkfs.ext4", "-q", "-F", v.image)
	v.mount()
	t.Cleanup(v.unmount)
	return v
}

func (v *volume) run(name string, args ...string) {
	v.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		v.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func (v *volume) mount() {
	v.t.Helper()
	v.run("mount", "-o", "loop", v.image, v.Dir)
}

// unmount lets go of the file system, by force if it must.
func (v *volume) unmount() {
	for range 50 {
		if err := syscall.Unmount(v.Dir, 0); err == nil || errors.Is(err, syscall.EINVAL) {
			return // EINVAL: it is not mounted
		}
		time.Sleep(100 * time.Millisecond) // the killed hub's files are still being closed
	}
	if err := syscall.Unmount(v.Dir, syscall.MNT_DETACH); err != nil {
		v.t.Errorf("unmount %s: %v", v.Dir, err)
	}
}

// fill takes all the room that is left, to the last block.
func (v *volume) fill() {
	v.t.Helper()
	f, err := os.Create(filepath.Join(v.Dir, "filler"))
	if err != nil {
		v.t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			v.t.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		v.t.Fatal(err)
	}
}

// free gives the room back.
func (v *volume) free() {
	v.t.Helper()
	if err := os.Remove(filepath.Join(v.Dir, "filler")); err != nil {
		v.t.Fatal(err)
	}
}

// cut takes the power: nothing that is not on the disk yet will ever be, the
// journal's open transaction included.
func (v *volume) cut() {
	v.t.Helper()
	// ext4: EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH (fs/ext4/ext4.h).
	const shutdown = 0x8004587d
	noLogFlush := uint32(2)
	dir, err := os.Open(v.Dir)
	if err != nil {
		v.t.Fatal(err)
	}
	defer dir.Close()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, dir.Fd(), shutdown, uintptr(unsafe.Pointer(&noLogFlush))); errno != 0 {
		v.t.Fatalf("shut the file system down: %v", errno)
	}
}

// powerOn mounts again what a cut left behind, after the check that every
// machine does when it starts.
func (v *volume) powerOn() {
	v.t.Helper()
	v.unmount()
	out, err := exec.Command("e2fsck", "-p", v.image).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) { // 1: corrected
		v.t.Fatalf("e2fsck: %v\n%s", err, out)
	}
	v.mount()
}

func TestRootFullDisk(t *testing.T) {
	for name, make := range map[string]func(testing.TB) *volume{
		"tmpfs": func(t testing.TB) *volume { return newTmpfs(t, 24) },
		"ext4":  func(t testing.TB) *volume { return newExt4(t, 32) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rnd := newRand(t)
			disk := make(t)
			dir := filepath.Join(disk.Dir, "data")
			p := startHub(t, options{dir: dir})
			load := startLoad(t, p, rnd, 2, 1)
			probe := newProber(t, p, load)
			for range 3 {
				load.WaitAcks(100, 20*time.Second)
				disk.fill()
				sickness(t, p, probe, "full", false)
				disk.free()
				recovery(t, p, probe)
			}
			load.Finish(20 * time.Second)
			if v := load.Judge(dir); v.Untold > 0 {
				t.Errorf("%d events are stored whose senders were told otherwise", v.Untold)
			}
			p.Stop(10 * time.Second)
			checkIntegrity(t, openDatabase(t, dir))
		})
	}
}

// TestRootPowerCut: what was acknowledged is on the disk, not in a cache.
func TestRootPowerCut(t *testing.T) {
	t.Parallel()
	rnd := newRand(t)
	disk := newExt4(t, 512)
	dir := filepath.Join(disk.Dir, "data")
	addrs := fixedAddrs(t)
	p := startHub(t, options{dir: dir, like: addrs})
	load := startLoad(t, p, rnd, 3, 1)
	const cuts = 8
	for i := range cuts {
		acks := int64(1) // the first cut comes with the first event of a new database
		if i > 0 {
			acks += rnd.Int64N(3000)
		}
		load.WaitAcks(acks, 30*time.Second)
		if i == cuts/2 {
			p.Stop(10 * time.Second) // what an orderly stop leaves is on the disk too
		} else {
			time.Sleep(time.Duration(rnd.Int64N(int64(20 * time.Millisecond))))
		}
		// A sync that is under way while the file system shuts down may return
		// as if it had succeeded; on a machine without power it never returns.
		load.ledger.dark.Store(true)
		disk.cut()
		p.Kill()
		load.ledger.dark.Store(false)
		disk.powerOn()
		p = startHub(t, options{dir: dir, like: addrs})
	}
	load.Finish(30 * time.Second)
	v := load.Judge(dir)
	t.Logf("%d power cuts", cuts)
	if v.Sent != v.Acked || v.Acked != v.Stored {
		t.Errorf("all were sent again until acknowledged, but %+v", v)
	}
	p.Stop(10 * time.Second)
	checkIntegrity(t, openDatabase(t, dir))
}

// TestRootReadOnlyDatabase: permissions do not bind root, mounts and
// attributes do.
func TestRootReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, dir string) {
		t.Helper()
		before := contents(t, dir)
		got := runBinary(t, nil, "serve", "--data-dir", dir, "--log-format=json",
			"--http-addr=127.0.0.1:0", "--tcp-addr=127.0.0.1:0", "--feed-addr=127.0.0.1:0")
		if got.Code == 0 || got.Took > 10*time.Second {
			t.Errorf("exit %d after %v", got.Code, got.Took)
		}
		line := onlyLine(t, got.Stderr)
		t.Log(line)
		if !strings.Contains(line, dir) || !strings.Contains(line, "read-only") && !strings.Contains(line, "not permitted") {
			t.Errorf("the line is %q", line)
		}
		if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
			t.Errorf("the data directory changed (-before +after):\n%s", diff)
		}
	}
	made := func(t *testing.T, dir string) {
		t.Helper()
		p := startHub(t, options{dir: dir})
		if a := dialDevice(t, p).Ask(`{"source":"a"}`); !a.OK {
			t.Fatalf("%+v", a)
		}
		p.Stop(10 * time.Second)
	}
	t.Run("a read-only mount", func(t *testing.T) {
		disk := newTmpfs(t, 16)
		made(t, disk.Dir)
		disk.run("mount", "-o", "remount,ro", disk.Dir)
		refused(t, disk.Dir)
	})
	t.Run("an immutable file", func(t *testing.T) {
		disk := newExt4(t, 32)
		made(t, disk.Dir)
		disk.run("chattr", "+i", databaseOf(disk.Dir))
		t.Cleanup(func() { _ = exec.Command("chattr", "-i", databaseOf(disk.Dir)).Run() })
		refused(t, disk.Dir)
	})
}
