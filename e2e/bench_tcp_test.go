//go:build bench

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"
)

// benchEvent is what a benchmark's device reports.
type benchEvent struct{ source, severity, message string }

// eventNumber makes the i-th event: 64 sources, severities weighted 50, 28, 16
// and 6 of a hundred as a network's are, messages of some 50 characters.
func eventNumber(i int) benchEvent {
	severity := "critical"
	switch n := i * 37 % 100; { // mixed, not in blocks
	case n < 50:
		severity = "info"
	case n < 78:
		severity = "warning"
	case n < 94:
		severity = "error"
	}
	return benchEvent{
		source:   fmt.Sprintf("access-switch-%02d", i%64),
		severity: severity,
		message:  fmt.Sprintf("Interface GigabitEthernet1/0/%d changed state to down, line %d", i%48, i),
	}
}

// appendJSON appends the line without its line feed.
func (e benchEvent) appendJSON(b []byte) []byte {
	return fmt.Appendf(b, `{"source":%q,"severity":%q,"message":%q}`, e.source, e.severity, e.message)
}

// A tcpLoad is events over TCP.
type tcpLoad struct {
	connections int
	window      int           // events in flight on each connection, at most; 1 is one at a time
	chunk       int           // lines a write; divides window
	rate        float64       // events a second in all; 0 for as fast as the answers come
	duration    time.Duration // of sending; the answers to all that was sent are awaited
	events      int           // ends the sending too, when not 0
	keyed       bool          // every line has an idempotency key of its own
	opening                   // of the connections
}

// pipelined is a load that keeps some 16,000 events in flight.
func pipelined(connections int) tcpLoad {
	window := 16384 / connections / 64 * 64
	return tcpLoad{connections: connections, window: window, chunk: 64, duration: 3 * time.Second}
}

// loadResult is what came of a load. A load that lost an answer has failed.
type loadResult struct {
	sent, stored int
	elapsed      time.Duration
	took         durations // of each chunk, from its sending to its last answer
	refusal      string    // the first answer that was not ok
}

// rate is stored events a second.
func (r loadResult) rate() float64 { return float64(r.stored) / r.elapsed.Seconds() }

// run sends the load and waits for all answers.
func (l tcpLoad) run(t testing.TB, addr string) loadResult {
	t.Helper()
	chunks := preformatted(l.chunk)
	results := make([]loadResult, l.connections)
	errs := make([]error, l.connections)
	conns := make([]net.Conn, l.connections)
	for i := range conns {
		conn, err := l.dial(addr)
		if err != nil {
			t.Fatalf("connection %d of %d: %v", i+1, l.connections, err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(l.duration + time.Minute)) // a lost answer must not hang
		conns[i] = conn
	}
	var senders sync.WaitGroup
	start := time.Now()
	for i, conn := range conns {
		s := &sender{tcpLoad: l, number: i, start: start, chunks: chunks, answers: answerCounter{conn: conn}}
		senders.Go(func() { results[i], errs[i] = s.run() })
	}
	senders.Wait()
	total := loadResult{elapsed: time.Since(start)}
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("load of %d connections: %v", l.connections, err)
	}
	for _, r := range results {
		total.sent += r.sent
		total.stored += r.stored
		total.took = append(total.took, r.took...)
		if r.refusal != "" {
			total.refusal = r.refusal
		}
	}
	return total
}

// must is run for loads of which every event has to be stored.
func (l tcpLoad) must(t testing.TB, addr string) loadResult {
	t.Helper()
	r := l.run(t, addr)
	if r.stored != r.sent {
		t.Fatalf("%d events sent, %d stored; a refusal: %s", r.sent, r.stored, r.refusal)
	}
	return r
}

// preformatted makes chunks of so many lines; all connections share them.
func preformatted(lines int) [][]byte {
	chunks := make([][]byte, max(1, 4096/lines))
	for i := range chunks {
		for j := range lines {
			chunks[i] = append(eventNumber(i*lines+j).appendJSON(chunks[i]), '\n')
		}
	}
	return chunks
}

// sender is one connection of a load.
type sender struct {
	tcpLoad
	number  int
	start   time.Time
	chunks  [][]byte
	buffer  []byte // for keyed lines
	answers answerCounter
}

func (s *sender) run() (loadResult, error) {
	// The marks in the channel are the chunks in flight: a full channel is a
	// full window.
	marks := make(chan time.Time, s.window/s.chunk)
	broken := make(chan struct{})
	sent, writeErr := 0, error(nil)
	var writing sync.WaitGroup
	writing.Go(func() {
		defer close(marks)
		sent, writeErr = s.write(marks, broken)
	})
	var took durations
	var readErr error
	expected := 0
	for mark := range marks {
		expected += s.chunk
		for readErr == nil && s.answers.answered < expected {
			readErr = s.answers.read()
		}
		if readErr != nil {
			close(broken)
			break
		}
		took = append(took, time.Since(mark))
	}
	writing.Wait()
	return loadResult{sent: sent, stored: s.answers.ok, took: took, refusal: s.answers.refusal}, errors.Join(writeErr, readErr)
}

// write sends chunks until the load's end.
func (s *sender) write(marks chan<- time.Time, broken <-chan struct{}) (sent int, err error) {
	next, interval := s.start, time.Duration(0)
	if s.rate > 0 {
		interval = time.Duration(float64(s.chunk*s.connections) / s.rate * float64(time.Second))
		next = next.Add(interval * time.Duration(s.number) / time.Duration(s.connections))
	}
	for n := s.number; ; n++ {
		now := time.Now()
		if s.rate > 0 {
			// Late is late: the time counts from when the chunk was due.
			time.Sleep(next.Sub(now))
			now, next = next, next.Add(interval)
		}
		if now.Sub(s.start) >= s.duration || s.events > 0 && sent*s.connections >= s.events {
			return sent, nil
		}
		select {
		case marks <- now:
		case <-broken:
			return sent, nil
		}
		if _, err := s.answers.conn.Write(s.next(n)); err != nil {
			return sent, fmt.Errorf("after %d events: %w", sent, err)
		}
		sent += s.chunk
	}
}

// next is the n-th chunk of this connection.
func (s *sender) next(n int) []byte {
	chunk := s.chunks[n%len(s.chunks)]
	if !s.keyed {
		return chunk
	}
	s.buffer = s.buffer[:0]
	for i := 0; len(chunk) > 0; i++ {
		end := bytes.IndexByte(chunk, '\n')
		s.buffer = append(s.buffer, chunk[:end-1]...)
		s.buffer = append(s.buffer, `,"key":"`...)
		s.buffer = strconv.AppendInt(s.buffer, s.start.UnixNano(), 36) // another load, other keys
		s.buffer = append(s.buffer, '-')
		s.buffer = strconv.AppendInt(s.buffer, int64(s.number), 10)
		s.buffer = append(s.buffer, '-')
		s.buffer = strconv.AppendInt(s.buffer, int64(n*s.chunk+i), 10)
		s.buffer = append(s.buffer, "\"}\n"...)
		chunk = chunk[end+1:]
	}
	return s.buffer
}

// answerCounter reads answers as cheaply as can be: it shares two cores with
// the hub. It counts line feeds and the ones that say ok.
type answerCounter struct {
	conn         net.Conn
	answered, ok int
	refusal      string // the first lines that held one

	buffer [64 << 10]byte
	rest   int // bytes of an answer that is not complete
}

var (
	lineFeed = []byte("\n")
	saysOK   = []byte(`"ok":true`)
)

// read takes what has come, at least one byte.
func (c *answerCounter) read() error {
	n, err := c.conn.Read(c.buffer[c.rest:])
	if err != nil {
		return fmt.Errorf("after %d answers: %w", c.answered, err)
	}
	data := c.buffer[:c.rest+n]
	end := bytes.LastIndexByte(data, '\n') + 1
	lines, ok := bytes.Count(data[:end], lineFeed), bytes.Count(data[:end], saysOK)
	c.answered += lines
	c.ok += ok
	if ok != lines && c.refusal == "" {
		c.refusal = string(data[:min(end, 300)])
	}
	c.rest = copy(c.buffer[:], data[end:])
	return nil
}
