package live

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	"github.com/olahol/melody"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/views"
)

// open dials the panel as a page that shows the newest events does, without
// reading anything.
func (r *rig) open(t *testing.T, view string, p *page) *websocket.Conn {
	t.Helper()
	return r.dial(t, fmt.Sprintf("/ws?view=%s&lang=en&since=%d", view, p.lastID))
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

// shown is a page as the server renders it at this moment.
func (r *rig) shown(limit int) *page {
	r.truth.mu.Lock()
	defer r.truth.mu.Unlock()
	p := &page{cap: limit, lastID: r.truth.last()}
	for id := p.lastID; id > max(0, p.lastID-int64(limit)); id-- {
		p.rows = append(p.rows, row{id: id})
	}
	return p
}

func newestIDs(last int64, n int) (out []int64) {
	for id := last; id > 0 && len(out) < n; id-- {
		out = append(out, id)
	}
	return out
}

func TestPanel_RowArrivesAtOnce(t *testing.T) {
	r := newRig(t, Config{}, 3)
	p := r.shown(views.EventsCap)
	conn := r.open(t, "events", p)
	p.until(t, conn, "the greeting", func() bool { return p.beats > 0 })
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
}

func TestPanel_EachViewGetsItsParts(t *testing.T) {
	tests := map[string]struct {
		figures    []string
		rows, mail bool
	}{
		"dashboard": {[]string{"counters"}, true, true},
		"events":    {nil, true, false},
		"alerts":    {[]string{"alert-figures"}, false, true},
		"audit":     {[]string{"audit-tables"}, false, false},
	}
	for view, tt := range tests {
		t.Run(view, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{}, 0)
			r.truth.alerts = []models.EmailAlert{{ID: 1, EventID: 1, Status: models.EmailSent}}
			p := &page{cap: views.EventsCap}
			conn := r.open(t, view, p)
			p.until(t, conn, "the greeting", func() bool { return p.beats > 0 && tt.mail == (len(p.alerts) > 0) })
			if diff := cmp.Diff(tt.figures, p.figures); diff != "" {
				t.Errorf("figures (-want +got):\n%s", diff)
			}
			receipts := r.truth.insert(1, 0)
			receipts[0].Alerts = []models.EmailAlert{{ID: 2, EventID: 1, Status: models.EmailPending}}
			r.EventsRecorded(receipts)
			// The second beat after the greeting is behind everything.
			p.until(t, conn, "what follows", func() bool {
				return p.beats > 2 && len(p.figures) == 2*len(tt.figures) && (!tt.mail || len(p.alerts) == 2)
			})
			if got := len(p.rows) == 1; got != tt.rows {
				t.Errorf("event rows: %v", p.rows)
			}
		})
	}
}

// A burst is drawn as the newest rows, the rest counted and linked.
func TestPanel_BurstIsCounted(t *testing.T) {
	r := newRig(t, Config{}, 1)
	p := r.shown(views.EventsCap)
	conn := r.open(t, "events", p)
	p.until(t, conn, "the greeting", func() bool { return p.beats > 0 })
	r.commit(1000, 0)
	p.until(t, conn, "the burst", func() bool { return p.lastID == 1001 })
	if diff := cmp.Diff(append(newestIDs(1001, rowsPerFrame), 1), ids(p.rows)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	gap := p.rows[rowsPerFrame]
	if gap.text != "980 events not drawn here" || gap.url != "/events?before=982" {
		t.Errorf("gap %+v", gap)
	}
}

func TestPanel_PaceIsBounded(t *testing.T) {
	r := newRig(t, Config{}, 0)
	p := &page{cap: views.EventsCap}
	conn := r.open(t, "events", p)
	p.until(t, conn, "the greeting", func() bool { return p.beats > 0 })
	done := make(chan struct{})
	began := time.Now()
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
}

func TestFrameGap(t *testing.T) {
	tests := []struct {
		rows    int64
		elapsed time.Duration
		want    time.Duration
	}{
		{1, time.Hour, calmGap},
		{4, calmGap, calmGap}, // 16 a second
		{5, calmGap, busyGap}, // 20 a second
		{9, busyGap, calmGap},
		{5000, busyGap, busyGap},
		{1, 0, busyGap},
	}
	for _, tt := range tests {
		if got := frameGap(tt.rows, tt.elapsed); got != tt.want {
			t.Errorf("frameGap(%d, %v) = %v, want %v", tt.rows, tt.elapsed, got, tt.want)
		}
	}
}

// Pages come and go while events come in fits; whatever they missed, they end
// with exactly the newest stored rows, and no row came twice.
func TestPanel_CatchUpEqualsWhatIsStored(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, view := range []string{"events", "dashboard"} {
		t.Run(view, func(t *testing.T) {
			limit := eventsCap(views.Section(view))
			r := newRig(t, Config{}, random.IntN(300))
			p := r.shown(limit)
			// Another page is there all the time, so that this one also comes
			// between a commit and its frame.
			other := r.open(t, view, p)
			go func() {
				for {
					if _, _, err := other.ReadMessage(); err != nil {
						return
					}
				}
			}()
			for range 6 {
				// Away: some miss nothing, some a little, some more than a table.
				r.commit([]int{0, 1 + random.IntN(limit), limit + random.IntN(400)}[random.IntN(3)], 0)
				conn := r.open(t, view, p)
				for range random.IntN(4) {
					r.commit(random.IntN(15), 0)
					time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond)
				}
				r.truth.mu.Lock()
				last := r.truth.last()
				r.truth.mu.Unlock()
				p.until(t, conn, "all that is stored", func() bool { return p.lastID == last })
				conn.Close()
				if p.gaps == 0 {
					if diff := cmp.Diff(newestIDs(last, limit), ids(p.rows)); diff != "" {
						t.Fatalf("rows up to %d (-want +got):\n%s", last, diff)
					}
				}
				assertContinuous(t, p)
			}
			if p.doubles > 0 {
				t.Errorf("%d rows came twice", p.doubles)
			}
		})
	}
}

// assertContinuous checks that between two rows there is either nothing, or a
// gap that counts exactly what is not drawn.
func assertContinuous(t *testing.T, p *page) {
	t.Helper()
	for i := 0; i+1 < len(p.rows); i++ {
		at, next, left := p.rows[i], p.rows[i+1], int64(0)
		if at.id == 0 {
			continue
		}
		if next.id == 0 {
			var n int64
			if _, err := fmt.Sscanf(strings.ReplaceAll(next.text, ",", ""), "%d", &n); err != nil {
				t.Fatalf("gap %q: %v", next.text, err)
			}
			if want := fmt.Sprintf("/events?before=%d", at.id); next.url != want {
				t.Errorf("gap links to %q, want %q", next.url, want)
			}
			if i+2 == len(p.rows) {
				continue
			}
			next, left = p.rows[i+2], n
		}
		if at.id-next.id != left+1 {
			t.Errorf("between rows %d and %d %d are told to be missing", at.id, next.id, left)
		}
	}
}

// The page comes while rows are stored that no frame has told of yet: it gets
// them with the others, in the next frame, and not twice.
func TestPanel_PageBetweenTwoFrames(t *testing.T) {
	r := newRig(t, Config{}, 0)
	other := &page{cap: views.EventsCap}
	conn := r.open(t, "events", other)
	other.until(t, conn, "the greeting", func() bool { return other.beats > 0 })
	r.commit(5, 0)
	other.until(t, conn, "the first frame", func() bool { return other.lastID == 5 })
	r.commit(5, 0) // waits for its frame now
	p := &page{cap: views.EventsCap}
	late := r.open(t, "events", p)
	p.until(t, late, "all rows", func() bool { return p.lastID == 10 })
	if diff := cmp.Diff(newestIDs(10, 100), ids(p.rows)); diff != "" || p.doubles > 0 {
		t.Errorf("%d doubles, rows (-want +got):\n%s", p.doubles, diff)
	}
}

// The page was rendered from rows that no frame has told of yet.
func TestPanel_PageAheadOfTheFrames(t *testing.T) {
	r := newRig(t, Config{}, 10)
	first := r.shown(views.EventsCap)
	conn := r.open(t, "events", first)
	first.until(t, conn, "the greeting", func() bool { return first.beats > 0 })

	receipts := r.truth.insert(3, 0) // stored, not yet handed over
	ahead := r.shown(views.EventsCap)
	second := r.open(t, "events", ahead)
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
}

func TestPanel_UnknownPastIsReplaced(t *testing.T) {
	r := newRig(t, Config{}, 150)
	for _, since := range []string{"", "&since=", "&since=x", "&since=-4", "&since=99999"} {
		p := &page{cap: views.EventsCap, rows: []row{{id: 99999}}}
		conn := r.dial(t, "/ws?view=events"+since)
		p.until(t, conn, "the greeting", func() bool { return p.beats > 0 })
		if diff := cmp.Diff(newestIDs(150, 100), ids(p.rows)); diff != "" {
			t.Errorf("%q: rows (-want +got):\n%s", since, diff)
		}
	}
	p := &page{cap: views.EventsCap}
	conn := r.dial(t, "/ws?view=events&since=20")
	p.until(t, conn, "the greeting", func() bool { return p.beats > 0 })
	if last := p.rows[len(p.rows)-1]; last.text != "30 events not drawn here" || last.url != "/events?before=51" {
		t.Errorf("what was left out: %+v", last)
	}
}

func TestPanel_EmailsChangeWhereTheyStand(t *testing.T) {
	r := newRig(t, Config{}, 0)
	r.truth.alerts = []models.EmailAlert{{ID: 1, EventID: 1, Status: models.EmailPending}}
	p := &page{cap: views.AlertsCap}
	conn := r.open(t, "alerts", p)
	p.until(t, conn, "the first email", func() bool { return len(p.alerts) == 1 })
	receipts := r.truth.insert(30, 0)
	for i := range receipts {
		receipts[i].Alerts = []models.EmailAlert{{ID: int64(i + 2), EventID: receipts[i].Event.ID, Status: models.EmailPending}}
	}
	r.EventsRecorded(receipts)
	r.AlertUpdated(models.EmailAlert{ID: 1, EventID: 1, Status: models.EmailSent, Attempts: 3})
	r.AlertUpdated(models.EmailAlert{ID: 31, EventID: 30, Status: models.EmailFailed})
	r.AlertUpdated(models.EmailAlert{ID: 5, EventID: 4, Status: models.EmailSent}) // not drawn: stays out
	p.until(t, conn, "its outcome", func() bool {
		return strings.HasPrefix(p.alerts[len(p.alerts)-1].text, "Sent") && len(p.alerts) > 1
	})
	want := append(newestIDs(31, rowsPerFrame), 1)
	if diff := cmp.Diff(want, ids(p.alerts)); diff != "" {
		t.Errorf("emails (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(p.alerts[0].text, "Failed") {
		t.Errorf("newest email %q", p.alerts[0].text)
	}
	if gap := p.alerts[rowsPerFrame]; gap.text != "10 emails not drawn here" || gap.url != "/alerts?before=12" {
		t.Errorf("gap %+v", gap)
	}
}

func TestPanel_TroubleIsToldOnceAndItsEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{}, 0)
	p := &page{}
	conn := r.open(t, "audit", p)
	p.until(t, conn, "the greeting", func() bool { return p.beats > 0 })
	r.truth.set(func(s *truth) { s.health.Storage = "disk full" })
	p.until(t, conn, "the trouble", func() bool { return strings.HasPrefix(p.notices, "New events cannot be stored.") })
	late := &page{}
	lateConn := r.dial(t, "/ws?view=audit&lang=es")
	late.until(t, lateConn, "the trouble", func() bool { return strings.HasPrefix(late.notices, "No se pueden guardar") })
	r.truth.set(func(s *truth) { s.health.Storage = "" })
	p.until(t, conn, "its end", func() bool { return p.notices == "" })
	late.until(t, lateConn, "its end", func() bool { return late.notices == "" })
}

func TestPanel_CannotCatchUpSaysTryAgain(t *testing.T) {
	r := newRig(t, Config{}, 5)
	r.truth.set(func(s *truth) { s.fail = errors.New("disk") })
	conn := r.dial(t, "/ws?view=events&since=1")
	if code := closeCode(t, conn); code != websocket.CloseTryAgainLater {
		t.Errorf("close code %d, want 1013", code)
	}
}

// After a restart many pages ask the same question; the database hears it once.
func TestPanel_ManyComeBackAtOnce(t *testing.T) {
	r := newRig(t, Config{}, 50)
	before := r.truth.reads.Load()
	for range 60 {
		p := &page{cap: views.EventsCap}
		conn := r.dial(t, "/ws?view=events&since=20")
		p.until(t, conn, "the greeting", func() bool { return p.beats > 0 })
		if len(p.rows) != 30 {
			t.Fatalf("%d rows, want 30", len(p.rows))
		}
	}
	if reads := r.truth.reads.Load() - before; reads > 10 {
		t.Errorf("%d database reads for one question", reads)
	}
}

func TestPanel_MarkupStaysText(t *testing.T) {
	r := newRig(t, Config{}, 0)
	p := &page{cap: views.EventsCap}
	conn := r.open(t, "events", p)
	p.until(t, conn, "the greeting", func() bool { return p.beats > 0 })
	evil := `</td></tr></tbody><div id="conn" hx-swap-oob="true" hx-get="/x"><script>alert(1)</script>`
	receipts := r.truth.insert(1, 0)
	receipts[0].Event.Message, receipts[0].Event.Source = evil, `"><img src=x onerror=alert(1)>`
	r.EventsRecorded(receipts)
	p.until(t, conn, "the row", func() bool { return len(p.rows) == 1 })
	if !strings.Contains(p.rows[0].text, evil) {
		t.Errorf("row %q", p.rows[0].text)
	}
}

func TestPanel_SlowPageIsCutAndCatchesUp(t *testing.T) {
	r := newRig(t, Config{WriteWait: time.Minute}, 0) // so that only the full buffer can cut it
	p := &page{cap: views.EventsCap}
	stuck, _, err := (&websocket.Dialer{NetDial: smallBuffer}).Dial(r.url("/ws?view=events&lang=es&since=0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	good := r.open(t, "events", p)
	p.until(t, good, "the greeting", func() bool { return p.beats > 0 })

	// Frames come as fast as the loop makes them: this stands for a long time
	// at the real pace.
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
	back := &page{cap: views.EventsCap}
	conn := r.open(t, "events", back)
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
