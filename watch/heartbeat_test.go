package watch

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

func (b *world) beats() {
	b.cfg.Heartbeat = Heartbeat{URL: "https://beat.example.net/s3cret?token=s3cret", Every: time.Minute, Transport: b}
}

// expect lets a minute pass and says whether it was pinged.
func (b *world) expect(what string, pinged bool) {
	b.t.Helper()
	before := len(b.allPings())
	pass(time.Minute)
	if got := len(b.allPings()) - before; got != map[bool]int{true: 1}[pinged] {
		b.t.Errorf("%s: %d pings in a minute", what, got)
	}
}

// The heartbeat beats only while all is well.
func TestHeartbeat(t *testing.T) {
	lane := models.Pause{Lane: models.Lane{Channel: models.DeliveryEmail}, Reason: "AUTH: 535"}
	bubble(t, func(t *testing.T, b *world) {
		b.beats()
		b.start()
		pass(time.Minute - time.Nanosecond)
		if len(b.allPings()) != 0 {
			t.Fatal("pinged at the start")
		}
		pass(time.Nanosecond)
		if len(b.allPings()) != 1 || b.w.Beat().Outcome != BeatSent || !b.w.Beat().LastAt.Equal(time.Now()) {
			t.Fatalf("after a minute: %d pings, %+v", len(b.allPings()), b.w.Beat())
		}
		for name, fault := range map[string]struct{ on, off func() }{
			"storage is sick":        {func() { b.health.Storage = "disk full" }, func() { b.health.Storage = "" }},
			"a lane is paused":       {func() { b.health.Pauses = []models.Pause{lane} }, func() { b.health.Pauses = nil }},
			"nothing can be written": {func() { b.probeFails = errBroken }, func() { b.probeFails = nil }},
		} {
			b.expect("well", true)
			b.set(fault.on)
			b.expect(name, false)
			b.expect(name+", still", false)
			if o := b.w.Beat().Outcome; o != BeatWithheld {
				t.Errorf("%s: outcome %q", name, o)
			}
			b.set(fault.off)
			b.expect("well again after "+name, true)
		}
		b.set(func() { b.pong = func() (*http.Response, error) { return nil, errors.New("connection refused") } })
		b.expect("the other side is away", true)
		if o := b.w.Beat().Outcome; o != BeatFailed {
			t.Errorf("the other side is away: outcome %q", o)
		}
		b.expect("and is asked again", true)
		want := map[string]int64{BeatSent: 7, BeatWithheld: 6, BeatFailed: 2}
		if diff := cmp.Diff(want, b.w.Beat().Counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		// Each change once: sent, three times withheld and sent again, failed.
		if text := b.logged(); strings.Count(text, "heartbeat") != 8 || !strings.Contains(text, "beat.example.net") || strings.Contains(text, "s3cret") {
			t.Errorf("the log:\n%s", text)
		}
	})
}

func TestHeartbeat_AsksTheCanary(t *testing.T) {
	run := func(every time.Duration, test func(t *testing.T, b *world)) {
		bubble(t, func(t *testing.T, b *world) {
			b.beats()
			b.cfg.Canary.Every = every
			test(t, b)
		})
	}
	run(time.Hour, func(t *testing.T, b *world) {
		b.start()
		b.expect("before the first canary", true)
		b.expect("while it is under way", true)
		b.finish(models.EmailFailed, "550")
		b.expect("after it failed", false)
		b.restart()
		b.expect("after a restart", false)
		b.send()
		b.expect("while another is under way", false)
		b.finish(models.EmailSent, "250")
		b.expect("after that came through", true)
		b.send()
		b.restart()
		b.expect("after a stop cut one off that says nothing", true)
	})
	run(0, func(t *testing.T, b *world) {
		b.start()
		b.send()
		b.finish(models.EmailFailed, "550")
		b.expect("after a canary on request failed", true)
	})
}

// What the other side answers is bounded, no redirect is followed, and no
// error holds the address.
func TestPing(t *testing.T) {
	asked := map[string]int{}
	mux := http.NewServeMux()
	answer := func(path string, h http.HandlerFunc) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			asked[path]++
			h(w, r)
		})
	}
	answer("/s3cret/ok", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	answer("/s3cret/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/s3cret/ok", http.StatusFound) })
	answer("/s3cret/down", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	answer("/s3cret/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
				return
			}
		}
	})
	answer("/s3cret/headers", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 4*maxHeader))
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	for path, want := range map[string]string{
		"ok": "", "away": "answered 302", "down": "answered 502", "endless": "", "headers": "exceeded",
	} {
		err := newPinger(server.URL+"/s3cret/"+path, nil).ping(t.Context())
		if got := fmt.Sprint(err); (err == nil) != (want == "") || want != "" && !strings.Contains(got, want) || strings.Contains(got, "s3cret") {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		if asked["/s3cret/"+path] == 0 {
			t.Errorf("%s was not asked", path)
		}
	}
	if asked["/s3cret/ok"] != 1 {
		t.Error("a redirect was followed")
	}
	server.Close()
	p := newPinger(server.URL+"/s3cret", nil)
	if err := p.ping(t.Context()); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("nothing listens: %v", err)
	}
	if u, _ := url.Parse(server.URL); p.host != u.Host {
		t.Errorf("host %q", p.host)
	}
}

// A ping that is not answered ends in time: the watch has more to do.
func TestPing_Timeout(t *testing.T) {
	bubble(t, func(t *testing.T, b *world) {
		begin := time.Now()
		p := newPinger("http://beat.example.net/s3cret", waits{})
		if err := p.ping(t.Context()); err == nil || strings.Contains(err.Error(), "s3cret") || time.Since(begin) != pingTimeout {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

// waits is a network that never answers.
type waits struct{}

func (waits) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
