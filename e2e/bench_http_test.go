//go:build bench

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A posting is batches of events over HTTP, one request after the other on
// each of its kept-alive connections. For single events see postOneByOne.
type posting struct {
	connections int
	batch       int // events a request; 1 is a single object
	duration    time.Duration
}

// run posts until the duration is over. Every event has to be stored.
func (p posting) run(t testing.TB, addr string) loadResult {
	t.Helper()
	requests := make([][]byte, 64)
	for i := range requests {
		requests[i] = p.request(addr, i)
	}
	clients := make([]*rawClient, p.connections)
	for i := range clients {
		clients[i] = dialRaw(t, addr, p.duration+time.Minute)
	}
	results := make([]loadResult, p.connections)
	errs := make([]error, p.connections)
	var posting sync.WaitGroup
	start := time.Now()
	for i, c := range clients {
		posting.Go(func() {
			r := &results[i]
			for n := i; time.Since(start) < p.duration; n++ {
				asked := time.Now()
				status, body, err := c.ask(requests[n%len(requests)])
				if err != nil {
					errs[i] = fmt.Errorf("request %d: %w", len(r.took)+1, err)
					return
				}
				r.took = append(r.took, time.Since(asked))
				r.sent += p.batch
				if r.stored += bytes.Count(body, saysOK); status != http.StatusOK {
					r.refusal = fmt.Sprintf("%d %s", status, body)
				}
			}
		})
	}
	posting.Wait()
	total := loadResult{elapsed: time.Since(start)}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		total.sent += r.sent
		total.stored += r.stored
		total.took = append(total.took, r.took...)
		if r.refusal != "" {
			total.refusal = r.refusal
		}
	}
	if total.stored != total.sent {
		t.Fatalf("%d events posted, %d stored; a refusal: %s", total.sent, total.stored, total.refusal)
	}
	return total
}

// request is one POST as it goes over the wire.
func (p posting) request(addr string, number int) []byte {
	var body []byte
	contentType := "application/json"
	if p.batch > 1 {
		contentType = "application/x-ndjson"
	}
	for i := range p.batch {
		body = append(eventNumber(number*p.batch+i).appendJSON(body), '\n')
	}
	head := fmt.Sprintf("POST /api/events HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", addr, contentType, len(body))
	return append([]byte(head), body...)
}

// rawClient is one HTTP connection that costs little, a third of what
// net/http's client does: it writes requests that were made before, looks at
// two headers only and keeps its buffers.
type rawClient struct {
	conn net.Conn
	in   *bufio.Reader
	body []byte
}

// dialRaw connects; the connection ends with the test, or after patience.
func dialRaw(t testing.TB, addr string, patience time.Duration) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &rawClient{conn: conn, in: bufio.NewReaderSize(conn, 16<<10)}
}

// ask returns the answer; body is valid until the next ask.
func (c *rawClient) ask(request []byte) (status int, body []byte, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, err
	}
	length, chunked := 0, false
	for n := 0; ; n++ {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case n == 0:
			if len(line) < len("HTTP/1.1 200") {
				return 0, nil, fmt.Errorf("answer begins with %q", line)
			}
			status, err = strconv.Atoi(string(line[9:12]))
		case len(line) == 0:
			body, err = c.read(length, chunked)
			return status, body, err
		case bytes.HasPrefix(line, []byte("Content-Length: ")):
			length, err = strconv.Atoi(string(line[16:]))
		case bytes.Equal(line, []byte("Transfer-Encoding: chunked")):
			chunked = true
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

func (c *rawClient) read(length int, chunked bool) (body []byte, err error) {
	if !chunked {
		c.body = slices.Grow(c.body[:0], length)[:length]
		_, err = io.ReadFull(c.in, c.body)
		return c.body, err
	}
	if c.body, err = io.ReadAll(httputil.NewChunkedReader(c.in)); err != nil {
		return nil, err
	}
	_, err = c.in.ReadSlice('\n') // the end of the trailer, which is empty
	return c.body, err
}

// get asks for a path over and over and returns how long each answer took.
func (c *rawClient) get(t testing.TB, addr, path string, times int) durations {
	t.Helper()
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, addr)
	took := make(durations, times)
	for i := range took {
		start := time.Now()
		status, body, err := c.ask(request)
		if err != nil || status != http.StatusOK {
			t.Fatalf("GET %s: %d %s %v", path, status, body, err)
		}
		took[i] = time.Since(start)
	}
	return took
}
