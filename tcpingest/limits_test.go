package tcpingest

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

// TestServer_RateLimited: each line is answered in its place, and the
// connection goes on.
func TestServer_RateLimited(t *testing.T) {
	svc := &fakeService{}
	var asked []models.Draft
	limit := func(d models.Draft) error {
		asked = append(asked, d)
		if d.Source == "flood" || d.Source == "" {
			return &models.RateLimited{Wait: 1500 * time.Microsecond}
		}
		return nil
	}
	s, addr := start(t, svc, Config{Limit: limit})
	c := dial(t, addr)
	c.send(`{"source":"quiet"}` + "\n" + `{"source":"flood"}` + "\n" + `no event` + "\n" + `{"source":"quiet"}` + "\n")
	for _, want := range []string{
		`{"ok":true,"event_id":1}`,
		`{"ok":false,"error":"rate_limited","retry_ms":2}`,
		`{"ok":false,"error":"rate_limited","retry_ms":2}`, // what is no event counts for its address
		`{"ok":true,"event_id":2}`,
	} {
		c.expect(want)
	}
	if got := s.Stats().Refused["rate_limited"]; got != 2 {
		t.Errorf("%d refusals counted, want 2", got)
	}
	for _, d := range asked {
		if d.Peer != "127.0.0.1" {
			t.Errorf("asked for a draft from %q", d.Peer)
		}
	}
}

// TestServer_FloodIsHeardLess: a refusal with a pause keeps the next read
// waiting, and a shutdown does not wait for it.
func TestServer_FloodIsHeardLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		limit := func(models.Draft) error {
			return &models.RateLimited{Wait: time.Millisecond, Pause: time.Second}
		}
		s := New(&fakeService{}, Config{Limit: limit, Access: &fakeAccess{}})
		c := s.newConn(theirs)
		if err := s.add(c); err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			defer s.remove(c)
			c.serve(context.Background())
		}()
		answer := make([]byte, 256)
		begun := time.Now()
		for range 3 {
			if _, err := ours.Write([]byte("{}\n")); err != nil {
				t.Fatal(err)
			}
			n, err := ours.Read(answer)
			if want := `{"ok":false,"error":"rate_limited","retry_ms":1}` + "\n"; err != nil || string(answer[:n]) != want {
				t.Fatalf("answered %q, %v", answer[:n], err)
			}
		}
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("three lines took %v, want two pauses of a second", took)
		}
		synctest.Wait()
		stopping := time.Now()
		go func() { // what is sent is not read any more
			for {
				if _, err := ours.Read(answer); err != nil {
					ours.Close()
					return
				}
			}
		}()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-served
		if took := time.Since(stopping); took > lingerTime {
			t.Errorf("the shutdown took %v", took)
		}
	})
}

// fewCaps lets most connections of an address in.
type fewCaps struct {
	most int
	mu   sync.Mutex
	open map[string]int // guarded by mu
}

func (c *fewCaps) Enter(peer string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[peer] >= c.most {
		return false
	}
	c.open[peer]++
	return true
}

func (c *fewCaps) Leave(peer string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[peer]--
}

func (c *fewCaps) of(peer string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open[peer]
}

func TestServer_CapsOfAnAddress(t *testing.T) {
	caps := &fewCaps{most: 1, open: map[string]int{}}
	s, addr := start(t, &fakeService{}, Config{Caps: caps})
	first := dial(t, addr)
	first.send("{}\n")
	first.expect(`{"ok":true,"event_id":1}`)
	second := dial(t, addr)
	if got := second.rest(); got != `{"ok":false,"error":"too_many_connections"}`+"\n" {
		t.Errorf("the second of an address is told %q", strings.TrimSpace(got))
	}
	first.Close()
	eventually(t, "the first has left", func() bool { return s.Stats().Connections == 0 })
	if diff := cmp.Diff(0, caps.of("127.0.0.1")); diff != "" {
		t.Errorf("connections that are left (-want +got):\n%s", diff)
	}
	third := dial(t, addr)
	third.send("{}\n")
	third.expect(`{"ok":true,"event_id":2}`)
}
