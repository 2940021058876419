package live

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	"github.com/olahol/melody"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
	"alerthub/views"
)

// eventsPage is the list of events as the server renders it for params now.
func (r *rig) eventsPage(params string) *page {
	p := &page{params: "view=events&lang=en&" + params, cap: views.EventsCap}
	r.truth.mu.Lock()
	p.lastID = r.truth.last()
	r.truth.mu.Unlock()
	p.rows = r.fresh(p.params, p.lastID)
	return p
}

// fresh is the rows of a page that is rendered from the events up to told.
func (r *rig) fresh(params string, told int64) []row {
	request, _ := http.NewRequest(http.MethodGet, "/?"+params, nil)
	a, q, err := readAudience(request, request.URL.Query(), time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	s := newStage(r.panel, r.truth)
	s.told = told
	c := newCrowd(a, q, time.Now())
	table, err := s.whole(request.Context(), c)
	if err != nil {
		r.t.Fatal(err)
	}
	// A frame ends with a beat.
	elements, err := parseFrame(string(s.render(&a, table, views.Beat(views.BeatData{LastID: told}))))
	if err != nil {
		r.t.Fatal(err)
	}
	return rowsOf(r.t, elements[0].node)
}

// open dials the panel as p does, without reading anything. A page that shows
// a gap does not say what it knows, and is drawn anew.
func (r *rig) open(t *testing.T, p *page) *websocket.Conn {
	t.Helper()
	path := "/ws?" + p.params
	if len(gaps(p.rows)) == 0 {
		path += fmt.Sprintf("&since=%d", p.lastID)
	}
	if p.asOf != "" {
		path += "&at=" + p.asOf
	}
	if p.paused {
		path += "&paused=1"
	}
	return r.dial(t, path)
}

// join is open, and the answer.
func (r *rig) join(t *testing.T, p *page) *websocket.Conn {
	t.Helper()
	conn := r.open(t, p)
	before := p.came["notices"]
	p.until(t, conn, "the greeting", func() bool { return p.came["notices"] > before })
	return conn
}

// until reads frames into p until ok.
func (p *page) until(t *testing.T, conn *websocket.Conn, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s; the page has %d rows up to %d", what, len(p.rows), p.lastID)
		}
		p.apply(t, read(t, conn))
	}
}

func newestIDs(last int64, n int) (out []int64) {
	for id := last; id > 0 && len(out) < n; id-- {
		out = append(out, id)
	}
	return out
}

func critical(e *models.Event) { e.Severity = models.SeverityCritical }

func TestPanel_RowArrivesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 3)
		p := r.eventsPage("")
		conn := r.join(t, p)
		if len(p.newRows) > 0 {
			t.Error("the page got rows although it missed none")
		}
		// Once may be slow because the machine is; never is because it was paced.
		for try := 1; ; try++ {
			began := time.Now()
			r.commit(1, 0)
			p.until(t, conn, "the row", func() bool { return p.lastID == int64(3+try) })
			if took := time.Since(began); took < calmGap/2 {
				break
			} else if try == 3 {
				t.Fatalf("the first row took %v, which is a frame's wait", took)
			}
			time.Sleep(2 * busyGap) // until the next row is a first one again
		}
		if diff := cmp.Diff(newestIDs(p.lastID, 100), ids(p.rows)); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		if want := fmt.Sprintf("message %d", p.lastID); !strings.Contains(p.rows[0].text, want) {
			t.Errorf("row %q, want %q in it", p.rows[0].text, want)
		}
	})
}

func TestPanel_EachViewGetsItsParts(t *testing.T) {
	header := []string{"n-crit", "n-fail", "notices", "beat", "news"}
	list := append(header[:4:4], "pill", "found", "shown", "to-ack", "chip-critical", "chip-error", "chip-warning", "chip-info")
	list = list[:len(list):len(list)]
	tests := map[string]struct {
		parts      []string
		rows, mail bool
	}{
		"view=dashboard":               {append(header, "kpis", "histo", "histo-table", "attn", "srcs", "mails", "as-of"), true, false},
		"view=dashboard&wall=1&rows=3": {[]string{"kpis", "histo", "histo-table", "attn", "notices", "beat", "news"}, true, false},
		"view=events":                  {append(list, "strip", "news"), true, false},
		"view=events&q=x":              {list, false, false}, // what it asks for does not come
		"view=event":                   {append(list, "strip", "news"), true, false},
		"view=alerts":                  {append(header, "alert-figures", "alerts-day", "alerts-foot", "st-all", "st-sent", "st-failed", "st-skipped", "st-pending", "st-digested", "st-cancelled"), false, true},
		"view=create":                  {header, false, false},
		"view=events&before=9&q=fire":  {header, false, false},
		"view=alerts&before=9":         {header, false, false},
		"view=audit":                   {append(header, "audit-tables"), false, false},
	}
	for params, tt := range tests {
		t.Run(params, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := bubbleRig(t, Config{}, 0)
				p := &page{params: params, cap: views.EventsCap}
				conn := r.join(t, p)
				r.commitEach(1, func(e *models.Event) { e.Severity, e.Message = models.SeverityCritical, "fire" })
				r.truth.set(func(s *truth) { s.health.Storage = "disk full" }) // told with a beat, after all the rest
				p.until(t, conn, "what follows", func() bool {
					return strings.Contains(text(p.parts["notices"]), "stored") && p.came["beat"] > 3 && (p.came["pill"] == 0 || p.came["found"] > 0)
				})
				var came []string
				for id := range p.parts {
					came = append(came, id)
				}
				slices.Sort(came)
				slices.Sort(tt.parts)
				if diff := cmp.Diff(tt.parts, came); diff != "" {
					t.Errorf("parts (-want +got):\n%s", diff)
				}
				if got := len(p.rows) == 1; got != tt.rows {
					t.Errorf("event rows: %v", p.rows)
				}
				if got := len(p.alerts) == 1; got != tt.mail {
					t.Errorf("email rows: %v", p.alerts)
				}
			})
		})
	}
}

// A burst is drawn as its gravest and newest rows, the rest counted and linked;
// when it is over, the table is as a fresh page would show it.
func TestPanel_BurstIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 1)
		p := r.eventsPage("sev=warning,critical&src=sw-1")
		conn := r.join(t, p)
		r.commitEach(1000, func(e *models.Event) {
			switch {
			case e.ID == 10 || e.ID == 20:
				critical(e)
			case e.ID%2 == 0:
				e.Severity = models.SeverityInfo
			}
		})
		p.until(t, conn, "the burst", func() bool { return p.lastID == 1001 })
		want := []int64{1001}
		for id := int64(999); len(want) < rowsPerFrame-2; id -= 2 {
			want = append(want, id)
		}
		want = append(want, 20, 10, 1)
		if diff := cmp.Diff(want, ids(p.rows)); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		left := gaps(p.rows)
		if len(left) != 1 || !strings.Contains(left[0].text, "482 events") || left[0].from != 3 || left[0].to != 965 {
			t.Fatalf("gaps %+v", left)
		}
		values := "from=2026-11-23T18%3A30%3A06.123456Z&sev=warning&sev=critical&src=sw-1&to=2026-11-23T19%3A02%3A10.123457Z"
		if left[0].url != "/events?"+values {
			t.Errorf("the gap links to %s", left[0].url)
		}
		p.until(t, conn, "the whole table", func() bool { return p.all > 0 })
		if diff := cmp.Diff(r.fresh(p.params, 1001), p.rows, cmp.AllowUnexported(row{})); diff != "" {
			t.Errorf("rows after the burst (-want +got):\n%s", diff)
		}
	})
}

// When not even the hand-over keeps a burst, an unfiltered page counts it and a
// filtered one says how many there were at most.
func TestPanel_BurstThatNobodyKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 1)
		all, some := r.eventsPage(""), r.eventsPage("q=nothing")
		allConn, someConn := r.join(t, all), r.join(t, some)
		r.truth.order.Lock()
		receipts := r.truth.insert(inboxEvents+10, 0)
		r.EventsRecorded(receipts)
		r.truth.order.Unlock()
		all.until(t, allConn, "the burst", func() bool { return all.lastID > 1 })
		some.until(t, someConn, "the burst", func() bool { return some.lastID > 1 })
		if left := gaps(all.rows); len(left) != 1 || !strings.Contains(left[0].text, "32,778 events") || left[0].from != 2 {
			t.Errorf("gaps %+v", left)
		}
		if left := gaps(some.rows); len(left) != 1 || !strings.Contains(left[0].text, "At most 32,778") || !strings.Contains(left[0].url, "q=nothing") {
			t.Errorf("gaps %+v", left)
		}
		all.until(t, allConn, "the whole table", func() bool { return all.all > 0 })
		some.until(t, someConn, "the whole table", func() bool { return some.all > 0 })
		if diff := cmp.Diff(newestIDs(inboxEvents+11, 100), ids(all.rows)); diff != "" || len(some.rows) > 0 {
			t.Errorf("%d rows of nothing; rows (-want +got):\n%s", len(some.rows), diff)
		}
	})
}

func TestPanel_RepeatsAreOneRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		p := r.eventsPage("")
		conn := r.join(t, p)
		same := func(e *models.Event) { e.CreatedAt, e.Message = received, "link down" }
		r.commitEach(30, same)
		p.until(t, conn, "the repeats", func() bool { return p.lastID == 30 })
		r.commitEach(3, same)
		p.until(t, conn, "three more", func() bool { return p.lastID == 33 })
		if len(p.rows) != 1 || p.rows[0].id != 33 || p.rows[0].n != 33 {
			t.Errorf("rows %+v, want one of 33 with the id 33", p.rows)
		}
	})
}

func TestPanel_PaceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		p := r.eventsPage("")
		conn := r.join(t, p)
		done := make(chan struct{})
		began, before := time.Now(), r.truth.seen.Load()
		go func() {
			defer close(done)
			for range 300 {
				r.commit(3, 0)
				time.Sleep(5 * time.Millisecond)
			}
		}()
		p.until(t, conn, "all", func() bool { return p.lastID == 900 })
		<-done
		frames, seconds := len(p.newRows), time.Since(began).Seconds()
		if float64(frames) > 2*seconds+2 {
			t.Errorf("%d frames in %.1f s", frames, seconds)
		}
		for _, n := range p.newRows {
			if n > rowsPerFrame+1 {
				t.Errorf("%d rows in a frame", n)
			}
		}
		if reads := r.truth.seen.Load() - before; float64(reads) > 5*(seconds+1) {
			t.Errorf("%d reads in %.1f s", reads, seconds)
		}
	})
}

func TestFrameGap(t *testing.T) {
	tests := []struct {
		now, lately float64
		want        time.Duration
	}{
		{0, 0, calmGap},
		{19.9, 1000, calmGap}, // it is over
		{1000, 19.9, calmGap}, // a few at once
		{math.Inf(1), 20, busyGap},
		{999, 1000, busyGap},
		{1000, 999, busyGap},
		{1000, 1000, floodGap},
	}
	for _, tt := range tests {
		if got := frameGap(tt.now, tt.lately); got != tt.want {
			t.Errorf("frameGap(%v, %v) = %v, want %v", tt.now, tt.lately, got, tt.want)
		}
	}
}

// The page comes while rows are stored that no frame has told of yet: it gets
// them with the others, in the next frame, and not twice.
func TestPanel_PageBetweenTwoFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		other, p := r.eventsPage(""), r.eventsPage("")
		conn := r.join(t, other)
		r.commit(5, 0)
		other.until(t, conn, "the first frame", func() bool { return other.lastID == 5 })
		r.commit(5, 0) // waits for its frame now
		late := r.open(t, p)
		p.until(t, late, "all rows", func() bool { return p.lastID == 10 })
		if diff := cmp.Diff(newestIDs(10, 100), ids(p.rows)); diff != "" || p.doubles > 0 {
			t.Errorf("%d doubles, rows (-want +got):\n%s", p.doubles, diff)
		}
	})
}

// The page was rendered from rows that no frame has told of yet.
func TestPanel_PageAheadOfTheFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 10)
		first := r.eventsPage("")
		conn := r.join(t, first)

		receipts := r.truth.insert(3, 0) // stored, not yet handed over
		ahead := r.eventsPage("")
		second := r.open(t, ahead)
		eventually(t, "the second page is there", func() bool { return r.Counters().Panels == 2 })
		r.EventsRecorded(receipts)
		r.commit(2, 0)
		ahead.until(t, second, "the later rows", func() bool { return ahead.lastID == 15 })
		first.until(t, conn, "all rows", func() bool { return first.lastID == 15 })
		for name, p := range map[string]*page{"first": first, "ahead": ahead} {
			if diff := cmp.Diff(newestIDs(15, 100), ids(p.rows)); diff != "" || p.doubles > 0 {
				t.Errorf("%s: %d doubles, rows (-want +got):\n%s", name, p.doubles, diff)
			}
		}
	})
}

func TestPanel_UnknownPastIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 150)
		for _, since := range []string{"", "&since=", "&since=x", "&since=-4", "&since=99999", "&since=20"} {
			p := &page{cap: views.EventsCap, rows: []row{{id: 99999}}}
			conn := r.dial(t, "/ws?view=events"+since)
			p.until(t, conn, "the greeting", func() bool { return p.came["notices"] > 0 })
			if diff := cmp.Diff(newestIDs(150, 100), ids(p.rows)); diff != "" {
				t.Errorf("%q: rows (-want +got):\n%s", since, diff)
			}
		}
	})
}

func TestPanel_TroubleIsToldOnceAndItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		p := &page{params: "view=audit"}
		conn := r.join(t, p)
		notices := func(p *page) string { return strings.TrimSpace(text(p.parts["notices"])) }
		r.truth.set(func(s *truth) { s.health.Storage = "disk full" })
		p.until(t, conn, "the trouble", func() bool { return strings.HasPrefix(notices(p), "New events cannot be stored.") })
		late := &page{params: "view=audit&lang=es"}
		lateConn := r.join(t, late)
		late.until(t, lateConn, "the trouble", func() bool { return strings.HasPrefix(notices(late), "No se pueden guardar") })
		r.truth.set(func(s *truth) { s.health.Storage = "" })
		p.until(t, conn, "its end", func() bool { return notices(p) == "" })
		late.until(t, lateConn, "its end", func() bool { return notices(late) == "" })
	})
}

func TestPanel_CannotCatchUpSaysTryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 5)
		r.truth.set(func(s *truth) { s.fail = errors.New("disk") })
		conn := r.dial(t, "/ws?view=events&since=1")
		if code := closeCode(t, conn); code != websocket.CloseTryAgainLater {
			t.Errorf("close code %d, want 1013", code)
		}
	})
}

// After a restart many pages ask the same question; the database hears it once.
func TestPanel_ManyComeBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 50)
		before := r.truth.reads.Load()
		for range 60 {
			p := &page{params: "view=events", cap: views.EventsCap, lastID: 20}
			r.join(t, p)
			if len(p.rows) != 30 {
				t.Fatalf("%d rows, want 30", len(p.rows))
			}
		}
		if reads := r.truth.reads.Load() - before; reads > 10 {
			t.Errorf("%d database reads for one question", reads)
		}
	})
}

func TestPanel_MarkupStaysText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		evil := `</td></tr></tbody><div id="conn" hx-swap-oob="true" hx-get="/x"><script>alert(1)</script>`
		p := r.eventsPage("q=" + query.Query{}.WithText("alert").String()[2:])
		conn := r.join(t, p)
		r.commitEach(40, func(e *models.Event) { // rows, a gap, a flash and what needs attention
			critical(e)
			e.Message, e.Source = fmt.Sprint(e.ID, evil), `"><img src=x onerror=alert(1)>`
		})
		p.until(t, conn, "the row", func() bool { return p.came["news"] > 0 })
		if !strings.Contains(p.rows[0].text, evil) || !strings.Contains(attr(p.parts["news"], "data-text"), evil) {
			t.Errorf("row %q, news %v", p.rows[0].text, p.parts["news"].Attr)
		}
	})
}

func TestPanel_SlowPageIsCutAndCatchesUp(t *testing.T) {
	r := newRig(t, Config{WriteWait: time.Minute}, 0) // so that only the full buffer can cut it
	stuck, _, err := (&websocket.Dialer{NetDial: smallBuffer}).Dial(r.url("/ws?view=events&lang=es&since=0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	p, back := r.eventsPage(""), r.eventsPage("")
	good := r.join(t, p)

	// Frames come as fast as the loop makes them: this stands for a long time
	// at the real pace.
	eventually(t, "both pages are open", func() bool { return r.Counters().Panels == 2 })
	session := r.session(t, i18n.Spanish)
	frame := []byte(strings.Repeat(" ", 256<<10))
	for i := 0; i <= 3*panelBuffer && r.Counters().Cut == 0; i++ {
		_ = session.Write(frame)
	}
	eventually(t, "the slow page is cut", func() bool { return r.Counters().Panels == 1 })
	if c := r.Counters(); c.Cut != 1 {
		t.Errorf("%d pages counted as cut, want 1", c.Cut)
	}
	r.commit(5, 0)
	p.until(t, good, "the rows", func() bool { return p.lastID == 5 })
	conn := r.open(t, back)
	back.until(t, conn, "the rows again", func() bool { return back.lastID == 5 && len(back.rows) == 5 })
}

// session is the socket of the page in lang.
func (r *rig) session(t *testing.T, lang i18n.Lang) *melody.Session {
	t.Helper()
	r.panel.sockets.mu.Lock()
	defer r.panel.sockets.mu.Unlock()
	for s := range r.panel.sockets.open {
		if clientOf(s).(*viewer).audience.lang == lang {
			return s
		}
	}
	t.Fatal("no such page is open")
	return nil
}

func smallBuffer(network, addr string) (net.Conn, error) {
	conn, err := net.Dial(network, addr)
	if err == nil {
		err = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	}
	return conn, err
}
