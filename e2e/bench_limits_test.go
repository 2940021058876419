//go:build bench

package e2e

import (
	"bufio"
	"fmt"
	"testing"
	"time"
)

// limits measures what a flooding sender costs a quiet one, over TCP and over
// HTTP: one connection, one event at a time, alone and beside four that send
// all they can, from an address of their own and with one source.
func (b *bench) limits(t *testing.T) {
	p := startHub(t, options{env: outboxOn()})
	for _, door := range []struct {
		name, addr string
		quiet      closedLoop
		flood      func(testing.TB, string, int) *flood
	}{
		{"TCP", p.TCP, oneByOne(1, 4*time.Second), startFlood},
		{"HTTP", p.HTTP, postOneByOne(p.HTTP, 1, 4*time.Second), startPostFlood},
	} {
		var alone50, alone99, beside50, beside99, stored, refused sample
		for range moreRounds {
			alone := door.quiet.run(t, door.addr)
			f := door.flood(t, door.addr, 4)
			time.Sleep(time.Second) // until the burst that it may have is over
			f.stored.Store(0)
			f.refused.Store(0)
			start := time.Now()
			beside := door.quiet.run(t, door.addr)
			elapsed := time.Since(start).Seconds()
			stored.add(float64(f.stored.Load()) / elapsed)
			refused.add(float64(f.refused.Load()) / elapsed)
			f.stop()
			alone50.add(alone.took.percentile(0.50))
			alone99.add(alone.took.percentile(0.99))
			beside50.add(beside.took.percentile(0.50))
			beside99.add(beside.took.percentile(0.99))
		}
		group, against := "a quiet sender beside a flooding one, "+door.name, "alone"
		b.against(group, "ack p50", "ms", beside50, against, alone50)
		b.against(group, "ack p99", "ms", beside99, against, alone99)
		b.figure(group, "the flood: stored", "events/s", stored)
		b.figure(group, "the flood: refused", "events/s", refused)
		b.atMost("limits", door.name+", quiet sender beside a flood: ack p99 / alone", beside99.per(alone99).median(), 2, "x")
	}
	p.Stop(10 * time.Second)
}

// startPostFlood is startFlood over HTTP: batches of 64, one after the other.
func startPostFlood(t testing.TB, addr string, connections int) *flood {
	t.Helper()
	f := &flood{}
	request := fmt.Appendf(nil, "POST /api/events HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", addr, len(floodLines), floodLines)
	for range connections {
		conn := dialFrom(t, floodAddress, addr)
		f.conns = append(f.conns, conn)
		f.running.Go(func() {
			c := &rawClient{conn: conn, in: bufio.NewReaderSize(conn, 16<<10)}
			for {
				_, body, err := c.ask(request)
				if err != nil {
					return
				}
				if _, err := f.Write(body); err != nil {
					return
				}
			}
		})
	}
	return f
}
