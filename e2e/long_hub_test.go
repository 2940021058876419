//go:build long

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestLongKills is TestDurability_KillUnderLoad, fifty times as long.
func TestLongKills(t *testing.T) {
	const kills, lives = 100, 5
	total := 0
	for life := range lives {
		t.Run(fmt.Sprint(life), func(t *testing.T) {
			rnd, dir := newRand(t), t.TempDir()
			p, load := killing(t, rnd, dir, kills)
			load.Finish(60 * time.Second)
			v := load.Judge(dir)
			if v.Sent == 0 || v.Sent != v.Acked || v.Acked != v.Stored {
				t.Errorf("all were sent again until acknowledged, but %+v", v)
			}
			p.Stop(10 * time.Second)
			total += kills
		})
	}
	t.Logf("%d kills", total)
}

// TestLongSoak keeps a hub busy, at a pace that a disk can hold for long, and
// looks whether anything grows that must not. E2E_SOAK sets how long.
func TestLongSoak(t *testing.T) {
	length := 20 * time.Minute
	if s := os.Getenv("E2E_SOAK"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatalf("E2E_SOAK: %v", err)
		}
	}
	server := newMailServer(t, false)
	server.Start()
	p := startHub(t, options{env: server.Settings("ops@example.net")})
	serves(t, p, 5*time.Second)
	idle := p.footprint()

	feed := follow(t, "ws://"+p.Feed+"/?since=0&batch=1")
	done := make(chan struct{})
	gaps := make(chan error, 1)
	go func() { // ends with its connection
		last := int64(0)
		for {
			_ = feed.conn.SetReadDeadline(time.Now().Add(time.Minute))
			_, raw, err := feed.conn.ReadMessage()
			select {
			case <-done:
				gaps <- nil
				return
			default:
			}
			if err != nil {
				gaps <- err
				return
			}
			if last, err = follows(raw, last); err != nil {
				gaps <- err
				return
			}
		}
	}()

	rnd := newRand(t)
	severities := []string{"info", "info", "info", "info", "warning", "warning", "error", "critical"}
	devices := make([]*device, 20)
	for i := range devices {
		devices[i] = dialDevice(t, p)
	}
	var warm footprint
	var events, mails int64 = 1, 0
	start := time.Now()
	for next := start; time.Since(start) < length; {
		d := devices[rnd.IntN(len(devices))]
		severity := severities[rnd.IntN(len(severities))]
		if severity != "info" && severity != "warning" {
			if rnd.IntN(50) > 0 { // a mail takes a connection to the mail server
				severity = "warning"
			} else {
				mails++
			}
		}
		a := d.Ask(fmt.Sprintf(`{"source":"soak-%d","severity":"%s","message":"%s"}`, rnd.IntN(200), severity, strings.Repeat("m", rnd.IntN(250))))
		events++
		if !a.OK || a.EventID != events {
			t.Fatalf("event %d: %+v", events, a)
		}
		if rnd.IntN(2000) == 0 {
			for _, page := range []string{"/", "/events", "/alerts", "/audit"} {
				if status, _ := p.get(page); status != 200 {
					t.Errorf("GET %s: %d", page, status)
				}
			}
		}
		if time.Now().After(next) {
			now := p.footprint()
			if warm.RSS == 0 && time.Since(start) > length/4 {
				warm = now
			}
			t.Logf("%v: %d events, %v", time.Since(start).Round(time.Second), events, now)
			next = next.Add(length / 20)
		}
	}
	last := p.footprint()
	if warm.RSS > 0 && last.RSS > warm.RSS+32<<10 {
		t.Errorf("memory grew from %v to %v", warm, last)
	}
	stats := p.stats()
	if stats.TotalEvents != events {
		t.Errorf("%d events, want %d", stats.TotalEvents, events)
	}
	eventually(t, time.Minute, func() error {
		if s := p.stats(); s.Email["sent"] != mails || s.Email["pending"] != 0 {
			return fmt.Errorf("%d mails were due: %+v", mails, s.Email)
		}
		return nil
	})
	close(done)
	feed.conn.Close()
	if err := <-gaps; err != nil {
		t.Errorf("the feed: %v", err)
	}
	for _, d := range devices {
		d.conn.Close()
	}
	t.Logf("%d events, %d mails; idle before: %v; after: %v", events, mails, idle, p.backTo(idle, 30*time.Second))
}

// follows checks that a message of the feed continues after last without a
// gap, and returns the last id then.
func follows(raw []byte, last int64) (int64, error) {
	var m struct {
		Type string
		Data json.RawMessage
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return last, err
	}
	var events []storedEvent
	switch m.Type {
	case "event":
		events = make([]storedEvent, 1)
		if err := json.Unmarshal(m.Data, &events[0]); err != nil {
			return last, err
		}
	case "events":
		if err := json.Unmarshal(m.Data, &events); err != nil {
			return last, err
		}
	}
	for _, e := range events {
		if e.ID != last+1 {
			return last, fmt.Errorf("after %d came %d", last, e.ID)
		}
		last = e.ID
	}
	return last, nil
}

// TestLongPagesAreAccessible is TestBrowser_PagesFitAndAreAccessible in every look.
func TestLongPagesAreAccessible(t *testing.T) {
	judgePages(t, func(i int, _ string, _ bool) []look { return looks(i) })
}
