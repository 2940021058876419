//go:build bench

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// bareCommits is the least that durable answers to many senders can cost on
// this machine: what waits together is appended to a file with one write and
// one fdatasync, and then answered. It reads no JSON, has no tables, and no
// duty but that.
type bareCommits struct {
	file  *os.File
	queue chan *bareEvent
	done  sync.WaitGroup
}

type bareEvent struct {
	body   []byte
	stored chan error
}

func startBareCommits(t testing.TB) *bareCommits {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "bare"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bareCommits{file: file, queue: make(chan *bareEvent, 1024)}
	b.done.Go(b.run)
	return b
}

// close ends it once all that was accepted is answered; the doors must be
// closed before.
func (b *bareCommits) close() {
	close(b.queue)
	b.done.Wait()
	b.file.Close()
	os.Remove(b.file.Name())
}

func (b *bareCommits) run() {
	var group []*bareEvent
	var block []byte
	for first := range b.queue {
		group, block = append(group[:0], first), append(block[:0], first.body...)
		for len(b.queue) > 0 {
			e := <-b.queue
			group, block = append(group, e), append(block, e.body...)
		}
		_, err := b.file.Write(block)
		err = errors.Join(err, syscall.Fdatasync(int(b.file.Fd())))
		for _, e := range group {
			e.stored <- err
		}
	}
}

// add returns when the body is on disk.
func (b *bareCommits) add(e *bareEvent) error {
	b.queue <- e
	return <-e.stored
}

var bareAnswer = []byte(`{"ok":true,"event_id":1}` + "\n")

// bareLines measures the load against a TCP door of nothing but commits.
func bareLines(t testing.TB, load closedLoop) loadResult {
	t.Helper()
	commits := startBareCommits(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			serving.Go(func() {
				defer conn.Close()
				in, e := bufio.NewReader(conn), &bareEvent{stored: make(chan error)}
				for err := error(nil); err == nil; _, err = conn.Write(bareAnswer) {
					if e.body, err = in.ReadSlice('\n'); err != nil || commits.add(e) != nil {
						return
					}
				}
			})
		}
	})
	r := load.run(t, listener.Addr().String())
	listener.Close()
	serving.Wait()
	commits.close()
	return r
}

// postAnswer is as long as what the hub answers to the POST of an event: the
// event itself, under the headers that every answer has.
var (
	postAnswer  = bytes.Repeat([]byte("x"), 330)
	postHeaders = map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "Location": "/api/events/1",
		"Content-Security-Policy": strings.Repeat("x", 160), "Cross-Origin-Opener-Policy": "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "same-origin", "Vary": "Accept-Encoding",
		"X-Content-Type-Options": "nosniff", "X-Request-Id": strings.Repeat("x", 32),
	}
)

// barePosts measures a load of single events against net/http's server with
// nothing but commits behind it.
func barePosts(t testing.TB, load func(addr string) closedLoop) loadResult {
	t.Helper()
	commits := startBareCommits(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = commits.add(&bareEvent{body: body, stored: make(chan error, 1)})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		for name, value := range postHeaders {
			w.Header().Set(name, value)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(postAnswer)))
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(postAnswer) // a client that is gone is its own concern
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // until Close
	r := load(listener.Addr().String()).run(t, listener.Addr().String())
	server.Close()
	serving.Wait()
	commits.close()
	return r
}
