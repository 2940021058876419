//go:build shots

package e2e

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/emersion/go-smtp"
)

// happening is a kind of event of an imaginary network.
type happening struct{ source, severity, message string }

var happenings = []happening{
	{"core-rtr-mad-01", "info", "Interface xe-0/0/3 is up, 10 Gbit/s full duplex"},
	{"core-rtr-mad-01", "info", "BGP session with 192.0.2.17 (AS 64511) is established, 912,304 prefixes"},
	{"edge-fw-2", "info", "Policy revision 418 is active"},
	{"ntp-1", "info", "Stratum 2, offset 0.4 ms"},
	{"backup", "info", "Nightly copy of 214 GB is done in 41 min"},
	{"dhcp-campus", "info", "Lease for 198.51.100.77 is renewed"},
	{"ap-library-14", "info", "37 clients, channel 100, utilisation 22 %"},
	{"wlc-1", "info", "Firmware of 212 access points is current"},
	{"ups-dc-1", "info", "Self-test passed, battery at 98 %"},
	{"dhcp-campus", "warning", "Pool 198.51.100.0/24 is 91 % in use"},
	{"sw-access-b2-07", "warning", "Port 12 flaps: 6 changes in 60 s"},
	{"edge-fw-2", "warning", "Certificate of vpn.example.net expires in 12 days"},
	{"mail-relay", "warning", "Queue is 240 messages, oldest 9 min"},
	{"sw-access-b2-07", "error", "Port 24 is down: link lost while carrying 3 VLANs"},
	{"backup", "error", "Copy of fileserver-3 failed: connection reset after 38 GB"},
	{"dns-2", "error", "Zone example.net is refused: serial 2026112003 is older than 2026112004"},
	{"ups-dc-1", "critical", "On battery, 12 min left at the present load"},
	{"core-rtr-mad-01", "critical", "BGP session with 192.0.2.17 (AS 64511) is down: hold timer expired"},
}

// weights of the severities, as a quiet day has them.
var weights = map[string]int{"info": 50, "warning": 28, "error": 10, "critical": 4}

// sampled starts a hub that has received the events of one imaginary day.
func sampled(t *testing.T) *process {
	t.Helper()
	rnd := rand.New(rand.NewPCG(2026, 11)) // the same pictures each time
	mail := newMailServer(t, false)
	refused := 0
	mail.Set(func(m *mailServer) {
		m.rcpt = func(string) error {
			if refused++; refused%9 == 4 {
				return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 2, 2}, Message: "Mailbox is full"}
			}
			return nil
		}
	})
	mail.Start()
	dir := t.TempDir()
	p := startHub(t, options{dir: dir, env: mail.Settings("noc@example.net"), args: routesFile(t, `
contacts:
  noc: {email: noc@example.net, limits: none}
routes:
  - {severity: error, contacts: noc}
`)})
	var lots []happening
	for _, s := range happenings {
		for range weights[s.severity] {
			lots = append(lots, s)
		}
	}
	d := dialDevice(t, p)
	for i := range 420 {
		s := lots[rnd.IntN(len(lots))]
		if i > 400 { // the newest show all there is
			s = happenings[(i*7)%len(happenings)]
		}
		line := fmt.Sprintf(`{"source":%q,"severity":%q,"message":%q}`, s.source, s.severity, s.message)
		if rnd.IntN(4) == 0 {
			p.postJSON("/api/events", line, nil)
		} else {
			d.Ask(line)
		}
	}
	eventually(t, 60*time.Second, func() error {
		if n := p.stats().Email["pending"]; n > 0 {
			return fmt.Errorf("%d emails are pending", n)
		}
		return nil
	})
	p.Stop(10 * time.Second)
	spread(t, dir, rnd)
	return startHub(t, options{dir: dir, env: mail.Settings("noc@example.net")})
}

// spread moves what was stored within seconds over a day.
func spread(t *testing.T, dir string, rnd *rand.Rand) {
	t.Helper()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: databaseOf(dir)}).String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const fixed = "2006-01-02T15:04:05.000000Z"
	var passed [421]float64 // until an event, of the day that has passed
	for id := 1; id < len(passed); id++ {
		passed[id] = passed[id-1] + rnd.ExpFloat64()
	}
	newest := time.Now().UTC().Add(-2 * time.Second)
	for id := range 420 {
		at := newest.Add(time.Duration((passed[id+1]/passed[420] - 1) * float64(23*time.Hour)))
		_, err := db.Exec(`UPDATE events SET created_at = ? WHERE id = ?`, at.Format(fixed), id+1)
		if err == nil {
			_, err = db.Exec(`UPDATE email_alerts SET created_at = ?, next_attempt_at = NULL WHERE event_id = ?`, at.Format(fixed), id+1)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, statement := range []string{
		// All but the newest few have been seen to.
		`UPDATE events SET acked_at = created_at, acked_by = iif(id % 3, 'Ana', 'Marco'), acked_peer = '127.0.0.1' WHERE id < 408 AND severity IN ('error', 'critical')`,
		`UPDATE counters SET value = (SELECT count(*) FROM events WHERE acked_at IS NULL AND 'unacked:' || severity = name) WHERE name LIKE 'unacked:%'`,
		// Counts by time, as the migration that made them has counted.
		`DELETE FROM rollups`,
		`INSERT INTO rollups SELECT minute, kind, sum(n) FROM (
			SELECT unixepoch(substr(created_at, 1, 16)) / 60 AS minute, severity || ':' || channel AS kind, count(*) AS n FROM events GROUP BY 1, 2
			UNION ALL
			SELECT unixepoch(substr(created_at, 1, 16)) / 60, 'email:' || status, count(*) FROM email_alerts GROUP BY 1, 2
		) GROUP BY 1, 2`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%v: %s", err, statement)
		}
	}
	// The index of the searches is made anew.
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(dir, "search.db") + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// shoot writes a picture of what the window shows; of the whole page, if it is
// not much longer.
func (b *tab) shoot(file string, whole bool) {
	b.t.Helper()
	params := page.CaptureScreenshotParams{}
	if whole {
		size := eval[[2]float64](b, `[document.documentElement.clientWidth, Math.min(1800, document.documentElement.scrollHeight)]`)
		beyond := true
		params.CaptureBeyondViewport, params.Clip = &beyond, &page.Viewport{Width: size[0], Height: size[1], Scale: 1}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, call(b, page.CaptureScreenshot, params).Data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// shrink writes a picture anew, in few bytes.
func shrink(t *testing.T, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, indexed(picture)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// indexed is the picture in its 256 most frequent colours. The pages have few;
// it is the edges of letters that have many, and nobody sees theirs.
func indexed(picture image.Image) *image.Paletted {
	count := make(map[color.Color]int)
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[picture.At(x, y)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int { return count[b] - count[a] })
	out := image.NewPaletted(bounds, colors[:min(256, len(colors))])
	nearest := make(map[color.Color]uint8)
	for _, c := range colors {
		nearest[c] = uint8(out.Palette.Index(c))
	}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			out.SetColorIndex(x, y, nearest[picture.At(x, y)])
		}
	}
	return out
}

// TestShots writes ../shots, pictures of all pages and states to look at, and
// the two of the dashboard that the README shows.
func TestShots(t *testing.T) {
	full, empty := sampled(t), startHub(t, options{})
	l := newLink(t, full)
	readme(t, full)
	for _, lang := range []string{"en", "es"} {
		b := openTab(t)
		for _, shot := range []struct {
			name, address string
			enter         func()
		}{
			{"dashboard", full.URL("/"), nil},
			{"dashboard-7d", full.URL("/?range=7d"), nil},
			{"create", full.URL("/create"), nil},
			{"create-filled", full.URL("/create"), func() { b.fill("ups-dc-1", "critical", "On battery, 12 min left at the present load") }},
			{"create-wrong", full.URL("/create"), func() {
				eval[bool](b, `document.getElementById('create-form').requestSubmit(), true`)
				b.Until(`document.querySelector('#source-error') !== null`, settled)
			}},
			{"events", full.URL("/events"), nil},
			{"events-filter", full.URL("/events?sev=critical,error&q=down&range=24h"), nil},
			{"events-compact", full.URL("/events?density=compact&tz=utc"), nil},
			{"events-empty", full.URL("/events?density=comfortable&tz=local&sev=critical&q=nowhere&range=1h"), nil},
			{"events-older", full.URL("/events?before=212"), nil},
			{"event", full.URL("/events/419"), nil},
			{"event-acked", full.URL("/events/402"), nil},
			{"paused", full.URL("/events"), func() {
				eval[bool](b, `document.getElementById('pause').click(), true`)
				b.Becomes("paused", settled)
				full.postJSON("/api/events", event("ups-dc-1", "critical", "On battery, 11 min left at the present load"), nil)
				b.Until(`document.querySelector('#pill button') !== null`, settled)
			}},
			{"ask-name", full.URL("/events"), func() {
				eval[bool](b, `document.querySelector('.c-ack button').click(), true`)
				b.Until(`document.getElementById('dlg-name').open`, settled)
			}},
			{"ack-all", full.URL("/events/ack-all?ack=no"), nil},
			{"keys", full.URL("/events"), func() { eval[bool](b, `document.getElementById('dlg-keys').showModal(), true`) }},
			{"toasts", full.URL("/"), func() {
				eval[bool](b, `[['success', '#417 acknowledged', 'id=417'], ['info', 'Back online. New events while you were away: 212.'], ['warning', 'Not understood, and left out of the filter: range'], ['error', 'That did not work. Try again.']].forEach(([tone, text, undo]) =>
					document.body.dispatchEvent(new CustomEvent('toast', { bubbles: true, detail: { tone, text, undo } }))), true`)
			}},
			{"import", full.URL("/create"), func() { b.upload(t, full) }},
			{"alerts", full.URL("/alerts"), nil},
			{"audit", full.URL("/audit"), nil},
			{"not-found", full.URL("/nowhere"), nil},
			{"first-dashboard", empty.URL("/"), nil},
			{"first-events", empty.URL("/events"), nil},
			{"first-alerts", empty.URL("/alerts"), nil},
			{"offline", l.URL + "/", func() {
				l.Cut()
				b.Becomes("offline", settled)
			}},
		} {
			b.Sees(1440, 900, "light")
			b.Go(in(lang, shot.address))
			if eval[bool](b, `document.getElementById('conn') !== null`) {
				b.Until(`/live|paused/.test(document.getElementById('conn').dataset.state)`, settled)
			}
			if shot.enter != nil {
				shot.enter()
			}
			b.shots(shot.name, lang, [][2]int64{{1440, 900}, {390, 844}})
			l.Resume()
		}
		b.Go(in(lang, full.URL("/?wall=1&rows=8")))
		b.shots("wall", lang, [][2]int64{{1920, 1080}})
		b.Excuse("status of 4")
	}
}

// readme writes the pictures of the README.
func readme(t *testing.T, p *process) {
	t.Helper()
	b := browse(t, p.URL("/?lang=en"))
	b.Becomes("live", settled)
	for file, theme := range map[string]string{"dashboard.png": "light", "dashboard-dark.png": "dark"} {
		b.Sees(1440, 900, theme)
		file = filepath.Join("..", "docs", "img", file)
		b.shoot(file, false)
		shrink(t, file)
		if info, err := os.Stat(file); err != nil || info.Size() > 150<<10 {
			t.Errorf("%s is too large for the README: %v, %v", file, info, err)
		}
	}
}

// upload chooses what p exports as the file to import, and goes on to the question.
func (b *tab) upload(t *testing.T, p *process) {
	t.Helper()
	_, history := p.get("/export.json?range=1h")
	file := filepath.Join(t.TempDir(), "history.json")
	if err := os.WriteFile(file, []byte(history), 0o600); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#import-file"), []string{file}))
	b.Click(`form[action="/import"] .btn`)
	b.Click("#dlg-confirm-ok")
	b.Until(`location.pathname.startsWith('/import/') && document.readyState === 'complete'`, settled)
}

// shots are all pictures of the page that is open.
func (b *tab) shots(name, lang string, sizes [][2]int64) {
	b.t.Helper()
	for _, theme := range []string{"light", "dark"} {
		for _, size := range sizes {
			b.Sees(size[0], size[1], theme)
			file := strings.Join([]string{name, fmt.Sprint(size[0]), theme, lang}, "-") + ".png"
			b.shoot(filepath.Join("..", "shots", file), true)
		}
	}
}
