package live

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"alerthub/models"
	"alerthub/views"
)

// link is a message that filters look for.
func linkEvent(e *models.Event) { e.Message = fmt.Sprint("link ", e.ID) }

func TestPanel_OnlyWhatMatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		tests := map[string][]int64{
			"sev=critical": {7, 3}, "q=link": {8, 7, 6, 5}, "q=link+-8": {7, 6, 5}, "ch=http": nil, "src=sw-1&q=%237": {7},
			"ack=no": {7, 3}, "to=2020-01-01T00:00:00Z": nil,
		}
		pages := make(map[string]*reader)
		for params := range tests {
			pages[params] = r.connect(t, r.eventsPage(params))
		}
		synctest.Wait()
		r.commitEach(4, func(e *models.Event) {
			if e.ID == 3 {
				critical(e)
			}
		})
		time.Sleep(time.Second)
		r.commitEach(4, func(e *models.Event) {
			linkEvent(e)
			if e.ID == 7 {
				critical(e)
			}
		})
		time.Sleep(3 * time.Second)
		for params, want := range tests {
			p := pages[params]
			p.take(t)
			if diff := cmp.Diff(want, ids(p.rows)); diff != "" || p.lastID != 8 {
				t.Errorf("%s is told up to %d, rows (-want +got):\n%s", params, p.lastID, diff)
			}
		}
	})
}

// A paused page keeps its rows and is told, once a second, what it misses;
// then it gets just that, or the whole table.
func TestPanel_Pause(t *testing.T) {
	for name, missed := range map[string]int{"a few": 30, "a table": 100, "more": 105} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := bubbleRig(t, Config{}, 0)
				r.commitEach(5, linkEvent)
				p := r.connect(t, r.eventsPage("q=link"))
				p.pause(t)
				before := p.came["pill"]
				for i := range 10 {
					r.commitEach(missed/5, func(e *models.Event) {
						if i%2 == 0 {
							linkEvent(e)
							e.Severity = models.SeverityCritical
						}
					})
					time.Sleep(time.Second / 2)
				}
				p.take(t)
				if n := p.came["pill"] - before; n < 2 || n > 6 {
					t.Errorf("%d pills in 5 s", n)
				}
				if words := digits(text(p.parts["pill"])); !strings.Contains(words, strconv.Itoa(missed)) || !strings.Contains(words, "ritical") {
					t.Errorf("the pill says %q, want %d and critical", words, missed)
				}
				if len(p.rows) != 5 || p.lastID != 5 || p.came["n-crit"] < 4 {
					t.Errorf("paused, it has %d rows up to %d, and %d counts", len(p.rows), p.lastID, p.came["n-crit"])
				}
				last := r.truth.last()
				p.resume(t)
				if got := p.all > 0; got != (missed > views.EventsCap) {
					t.Errorf("the table was drawn anew: %v", got)
				}
				if text(p.parts["pill"]) != "" || p.lastID != last {
					t.Errorf("the pill says %q, told up to %d of %d", text(p.parts["pill"]), p.lastID, last)
				}
				if diff := cmp.Diff(r.fresh(p.params, last), p.rows, cmp.AllowUnexported(row{})); diff != "" {
					t.Errorf("rows (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// What was on its way when a page stopped is not shown there, so it is counted.
func TestPanel_PauseWhileRowsAreOnTheirWay(t *testing.T) {
	for op, want := range map[string]string{
		`{"op":"pause","last":5}`:  "3 new events 1 critical",
		`{"op":"pause","last":8}`:  "",
		`{"op":"pause","last":99}`: "", // that was another database
		`{"op":"pause"}`:           "",
	} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := bubbleRig(t, Config{}, 0)
				r.commitEach(5, linkEvent)
				p := r.connect(t, r.eventsPage("q=link"))
				r.commitEach(4, func(e *models.Event) {
					linkEvent(e)
					switch e.ID {
					case 7:
						critical(e)
					case 9:
						e.Message = "fan"
					}
				})
				time.Sleep(time.Second)
				p.say(t, op)
				time.Sleep(3 * time.Second)
				p.take(t)
				if words := strings.Join(strings.Fields(text(p.parts["pill"])), " "); words != want {
					t.Errorf("the pill says %q, want %q", words, want)
				}
			})
		})
	}
}

func digits(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, ",", "")) }

func TestPanel_IgnoresWhatItDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		p := r.connect(t, r.eventsPage(""))
		for _, text := range []string{"", "{", "pause", `{"op":"stop"}`, `{"op":7}`, `["pause"]`, `{"op":"resume"}`, `{"Op":"","HEADERS":{}}`} {
			p.say(t, text)
		}
		r.commit(1, 0)
		synctest.Wait()
		if p.take(t); len(p.rows) != 1 {
			t.Errorf("%d rows, want 1", len(p.rows))
		}
		if err := p.conn.WriteMessage(websocket.TextMessage, []byte(strings.Repeat(" ", maxMessage+1))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := r.Counters().Panels; n != 0 {
			t.Error("a giant message did not end its socket")
		}
	})
}

// Acknowledging changes rows where they stand, takes them from the list of what
// waits, and tells everybody how many wait, all within 250 ms.
func TestPanel_Acknowledge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		r.commitEach(200, critical)
		time.Sleep(5 * time.Second)
		list, paused, waits, dashboard := r.eventsPage(""), r.eventsPage(""), r.eventsPage("ack=no"), &page{params: "view=dashboard"}
		var all []*reader
		for _, p := range []*page{list, paused, waits, dashboard} {
			all = append(all, r.connect(t, p))
		}
		all[1].pause(t)
		r.commitEach(1, critical) // so that a frame was just drawn
		synctest.Wait()
		r.commitEach(1, critical)
		r.ack("ada", 150, 200, 201)
		time.Sleep(calmGap + 10*time.Millisecond)
		for _, p := range all {
			p.take(t)
			if n := attr(p.parts["n-crit"], "data-n"); n != "199" {
				t.Errorf("%s: %s criticals wait, want 199", p.params, n)
			}
		}
		if !strings.Contains(text(dashboard.parts["attn"]), "199") || dashboard.rows[1].text[:4] != "true" {
			t.Errorf("the dashboard has %q and %+v", text(dashboard.parts["attn"]), dashboard.rows)
		}
		time.Sleep(calmGap)
		acked := func(p *page) (out []int64) {
			for _, r := range p.rows {
				if strings.HasPrefix(r.text, "true") {
					out = append(out, r.id)
				}
			}
			return out
		}
		for i, want := range [][]int64{{201, 200, 150}, {200, 150}} {
			all[i].take(t)
			if diff := cmp.Diff(want, acked(all[i].page)); diff != "" {
				t.Errorf("page %d: acknowledged (-want +got):\n%s", i, diff)
			}
		}
		all[2].take(t)
		if got := ids(waits.rows); slices.Contains(got, 200) || slices.Contains(got, 150) || slices.Contains(got, 201) || waits.all > 0 {
			t.Errorf("what waits holds %v", got)
		}
		time.Sleep(calmAfter + calmGap)
		all[2].take(t)
		if diff := cmp.Diff(r.fresh(waits.params, 202), waits.rows, cmp.AllowUnexported(row{})); diff != "" {
			t.Errorf("what waits, drawn anew (-want +got):\n%s", diff)
		}
		r.ack("", 200)
		time.Sleep(calmAfter + 2*calmGap)
		all[2].take(t)
		if !slices.Contains(ids(waits.rows), 200) {
			t.Error("what waits again is not there")
		}
	})
}

// What everybody acknowledges at once is more than frames carry: the tables are
// drawn anew.
func TestPanel_AcknowledgeAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		r.commitEach(3000, critical)
		p := r.connect(t, r.eventsPage(""))
		p.take(t)
		for i := range 6 {
			r.ack("ada", newestIDs(int64(500*(i+1)), 500)...)
		}
		time.Sleep(calmAfter + busyGap)
		p.take(t)
		if diff := cmp.Diff(r.fresh(p.params, 3000), p.rows, cmp.AllowUnexported(row{})); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		for _, n := range p.newRows {
			if n > rowsPerFrame {
				t.Errorf("%d rows in a frame", n)
			}
		}
	})
}

func TestPanel_EmailsChangeWhereTheyStand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		r.commitEach(1, critical)
		alerts, failed := &page{params: "view=alerts"}, &page{params: "view=alerts&st=failed"}
		events, dashboard := r.eventsPage(""), &page{params: "view=dashboard"}
		var all []*reader
		for _, p := range []*page{alerts, failed, events, dashboard} {
			all = append(all, r.connect(t, p))
		}
		read := func() {
			for _, p := range all {
				p.take(t)
			}
		}
		read()
		r.commitEach(30, critical)
		r.deliver(1, models.EmailSent)
		r.deliver(31, models.EmailFailed)
		r.deliver(5, models.EmailSkipped) // comes with the others and stays out, or alone after them
		time.Sleep(calmGap)
		read()
		if got := ids(alerts.alerts); len(got) < rowsPerFrame+1 || len(got) > rowsPerFrame+2 || got[0] != 31 {
			t.Errorf("emails %v", got)
		}
		if first := alerts.alerts[0].text; !strings.Contains(first, "Failed") {
			t.Errorf("the newest email says %q", first)
		}
		if diff := cmp.Diff([]int64{31}, ids(failed.alerts)); diff != "" {
			t.Errorf("failed emails (-want +got):\n%s", diff)
		}
		if text := text(dashboard.parts["n-fail"]); !strings.HasPrefix(text, "0") && !strings.HasPrefix(text, "1") {
			t.Errorf("the header counts %q failed emails", text)
		}
		time.Sleep(3 * time.Second)
		read()
		for i, p := range all[:3] {
			have, want := p.rows, r.fresh(p.params, 31)
			if i < 2 {
				have = p.alerts
			}
			if diff := cmp.Diff(want, have, cmp.AllowUnexported(row{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", p.params, diff)
			}
		}
		if !strings.Contains(events.rows[0].text, "Failed") || !strings.Contains(text(dashboard.parts["mails"]), "Failed") {
			t.Errorf("no failed email in %q or in %q", events.rows[0].text, text(dashboard.parts["mails"]))
		}
		r.deliver(31, models.EmailSent)
		time.Sleep(2 * time.Second)
		read()
		if len(failed.alerts) != 0 || !strings.Contains(events.rows[0].text, "Sent") {
			t.Errorf("after all it was sent: %v, %q", failed.alerts, events.rows[0].text)
		}
	})
}

func TestPanel_FlashesNewCriticals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		list, alerts := r.connect(t, r.eventsPage("q=link")), r.connect(t, &page{params: "view=alerts"})
		list.pause(t)
		r.commitEach(10, func(e *models.Event) {
			if critical(e); e.ID > 3 {
				linkEvent(e)
			}
		})
		time.Sleep(time.Second)
		list.take(t)
		alerts.take(t)
		if got := attr(list.parts["news"], "data-crit"); got != "10,9,8,7,6" || list.came["news"] != 1 {
			t.Errorf("the list flashes %q %d times", got, list.came["news"])
		}
		r.commitEach(1, critical)
		time.Sleep(time.Second)
		list.take(t)
		alerts.take(t)
		if got := attr(alerts.parts["news"], "data-crit"); got != "11" || list.came["news"] != 1 {
			t.Errorf("another page flashes %q; the list %d times", got, list.came["news"])
		}
	})
}

func TestPanel_BeatTellsRateAndBuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{Build: "b7"}, 0)
		p := r.connect(t, r.eventsPage("q=nothing"))
		for range 100 {
			r.commit(4, 0)
			time.Sleep(100 * time.Millisecond)
		}
		p.take(t)
		rate, _ := strconv.ParseFloat(attr(p.parts["beat"], "data-rate"), 64)
		if rate < 35 || rate > 45 || attr(p.parts["beat"], "data-build") != "b7" {
			t.Errorf("beat %v, want 40 events a second", p.parts["beat"].Attr)
		}
		before := p.came["beat"]
		time.Sleep(20 * time.Second)
		p.take(t)
		if rate := attr(p.parts["beat"], "data-rate"); rate != "0.0" || p.came["beat"]-before < 10 {
			t.Errorf("%d beats in 20 s of silence, the last with the rate %s", p.came["beat"]-before, rate)
		}
	})
}

// The figures are read once for everybody, at most once a second, and not when
// nothing happens but time.
func TestPanel_ReadsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		var pages []*reader
		for _, params := range []string{"view=dashboard", "view=dashboard&range=1h", "view=audit", "view=alerts", "view=events", "view=events&q=x"} {
			for _, lang := range []string{"en", "es"} {
				for range 3 {
					pages = append(pages, r.connect(t, &page{params: params + "&lang=" + lang, cap: views.EventsCap}))
				}
			}
		}
		time.Sleep(time.Minute) // to the beginning of one
		began := r.truth.seen.Load()
		time.Sleep(30 * time.Second)
		if reads := r.truth.seen.Load() - began; reads > 15 {
			t.Errorf("%d reads while nothing happened", reads)
		}
		began = r.truth.seen.Load()
		for range 100 {
			r.commitEach(50, critical)
			time.Sleep(100 * time.Millisecond)
		}
		// A second: 10 figures, and two tables for the dashboards with their emails.
		if reads := r.truth.seen.Load() - began; reads > 10*16 {
			t.Errorf("%d reads in 10 s", reads)
		}
		for _, p := range pages {
			p.take(t)
		}
		dashboard := pages[0]
		if n := dashboard.came["kpis"]; n < 9 || n > 16 {
			t.Errorf("%d key figures", n)
		}
	})
}

// Counts of what a filter selects move with the events, also where rows stand
// still.
func TestPanel_CountsMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 90)
		pages := make(map[string]*reader)
		for _, params := range []string{"", "ack=no", "src=sw-2", "q=link", "sev=error&q=link"} {
			pages[params] = r.connect(t, r.eventsPage(params))
		}
		paused := r.connect(t, &page{params: "view=events&lang=es", cap: views.EventsCap, lastID: 90})
		paused.pause(t)
		for id := range int64(4) {
			r.commitEach(10, func(e *models.Event) {
				e.Source, e.Message, e.Severity = fmt.Sprint("sw-", e.ID%2+1), fmt.Sprint("link ", e.ID), models.Severities()[id]
			})
			time.Sleep(time.Second)
		}
		mails := r.connect(t, &page{params: "view=alerts&st=pending"})
		time.Sleep(searchesGap + beatEvery)
		r.ack("Ana", 111)
		time.Sleep(searchesGap + 2*beatEvery)
		for params, want := range map[string]string{
			"": "130 events · Any time|Showing the newest 100|10 10 100 10|Acknowledge all 19", "ack=no": "19 events · Any time||10 9 0 0|Acknowledge all 19", "src=sw-2": "20 events · Any time||5 5 5 5|Acknowledge all",
			"q=link": "40 events · Any time||10 10 10 10|Acknowledge all", "sev=error&q=link": "10 events · Any time||10 10 10 10|Acknowledge all",
		} {
			p := pages[params]
			p.take(t)
			if got := tallies(p); got != want {
				t.Errorf("%q: %q, want %q", params, got, want)
			}
		}
		paused.take(t)
		if got, want := tallies(paused), "130 eventos · Todo el tiempo|Se muestran los 100 más recientes|10 10 100 10|Reconocer los 19"; got != want {
			t.Errorf("paused: %q, want %q", got, want)
		}
		mails.take(t)
		for id, want := range map[string]string{"st-all": "20", "st-pending": "20", "st-sent": "0", "alerts-foot": "20 / 20"} {
			if got := text(mails.parts[id]); got != want {
				t.Errorf("%s of the emails: %q, want %q", id, got, want)
			}
		}
	})
}

func tallies(p *reader) string {
	words := []string{text(p.parts["found"]), text(p.parts["shown"]), "", text(p.parts["to-ack"])}
	var chips []string
	for _, s := range []string{"critical", "error", "warning", "info"} {
		chips = append(chips, text(p.parts["chip-"+s]))
	}
	words[2] = strings.Join(chips, " ")
	return strings.Join(words, "|")
}

// Counting what has to be looked for is bounded, and everybody's turn comes.
func TestPanel_CountingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		r.truth.slow.Store(int64(30 * time.Millisecond))
		var pages []*reader
		for i := range 5 {
			pages = append(pages, r.connect(t, r.eventsPage(fmt.Sprint("q=link+-x", i))), r.connect(t, r.eventsPage(fmt.Sprint("src=sw-1&to=2036-01-0", i+1))))
		}
		time.Sleep(time.Minute)
		began := r.truth.matches.Load()
		for range 60 {
			r.commitEach(5, linkEvent)
			time.Sleep(time.Second)
		}
		if n := r.truth.matches.Load() - began; n > 130 { // two spend a round's time
			t.Errorf("counted %d times in a minute", n)
		}
		time.Sleep(time.Minute)
		for _, p := range pages {
			p.take(t)
			if got := text(p.parts["found"]); !strings.HasPrefix(got, "300 events") {
				t.Errorf("%s: %q", p.params, got)
			}
		}
		began = r.truth.matches.Load()
		time.Sleep(time.Minute)
		if n := r.truth.matches.Load() - began; n > 10 { // a new minute moves ranges
			t.Errorf("counted %d times in a minute without events", n)
		}
	})
}

// Pages speak the language and the zone of their reader.
func TestPanel_LanguageAndZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		open := func(params, cookies string) *page {
			conn, _, err := r.dialer.Dial(r.url("/ws?view=events&since=0&"+params), http.Header{"Cookie": {cookies}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			p := &page{cap: views.EventsCap}
			p.until(t, conn, "the greeting", func() bool { return p.came["notices"] > 0 })
			r.commitEach(1, func(e *models.Event) { e.CreatedAt = received })
			p.until(t, conn, "a row", func() bool { return len(p.rows) > 0 })
			return p
		}
		for _, tt := range []struct{ params, cookies, want string }{
			{"lang=en", "tz=utc; zone=Asia/Tokyo", "Warning18:30:00"},
			{"lang=es", "zone=Asia/Tokyo", "Aviso03:30:00"},
			{"lang=es", "zone=Europe%2FMadrid", "Aviso19:30:00"},
		} {
			if p := open(tt.params, tt.cookies); !strings.Contains(p.rows[0].text, tt.want) {
				t.Errorf("%s with %s: %q, want %q", tt.params, tt.cookies, p.rows[0].text, tt.want)
			}
		}
	})
}

// An import makes events visible in the middle of the past, and the newest too:
// tables that may show them are drawn anew.
func TestPanel_Import(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 20)
		hidden := slices.Clone(r.truth.events[5:10])
		r.truth.set(func(s *truth) { s.events = slices.Delete(s.events, 5, 10) })
		p, paused := r.connect(t, r.eventsPage("")), r.connect(t, r.eventsPage(""))
		paused.pause(t)
		r.truth.set(func(s *truth) { s.events = slices.Insert(s.events, 5, hidden...) })
		last := r.truth.insert(1, 0)[0].Event.ID
		r.EventsImported(last)
		time.Sleep(calmAfter + calmGap)
		p.take(t)
		paused.resume(t)
		for name, page := range map[string]*reader{"open": p, "paused": paused} {
			if diff := cmp.Diff(newestIDs(last, 100), ids(page.rows)); diff != "" || page.lastID != last {
				t.Errorf("the %s page, up to %d (-want +got):\n%s", name, page.lastID, diff)
			}
		}
	})
}
