package search

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"alerthub/models"
	"alerthub/query"
)

// Whatever the events, the filter, the watermark and the bounds: the pages
// together are what a plain look at each event selects, and counts that call
// themselves exact are.
func TestIndex_EqualsPlainScan(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		source := &memory{}
		words := []string{"disk", "full", "Caída", "del", "enlace", "ok", `"quoted"`, "a*", "OR", "日本語", "gi0/1", "\n"}
		id := int64(0)
		for range rapid.IntRange(0, 60).Draw(r, "events") {
			id += rapid.SampledFrom([]int64{1, 1, 1, 2, 700, 5000}).Draw(r, "gap")
			e := models.Event{
				ID:        id,
				CreatedAt: start.Add(time.Duration(rapid.IntRange(-3*24*3600, 3*24*3600).Draw(r, "second")) * time.Second),
				Source:    rapid.SampledFrom([]string{"core-1", "core-2", "ácc", "10.0.0.9"}).Draw(r, "source"),
				Severity:  rapid.SampledFrom(models.Severities()).Draw(r, "severity"),
				Channel:   rapid.SampledFrom(models.Channels()).Draw(r, "channel"),
				Message:   strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 1, 5).Draw(r, "words"), " "),
				Peer:      rapid.SampledFrom([]string{"", "10.0.0.9"}).Draw(r, "peer"),
			}
			source.add(e)
		}
		source.hold = rapid.Int64Range(0, id+1).Draw(r, "watermark")
		x := newIndex(t, t.TempDir(), source)
		defer x.Close()
		x.mustStep(t)
		source.hold = rapid.Int64Range(source.hold, id+1).Draw(r, "second watermark")
		x.mustStep(t)
		if rapid.Bool().Draw(r, "hurry") {
			x.patience, x.counting, x.candidates = 0, 0, 1
		}
		for range 8 {
			f := drawFilter(r, words, id)
			if diff := cmp.Diff(naive(source, f), ids(t, x, f)); diff != "" {
				r.Fatalf("%+v (-want +got):\n%s", f, diff)
			}
			checkMatch(r, x, source, f)
		}
	})
}

func drawFilter(r *rapid.T, words []string, last int64) models.EventFilter {
	maybe := func(name string) bool { return rapid.IntRange(0, 2).Draw(r, name) == 0 }
	var f models.EventFilter
	f.Limit = rapid.IntRange(1, 10).Draw(r, "limit")
	if maybe("severities?") {
		f.Severities = rapid.SliceOfNDistinct(rapid.SampledFrom(models.Severities()), 1, 4, rapid.ID).Draw(r, "severities")
	}
	if maybe("channels?") {
		f.Channels = []models.Channel{rapid.SampledFrom(models.Channels()).Draw(r, "ch")}
	}
	if maybe("source?") {
		f.Source = rapid.SampledFrom([]string{"core-1", "ácc", "unknown"}).Draw(r, "src")
	}
	moment := func(name string) time.Time {
		at := start.Add(time.Duration(rapid.IntRange(-3*24*3600, 3*24*3600).Draw(r, name)) * time.Second)
		return at.Truncate(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 30 * time.Minute, 24 * time.Hour}).Draw(r, "unit"))
	}
	if maybe("from?") {
		f.From = moment("from")
	}
	if maybe("to?") {
		f.To = moment("to")
	}
	if maybe("text?") {
		term := rapid.SampledFrom(append([]string{"caida", "DISK", "isk f", "core", "0.0", "-disk", "-ok", "#1", fmt.Sprint("#", last), `"disk full"`, "本語"}, words...))
		f.Text = strings.Join(rapid.SliceOfN(term, 1, 3).Draw(r, "terms"), " ")
	}
	f.Unacked = maybe("unacked?")
	if maybe("before?") {
		f.Before = rapid.Int64Range(1, last+2).Draw(r, "before")
	}
	if maybe("after?") {
		f.After = rapid.Int64Range(0, last+2).Draw(r, "after")
	}
	return f
}

func checkMatch(r *rapid.T, x *Index, source *memory, f models.EventFilter) {
	got, err := x.Match(r.Context(), f)
	if err != nil {
		r.Fatal(err)
	}
	var want models.Match
	open := f
	open.Severities, open.Before, open.After = nil, 0, 0
	m := query.Compile(open)
	for _, e := range source.events {
		if m.Match(&e) {
			want.Severity[e.Severity.Rank()]++
			if len(f.Severities) == 0 || slices.Contains(f.Severities, e.Severity) {
				want.Total++
			}
		}
	}
	if want.Exact = got.Exact; !got.Exact {
		if x.counting > 0 {
			r.Fatalf("%+v: not exact, with all the time", f)
		}
		if got.Total > want.Total {
			r.Fatalf("%+v: at least %d, but there are %d", f, got.Total, want.Total)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.Fatalf("match of %+v (-want +got):\n%s", f, diff)
	}
}

// FuzzExpression: whatever is typed, FTS5 understands the question, and what
// it finds holds at least what the matcher selects.
func FuzzExpression(f *testing.F) {
	for _, seed := range []string{`"a" OR "b`, "NEAR(a b, 2)", "it's -\"x\"*", "text:disk", "^disk {a b}:c", "a\x00b\xff", "\U000F0000\U000F0001\U000F0002", "\uFFFF\uFFFE\uFFFD"} {
		f.Add(seed, "the disk is full")
	}
	dir := f.TempDir()
	file, err := openFile(f.Context(), dir+"/"+FileName)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = file.close() })
	f.Fuzz(func(t *testing.T, text, message string) {
		e := event(file.watermark.Load()+1, message)
		if err := file.index(t.Context(), []models.Event{e}); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{text, message} {
			filter := models.EventFilter{Text: text, Severities: []models.Severity{models.SeverityInfo}}
			matcher := query.Compile(filter)
			expr := allOf(termsOf(matcher.Terms().Words, &filter, 0))
			found, err := queryInts(t.Context(), file.reader, "SELECT rowid FROM words WHERE words MATCH ? AND rowid=?", expr, e.ID)
			if err != nil {
				t.Fatalf("%q asks %s: %v", text, expr, err)
			}
			if matcher.Terms().ID == 0 && matcher.Match(&e) && len(found) == 0 {
				t.Fatalf("%q asks %s: %q is not found", text, expr, message)
			}
		}
	})
}

func TestCover(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a := rapid.Int64Range(-5000, 5000).Draw(r, "a")
		b := rapid.Int64Range(-5000, 9000).Draw(r, "b")
		seen := map[int64]int{}
		for _, s := range cover(a, b) {
			for minute := s.low * s.step; minute < s.high*s.step; minute++ {
				seen[minute]++
			}
		}
		for minute, n := range seen {
			if n != 1 || minute < a || minute >= b {
				r.Fatalf("minute %d of [%d,%d) is covered %d times", minute, a, b, n)
			}
		}
		if len(seen) != int(max(0, b-a)) {
			r.Fatalf("%d minutes of %d", len(seen), b-a)
		}
	})
}
