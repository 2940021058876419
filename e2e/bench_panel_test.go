//go:build bench

package e2e

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/performance"
	"github.com/gorilla/websocket"
)

// panelRounds is how often a load with and one without panels alternate.
const panelRounds = 5

// panel measures the pages: what they cost the hub, and how soon and how
// cheaply a browser shows what comes.
func (b *bench) panel(t *testing.T) {
	b.deafPanels(t)
	b.eventToPixel(t)
	b.burstOnPage(t)
}

// deafPanels measures what a hundred open pages that read nothing cost ingest.
func (b *bench) deafPanels(t *testing.T) {
	const panels = 100
	p := startHub(t, options{env: outboxOn()})
	var with, without sample
	for range panelRounds {
		without.add(pipelined(16).must(t, p.TCP).rate())
		deaf := make([]*websocket.Conn, panels)
		for i := range deaf {
			deaf[i] = openPanel(t, p, "/ws?view=events", 4<<10)
		}
		with.add(pipelined(16).must(t, p.TCP).rate())
		for _, conn := range deaf {
			conn.Close()
		}
	}
	const group = "panel"
	b.against(group, fmt.Sprintf("TCP, 16 pipelined connections, %d panels that never read", panels), "events/s", with, "the same without panels", without)
	b.atLeast("panel", fmt.Sprintf("%d panels that never read: events/s with / without", panels), with.per(without).median(), 0.9, "x")
	p.Stop(10 * time.Second)
}

// openPanel opens the socket of a page by hand. With a small receive buffer a
// client that does not read is felt at once.
func openPanel(t testing.TB, p *process, path string, receiveBuffer int) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
		conn, err := net.Dial(network, addr)
		if err == nil && receiveBuffer > 0 {
			err = conn.(*net.TCPConn).SetReadBuffer(receiveBuffer)
		}
		return conn, err
	}}
	conn, _, err := dialer.Dial("ws://"+p.HTTP+path, http.Header{"Origin": {"http://" + p.HTTP}})
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	return conn
}

// watchRows notes for each new row of the live table whose message begins
// with "sent <ms>" how many milliseconds it took until it was painted. A row
// that is drawn again, because its email failed, is not new.
const watchRows = `window.took = [];
const known = new Set();
new MutationObserver(() => {
	const fresh = [...document.querySelectorAll('#rows tr[id]')].filter((row) => !known.has(row.id));
	for (const row of fresh) known.add(row.id);
	requestAnimationFrame(() => setTimeout(() => {
		const now = Date.now();
		for (const row of fresh) {
			const sent = /sent (\d+)/.exec(row.textContent);
			if (sent) window.took.push(now - Number(sent[1]));
		}
	}));
}).observe(document.getElementById('rows'), { childList: true });
true`

// eventToPixel measures how long an event takes from the device's write to the
// screen, with twenty pages open: one in Chromium, the others by hand.
func (b *bench) eventToPixel(t *testing.T) {
	p := startHub(t, options{env: outboxOn()})
	for range 19 {
		conn := openPanel(t, p, "/ws?view=events", 0)
		defer conn.Close()
		go func() { // ends with the connection
			for {
				if _, _, err := conn.ReadMessage(); err != nil {
					return
				}
			}
		}()
	}
	page := browse(t, p.URL("/events"))
	page.Becomes("live", 10*time.Second)
	eval[bool](page, watchRows)
	d := dialDevice(t, p)
	defer d.conn.Close()
	const group = "panel, from the device's line to the screen, 20 open pages"
	for _, load := range []struct {
		name           string
		rate, critical int // events a second; each critical-th one is critical
		limit          float64
	}{
		{"10 events/s", 10, 1, 250},
		{"a critical among 200 events/s", 200, 100, 600},
	} {
		var p50, p95 sample
		for range rounds {
			eval[bool](page, `(window.took = [], true)`)
			start := time.Now()
			want := 0
			for i := range load.rate * 10 {
				time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(load.rate))))
				severity, message := "info", fmt.Sprintf("of no interest, number %d", i)
				if i%load.critical == 0 {
					severity, message = "critical", fmt.Sprintf("sent %d", time.Now().UnixMilli())
					want++
				}
				d.Ask(fmt.Sprintf(`{"source":"probe","severity":%q,"message":%q}`, severity, message))
			}
			page.Until(fmt.Sprintf(`window.took.length >= %d`, want), 10*time.Second)
			took := eval[[]float64](page, `window.took`)
			all := make(durations, len(took))
			for i, ms := range took {
				all[i] = time.Duration(ms * float64(time.Millisecond))
			}
			p50.add(all.percentile(0.50))
			p95.add(all.percentile(0.95))
		}
		b.figure(group, load.name+", p50", "ms", p50)
		b.figure(group, load.name+", p95", "ms", p95)
		b.atMost("panel", load.name+": event to pixel p95", p95.median(), load.limit, "ms")
	}
	p.Stop(10 * time.Second)
}

// burstOnPage measures what an open page costs a browser while 10,000 events
// a second arrive for a minute.
func (b *bench) burstOnPage(t *testing.T) {
	const rate, duration = 10_000, time.Minute
	p := startHub(t, options{env: outboxOn()})
	page := browse(t, p.URL("/events"))
	page.Becomes("live", 10*time.Second)
	call(page, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks})
	load := tcpLoad{connections: 4, window: 1 << 14, chunk: 64, rate: rate, duration: 5 * time.Second}
	load.must(t, p.TCP) // the table is full from here on
	before := pageMetrics(page)
	load.duration = duration
	r := load.must(t, p.TCP)
	after := pageMetrics(page)
	cpu := 100 * (after["TaskDuration"] - before["TaskDuration"]) / r.elapsed.Seconds()
	heap := (after["JSHeapUsedSize"] - before["JSHeapUsedSize"]) / (1 << 20)
	nodes := float64(eval[int](page, `document.querySelectorAll('*').length`))
	const group = "panel, events page in Chromium, 10,000 events/s for 60 s"
	b.figure(group, "events stored", "events/s", sample{r.rate()})
	b.figure(group, "the page's main thread", "% of a core", sample{cpu})
	b.figure(group, "heap, after - before, collected", "MB", sample{heap})
	b.figure(group, "elements", "", sample{nodes})
	b.atMost("panel", "10,000 events/s: the page's main thread", cpu, 15, "% of a core")
	b.atMost("panel", "10,000 events/s: growth of the page's heap", math.Abs(heap), 5, "MB")
	b.atMost("panel", "10,000 events/s: elements in the page", nodes, 2500, "")
	p.Stop(10 * time.Second)
}

// pageMetrics reads the browser's counters of a page, after a collection.
func pageMetrics(b *tab) map[string]float64 {
	b.t.Helper()
	call(b, heapprofiler.CollectGarbage, cdp.Empty{})
	all := make(map[string]float64)
	for _, m := range call(b, performance.GetMetrics, cdp.Empty{}).Metrics {
		all[m.Name] = m.Value
	}
	for _, name := range strings.Fields("TaskDuration JSHeapUsedSize") {
		if _, ok := all[name]; !ok {
			b.t.Fatalf("the browser does not tell %s", name)
		}
	}
	return all
}
