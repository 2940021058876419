//go:build bench

package e2e

import (
	"database/sql"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/glebarez/go-sqlite" // the driver whose own speed is a floor

	"alerthub/models"
)

// A floor is what this machine can do at all in the minute of the measurement:
// the driver's inserts, the disk's syncs, the kernel's loopback.

// bareRows is the transaction size of the insert floor.
const bareRows = 4096

// bareInserts inserts the rows that the hub would store, in the plainest way
// that the driver offers: a prepared statement, one row an Exec, WAL, every
// commit synced, a table without any index. It returns rows a second.
func bareInserts(t testing.TB, duration time.Duration) float64 {
	t.Helper()
	dir := t.TempDir()
	defer os.RemoveAll(dir) // now, not at the end: the disk is shared with what follows
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "bare.db")+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE events(id INTEGER PRIMARY KEY AUTOINCREMENT, created_at TEXT NOT NULL,
		source TEXT NOT NULL, severity TEXT NOT NULL, message TEXT NOT NULL, channel TEXT NOT NULL, raw_payload TEXT)`); err != nil {
		t.Fatal(err)
	}
	now := models.FormatTime(time.Now())
	events := make([]benchEvent, bareRows)
	lines := make([]string, bareRows)
	for i := range events {
		events[i] = eventNumber(i)
		lines[i] = string(events[i].appendJSON(nil))
	}
	transaction := func() error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		defer tx.Rollback() // nothing after the commit
		insert, err := tx.Prepare(`INSERT INTO events(created_at,source,severity,message,channel,raw_payload) VALUES(?,?,?,?,?,?)`)
		if err != nil {
			return err
		}
		defer insert.Close()
		for i, e := range events {
			if _, err := insert.Exec(now, e.source, e.severity, e.message, string(models.ChannelTCP), lines[i]); err != nil {
				return err
			}
		}
		return tx.Commit()
	}
	if err := transaction(); err != nil { // the file's first growth is nobody's speed
		t.Fatalf("bare insert: %v", err)
	}
	start, rows := time.Now(), 0
	for time.Since(start) < duration {
		if err := transaction(); err != nil {
			t.Fatalf("bare insert: %v", err)
		}
		rows += bareRows
	}
	return float64(rows) / time.Since(start).Seconds()
}

// diskSyncs appends 4 KiB and calls fdatasync, over and over.
func diskSyncs(t testing.TB, duration time.Duration) durations {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "sync"))
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	block := make([]byte, 4096)
	var took durations
	for end := time.Now().Add(duration); time.Now().Before(end); {
		start := time.Now()
		if _, err := file.Write(block); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			t.Fatalf("fdatasync: %v", err)
		}
		took = append(took, time.Since(start))
	}
	return took
}

// loopbackEchoes sends a line to itself and waits for it, over and over.
func loopbackEchoes(t testing.TB, duration time.Duration) durations {
	t.Helper()
	client, server := loopback(t)
	defer client.Close()
	go func() {
		defer server.Close()
		io.Copy(onlyWriter{server}, server) // until the client is gone
	}()
	line := eventNumber(0).appendJSON(nil)
	back := make([]byte, len(line))
	var took durations
	for end := time.Now().Add(duration); time.Now().Before(end); {
		start := time.Now()
		if _, err := client.Write(line); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, back); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	return took
}

// onlyWriter hides the connection's other methods: no splice in the kernel,
// the bytes pass through the program as they do in a hub.
type onlyWriter struct{ io.Writer }

// loopback is a connected pair of TCP sockets.
func loopback(t testing.TB) (client, server net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// bareFanout writes a frame of a feed's size to n sockets, one after the
// other, and tells how long the last reader waited for it.
func bareFanout(t testing.TB, n, frames int, interval time.Duration) durations {
	t.Helper()
	frame := make([]byte, 300)
	var pending atomic.Int64
	last := make(chan time.Time, 1)
	servers := make([]net.Conn, n)
	for i := range servers {
		client, server := loopback(t)
		servers[i] = server
		go func() {
			defer client.Close()
			for buffer := make([]byte, len(frame)); ; {
				if _, err := io.ReadFull(client, buffer); err != nil {
					return // the sender is done
				}
				if pending.Add(-1) == 0 {
					last <- time.Now()
				}
			}
		}()
	}
	var took durations
	for range frames {
		time.Sleep(interval)
		pending.Store(int64(n))
		start := time.Now()
		for _, s := range servers {
			if _, err := s.Write(frame); err != nil {
				t.Fatal(err)
			}
		}
		took = append(took, (<-last).Sub(start))
	}
	for _, s := range servers {
		s.Close()
	}
	return took
}

// syncFloor is the least that one durable answer can cost: one sync of the
// disk and one way over loopback and back, in milliseconds.
type syncFloor struct{ sync50, sync99, echo50 sample }

// measure adds a round.
func (f *syncFloor) measure(t testing.TB) {
	t.Helper()
	syncs := diskSyncs(t, time.Second)
	f.sync50.add(syncs.percentile(0.50))
	f.sync99.add(syncs.percentile(0.99))
	f.echo50.add(loopbackEchoes(t, 500*time.Millisecond).percentile(0.50))
}

// one is a floor: what one synchronous answer costs at least.
func (f *syncFloor) one() sample { return f.sync50.plus(f.echo50) }

// realDisk names the file system under the test's files. A benchmark of
// durability on memory would measure nothing.
func realDisk(t testing.TB) string {
	t.Helper()
	var s syscall.Statfs_t
	dir := t.TempDir()
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatalf("statfs %s: %v", dir, err)
	}
	switch uint32(s.Type) {
	case 0x01021994, 0x858458f6: // tmpfs, ramfs (linux/magic.h)
		t.Fatalf("the temporary directory is in memory; set TMPDIR to a directory on a disk")
	case 0xef53:
		return "ext4"
	case 0x58465342:
		return "xfs"
	case 0x9123683e:
		return "btrfs"
	}
	return fmt.Sprintf("type %#x", s.Type)
}
