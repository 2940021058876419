//go:build bench

package e2e

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A keyedProducer sends keyed lines at a steady rate, whatever happens to the hub,
// and writes down which of them were acknowledged, and with which id.
type keyedProducer struct {
	number int
	ids    []int64 // of each line that was answered, in line order: the ledger
	err    error   // an answer that must not be
}

// message is what tells the n-th line of this producer from all others.
func (p *keyedProducer) message(n int) string { return fmt.Sprintf("ledger %d-%d", p.number, n) }

// run sends from the first line that was not acknowledged on, until the
// connection breaks or the stop comes; then it still takes the answers to what
// it sent.
func (p *keyedProducer) run(addr string, rate float64, stop <-chan struct{}) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return // killed before it listened
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	n := len(p.ids)
	var reading sync.WaitGroup
	reading.Go(func() { p.read(conn) })
	const tick = 5 * time.Millisecond
	lines := max(1, int(rate*tick.Seconds()))
	next := time.Now()
	var buffer []byte
	for {
		select {
		case <-stop:
			_ = conn.(*net.TCPConn).CloseWrite() // the hub answers all and closes
			reading.Wait()
			return
		case <-time.After(time.Until(next)):
		}
		next = next.Add(tick)
		buffer = buffer[:0]
		for range lines {
			message := p.message(n)
			buffer = fmt.Appendf(buffer, `{"source":"ledger-%d","severity":"info","message":%q,"key":%q}`+"\n", p.number, message, message)
			n++
		}
		if _, err := conn.Write(buffer); err != nil {
			break // killed
		}
	}
	reading.Wait()
}

// read writes the ledger.
func (p *keyedProducer) read(conn net.Conn) {
	buffer, rest := make([]byte, 64<<10), 0
	for {
		n, err := conn.Read(buffer[rest:])
		if err != nil {
			return
		}
		data := buffer[:rest+n]
		for {
			line, after, complete := bytes.Cut(data, lineFeed)
			if !complete {
				break
			}
			id, ok := acknowledged(line)
			if !ok {
				p.err = fmt.Errorf("line %d was answered %s", len(p.ids), line)
				return
			}
			p.ids = append(p.ids, id)
			data = after
		}
		rest = copy(buffer, data)
	}
}

// acknowledged reads the id of a good answer.
func acknowledged(line []byte) (id int64, ok bool) {
	_, after, found := bytes.Cut(line, []byte(`{"ok":true,"event_id":`))
	digits := bytes.IndexAny(after, ",}")
	if !found || digits < 0 {
		return 0, false
	}
	id, err := strconv.ParseInt(string(after[:digits]), 10, 64)
	return id, err == nil
}

// killResult is what ten kills did.
type killResult struct {
	acknowledged, lost, wrong, twice int
	restarts                         sample // seconds from the start to an acknowledged line
}

// killRepeatedly kills a hub under load and compares the ledgers with what is
// in its database at the end.
func killRepeatedly(t testing.TB, kills int, rate float64, env []string) killResult {
	t.Helper()
	const producers = 4
	dir := t.TempDir()
	p := startHub(t, options{dir: dir, env: env})
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed of the kills: %d", seed)
	all := make([]*keyedProducer, producers)
	for i := range all {
		all[i] = &keyedProducer{number: i}
	}
	var r killResult
	for kill := 0; ; kill++ {
		var running sync.WaitGroup
		stop := make(chan struct{})
		for _, producer := range all {
			running.Go(func() { producer.run(p.TCP, rate/producers, stop) })
		}
		time.Sleep(300*time.Millisecond + time.Duration(random.IntN(500))*time.Millisecond)
		if kill == kills {
			close(stop)
			running.Wait()
			break
		}
		p.Kill()
		running.Wait()
		var at startTimes
		p, at = timeStart(t, p, dir, env)
		r.restarts.add(at.ack / 1000)
	}
	p.Stop(10 * time.Second)
	for _, producer := range all {
		if producer.err != nil {
			t.Error(producer.err)
		}
	}
	r.compare(t, all, dir)
	return r
}

// compare reads the database as anybody may who has the file.
func (r *killResult) compare(t testing.TB, all []*keyedProducer, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "alerthub.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT id, message FROM events WHERE source LIKE 'ledger-%' ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	stored := make(map[string]int64)
	for rows.Next() {
		var id int64
		var message string
		if err := rows.Scan(&id, &message); err != nil {
			t.Fatal(err)
		}
		if _, again := stored[message]; again {
			r.twice++
		}
		stored[message] = id
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		for n, id := range p.ids {
			r.acknowledged++
			switch at, found := stored[p.message(n)]; {
			case !found:
				r.lost++
			case at != id:
				r.wrong++
			}
		}
	}
}
