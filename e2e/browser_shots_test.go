//go:build shots

package e2e

import (
	"bytes"
	"database/sql"
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
	p := startHub(t, options{dir: dir, env: mail.Settings("noc@example.net")})
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
	at := time.Date(2026, 11, 19, 9, 2, 11, 0, time.UTC)
	for id := range 420 {
		at = at.Add(time.Duration(rnd.ExpFloat64() * float64(200*time.Second)))
		_, err := db.Exec(`UPDATE events SET created_at = ? WHERE id = ?`, at.Format(fixed), id+1)
		if err == nil {
			_, err = db.Exec(`UPDATE email_alerts SET created_at = ?, next_attempt_at = NULL WHERE event_id = ?`, at.Format(fixed), id+1)
		}
		if err != nil {
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
	shot, err := png.Decode(bytes.NewReader(call(b, page.CaptureScreenshot, params).Data))
	if err != nil {
		b.t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, indexed(shot)); err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.t.Logf("%s: %d kB", file, out.Len()>>10)
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

// TestShots writes ../shots, pictures of all pages to look at, and the two of
// the dashboard that the README shows.
func TestShots(t *testing.T) {
	full, empty := sampled(t), startHub(t, options{})
	l := newLink(t, full)
	themes := []string{"light", "dark"}
	for _, lang := range []string{"en", "es"} {
		b := openTab(t)
		for name, address := range map[string]string{
			"dashboard": full.URL("/"), "create": full.URL("/create"), "events": full.URL("/events"),
			"events-older": full.URL("/events?before=12"), "event": full.URL("/events/417"),
			"alerts": full.URL("/alerts"), "audit": full.URL("/audit"), "not-found": full.URL("/nowhere"),
			"first-dashboard": empty.URL("/"), "first-events": empty.URL("/events"), "first-alerts": empty.URL("/alerts"),
		} {
			b.Go(in(lang, address))
			if eval[bool](b, `document.getElementById('conn') !== null`) {
				b.Becomes("live", 10*time.Second)
			}
			b.shots(name, lang, themes)
			if name == "create" {
				eval[bool](b, `document.getElementById('create-form').requestSubmit(), true`)
				b.Until(`document.querySelector('#source-error') !== null`, 5*time.Second)
				b.shots("create-wrong", lang, themes)
			}
		}
		b.Excuse("status of 4")
		b.Go(in(lang, l.URL+"/events"))
		b.Becomes("live", 10*time.Second)
		l.Cut()
		b.Becomes("offline", 15*time.Second)
		b.shots("offline", lang, themes)
		l.Resume()
	}
	b := browse(t, full.URL("/?lang=en"))
	b.Becomes("live", 10*time.Second)
	for file, theme := range map[string]string{"dashboard.png": "light", "dashboard-dark.png": "dark"} {
		b.Sees(1280, 735, theme)
		file = filepath.Join("..", "docs", "img", file)
		b.shoot(file, false)
		if info, err := os.Stat(file); err != nil || info.Size() > 150<<10 {
			t.Errorf("%s is too large for the README: %v, %v", file, info, err)
		}
	}
}

// shots are all pictures of the page that is open.
func (b *tab) shots(name, lang string, themes []string) {
	b.t.Helper()
	for _, theme := range themes {
		for _, size := range [][2]int64{{1440, 900}, {390, 844}} {
			b.Sees(size[0], size[1], theme)
			file := strings.Join([]string{name, fmt.Sprint(size[0]), theme, lang}, "-") + ".png"
			b.shoot(filepath.Join("..", "shots", file), true)
		}
	}
}
