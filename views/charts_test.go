package views

import (
	"bytes"
	"compress/gzip"
	"regexp"
	"strings"
	"testing"
	"time"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
)

func TestStackBar_fillsItsWidth(t *testing.T) {
	for _, counts := range [][]int64{{1}, {1, 1}, {29, 403, 2604, 15391}, {1, 0, 0, 10_000_000}, {0, 5, 0, 0}} {
		var parts []part
		for _, n := range counts {
			parts = append(parts, part{fill: "info", n: n})
		}
		rects := layOut(parts)
		last := rects[len(rects)-1]
		if end := number(t, last.x) + number(t, last.width); end < barWidth-0.2 || end > barWidth+0.2 {
			t.Errorf("%v ends at %v", counts, end)
		}
		for _, r := range rects {
			if number(t, r.width) < barLeast {
				t.Errorf("%v: a part is %s wide", counts, r.width)
			}
		}
	}
	if got := layOut([]part{{n: 0}, {n: 0}}); len(got) != 0 {
		t.Errorf("nothing is drawn as %v", got)
	}
}

// mark is one drawn part of a bar: where it begins, and how tall it is.
var mark = regexp.MustCompile(`M(\d+) ([0-9.]+)h8v([0-9.]+)h-8Z`)

func TestChart_staysInItsFrame(t *testing.T) {
	ctx := in(i18n.English)
	crowded := models.Series{Window: models.Range24h.Window(now)}
	for i := range crowded.Bars() {
		n := int64(1) << (i % 40)
		crowded.Counts = append(crowded.Counts, models.Counts{Event: [4][2]int64{{n, n}, {n, 0}, {1, 0}, {1, 0}}})
	}
	for name, s := range map[string]models.Series{"crowded": crowded, "15m": testSeries(models.Range15m), "1h": testSeries(models.Range1h), "7d": testSeries(models.Range7d)} {
		for _, separate := range []bool{true, false} {
			c := drawChart(ctx, query.Query{}, s, 120, 200, separate)
			if len(c.bars) != s.Bars() || c.width != s.Bars()*chartBarWidth {
				t.Errorf("%s: %d bars in %d", name, len(c.bars), c.width)
			}
			for place, path := range c.paths {
				for _, m := range mark.FindAllStringSubmatch(path, -1) {
					y, tall := number(t, m[2]), number(t, m[3])
					if y < 0 || y+tall > 120.1 || tall < least[place]*120/200-0.1 && y > 0 {
						t.Errorf("%s: a mark from %v, %v tall", name, y, tall)
					}
				}
				if rest := mark.ReplaceAllString(path, ""); rest != "" {
					t.Errorf("%s: the path holds %q", name, rest)
				}
			}
		}
	}
}

func TestNiceTop(t *testing.T) {
	for n, want := range map[int64]int64{0: 4, 1: 4, 4: 4, 5: 8, 9: 12, 13: 20, 21: 40, 679: 800, 801: 1200, 10240: 12000, 123456: 200000} {
		if got := niceTop(n); got != want {
			t.Errorf("%d: got %d, want %d", n, got, want)
		}
	}
}

func TestChartSummary_namesThePeak(t *testing.T) {
	s := testSeries(models.Range15m)
	got := chartSummary(in(i18n.English), s)
	if want := "15 stacked bars. Peak at 09:41 with 149 events. Info 936, warning 160, error 24, critical 8."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	clear(s.Counts)
	if got := chartSummary(in(i18n.Spanish), s); got != "No hay eventos en este tiempo." {
		t.Errorf("got %q", got)
	}
}

// A bar and its row in the table lead to the events that they count.
func TestHistogram_leadsToItsEvents(t *testing.T) {
	s := testSeries(models.Range24h)
	doc := parse(t, render(in(i18n.English), t, Histogram(s, false)))
	links := elements(doc, "a")
	first := "/events?from=" + strings.ReplaceAll(s.From.Format("2006-01-02T15:04:05Z"), ":", "%3A") + "&to="
	if got := attr(links[0], "href"); !strings.HasPrefix(got, first) {
		t.Errorf("the first bar leads to %s", got)
	}
	if bars, rows := s.Bars(), len(elements(byID(doc, "histo-table"), "tr"))-1; len(links) != bars+rows || rows != bars/2 {
		t.Errorf("%d links, %d rows", len(links), rows)
	}
}

func TestSpark_staysInItsFrame(t *testing.T) {
	for _, values := range [][]int64{{0, 0, 0}, {5, 1, 9}, {1 << 40, 0}} {
		line, area := spark(values)
		for _, point := range strings.Split(strings.TrimPrefix(line, "M"), "L") {
			x, y, _ := strings.Cut(point, " ")
			if number(t, x) < 0 || number(t, x) > 88 || number(t, y) < 0 || number(t, y) > 28 {
				t.Errorf("%v: a point at %s", values, point)
			}
		}
		if !strings.HasSuffix(area, "L88 28Z") {
			t.Errorf("%v: the area is %s", values, area)
		}
	}
	if line, _ := spark([]int64{1}); line != "" {
		t.Errorf("one value is drawn as %s", line)
	}
}

func TestPairs_keepTheNewest(t *testing.T) {
	s := models.Series{Counts: make([]models.Counts, 5)}
	for i := range s.Counts {
		s.Counts[i].Event[0][0] = int64(1) << i
	}
	got := pairs(s, (*models.Counts).Events)
	if len(got) != 3 || got[0] != 1 || got[1] != 6 || got[2] != 24 {
		t.Errorf("got %v", got)
	}
}

// The bars of the design: what is sent is small.
func TestSizes_stayWithinTheirBars(t *testing.T) {
	for _, l := range i18n.Langs() {
		ctx := in(l)
		dashboard := plainWords.dashboard()
		dashboard.Kpi.Series = testSeries(models.Range24h)
		events := plainWords.events()
		events.Series, events.Rows = dashboard.Kpi.Series, nil
		for i := range int64(EventsCap) {
			e := plainWords.event(48213 - i)
			e.CreatedAt = at.Add(-time.Duration(i) * 1377 * time.Millisecond)
			e.Message = strings.Repeat("Packet loss to 198.51.100.", 3) + itoa(i*i)
			events.Rows = append(events.Rows, Row{Event: e, N: int(i%4) + 1, Mail: models.EmailSent})
		}
		audit := testAudit
		audit.Activity = &ActivityData{Next: 1}
		for i := range int64(ActivityCap) {
			audit.Activity.Entries = append(audit.Activity.Entries, models.AuditEntry{
				ID: 900 - i, At: at.Add(-time.Duration(i) * 3 * time.Hour), Kind: models.ActorUser, Actor: "person-" + itoa(i*i), Address: "192.0.2." + itoa(i),
				Action: models.AuditActions()[i%20], Object: "event " + itoa(48213-i*i), Detail: "sev=critical&src=core-rtr-mad-" + itoa(i),
			})
		}
		for name, size := range map[string]struct{ got, limit int }{
			"dashboard": {gzipped(t, render(ctx, t, Dashboard(testPage(ctx, SectionDashboard, true), dashboard))), 15 << 10},
			"audit":     {gzipped(t, render(ctx, t, Audit(testPage(ctx, SectionAudit, true), audit))), 15 << 10},
			"events":    {gzipped(t, render(ctx, t, Events(testPage(ctx, SectionEvents, true), events))), 25 << 10},
		} {
			t.Logf("%s in %s: %d bytes", name, l, size.got)
			if size.got > size.limit {
				t.Errorf("%s in %s: %d bytes of %d", name, l, size.got, size.limit)
			}
		}
	}
}

func gzipped(t *testing.T, text string) int {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Len()
}
