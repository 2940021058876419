//go:build bench

package search_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"alerthub/models"
	"alerthub/search"
	"alerthub/store"
)

// The benchmark's history: so many events of so many sources in 30 days.
// ALERTHUB_BENCH_EVENTS makes it shorter.
const benchSources = 2_000

var benchEvents = func() int {
	if n, err := strconv.Atoi(os.Getenv("ALERTHUB_BENCH_EVENTS")); err == nil {
		return n
	}
	return 10_000_000
}()

var benchStart = time.Date(2026, 1, 25, 0, 0, 0, 0, time.UTC)

func benchTime(i int) time.Time {
	return benchStart.Add(time.Duration(i) * (30 * 24 * time.Hour / time.Duration(benchEvents)))
}

// BenchmarkFirstPage fills a store and its index, then asks for first pages as
// the panel does, 400 events each. It takes minutes and 4 GB:
//
//	go test -tags bench -run '^$' -bench FirstPage -benchtime 200x -timeout 1h ./search
//
// ALERTHUB_BENCH_DIR names a directory in which the history is kept between runs.
func BenchmarkFirstPage(b *testing.B) {
	dir := os.Getenv("ALERTHUB_BENCH_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	events, err := store.Open(b.Context(), store.Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	defer events.Close()
	fill(b, events)
	x := search.New(search.Config{Dir: dir}, events)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { defer close(done); x.Run(ctx) }()
	defer func() { cancel(); <-done; _ = x.Close() }()
	catchUp(b, x, filepath.Join(dir, search.FileName))

	type filters func(i int) models.EventFilter
	r := rand.New(rand.NewPCG(1, 2))
	cases := []struct {
		name string
		make filters
	}{
		{"info", func(int) models.EventFilter { return of("info") }},
		{"warning", func(int) models.EventFilter { return of("warning") }},
		{"error", func(int) models.EventFilter { return of("error") }},
		{"critical_1_in_20000", func(int) models.EventFilter { return of("critical") }},
		{"channel", func(int) models.EventFilter {
			return models.EventFilter{Channels: []models.Channel{models.ChannelHTTP}}
		}},
		{"source", func(int) models.EventFilter { return models.EventFilter{Source: sourceName(r.IntN(200))} }},
		{"source_rare", func(int) models.EventFilter {
			return models.EventFilter{Source: sourceName(benchSources - 1 - r.IntN(200))}
		}},
		{"source_error", func(int) models.EventFilter { f := of("error"); f.Source = sourceName(r.IntN(200)); return f }},
		{"source_critical", func(int) models.EventFilter { f := of("critical"); f.Source = sourceName(r.IntN(200)); return f }},
		{"word_rare", func(int) models.EventFilter { return models.EventFilter{Text: "zx81"} }},
		{"word_common", func(int) models.EventFilter { return models.EventFilter{Text: "interface"} }},
		{"word_absent", func(int) models.EventFilter { return models.EventFilter{Text: "nowhere-to-be-seen"} }},
		{"words_common", func(int) models.EventFilter { return models.EventFilter{Text: "interface down"} }},
		{"words_common_rare", func(int) models.EventFilter { return models.EventFilter{Text: "temperature zx81"} }},
		{"words_never_together", func(int) models.EventFilter { return models.EventFilter{Text: "interface login"} }},
		{"number", func(int) models.EventFilter { return models.EventFilter{Text: fmt.Sprint(100000 + r.IntN(800000))} }},
		{"address", func(int) models.EventFilter {
			return models.EventFilter{Text: fmt.Sprintf("10.%d.%d.", r.IntN(256), r.IntN(256))}
		}},
		{"word_error", func(int) models.EventFilter { f := of("error"); f.Text = "interface"; return f }},
		{"word_critical", func(int) models.EventFilter { f := of("critical"); f.Text = "interface"; return f }},
		{"word_excluded", func(int) models.EventFilter { return models.EventFilter{Text: "interface -down"} }},
		{"window_7d", func(i int) models.EventFilter { return week(models.EventFilter{}, i) }},
		{"window_7d_critical", func(i int) models.EventFilter { return week(of("critical"), i) }},
		{"window_7d_word_rare", func(i int) models.EventFilter { return week(models.EventFilter{Text: "zx81"}, i) }},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			var took, counted, worked []time.Duration
			cut, found := 0, 0
			for i := range b.N {
				f := c.make(i)
				f.Limit = 400
				began, work := time.Now(), processorTime()
				// Found and counted at the same time, as for a page of the panel.
				var counting sync.WaitGroup
				var countErr error
				counting.Go(func() {
					_, countErr = x.Match(b.Context(), f)
					counted = append(counted, time.Since(began))
				})
				page, err := x.Events(b.Context(), f)
				counting.Wait()
				took = append(took, time.Since(began))
				worked = append(worked, processorTime()-work)
				if err = errors.Join(err, countErr); err != nil {
					b.Fatal(err)
				}
				found += len(page.Events)
				if !page.SearchedTo.IsZero() {
					cut++
				}
			}
			report(b, "page", took)
			report(b, "page-cpu", worked) // what a busy machine does not change
			report(b, "match", counted)
			b.ReportMetric(float64(found)/float64(b.N), "events/page")
			b.ReportMetric(float64(cut)*100/float64(b.N), "%cut")
			b.ReportMetric(0, "ns/op")
		})
	}
	b.Run("top_sources", func(b *testing.B) {
		for _, length := range []time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour} {
			last, err := events.Events(b.Context(), models.EventFilter{Limit: 1})
			if err != nil || len(last.Events) == 0 {
				b.Fatal(err)
			}
			to := last.Events[0].CreatedAt.Truncate(time.Minute).Add(-time.Duration(b.N) * time.Minute) // no answer of an earlier round
			began := time.Now()
			top, err := x.TopSources(b.Context(), models.Window{From: to.Add(-length), To: to}, 6)
			if err != nil || len(top) != 6 {
				b.Fatalf("%d sources, %v", len(top), err)
			}
			b.ReportMetric(float64(time.Since(began).Microseconds())/1000, length.String()+"-ms")
		}
	})
}

func report(b *testing.B, name string, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, name+"-p50-ms")
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, name+"-p95-ms")
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // cannot fail with these arguments
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func of(s models.Severity) models.EventFilter {
	return models.EventFilter{Severities: []models.Severity{s}}
}

// week is a week in the middle of the history, at another hour each time.
func week(f models.EventFilter, i int) models.EventFilter {
	f.From = benchStart.Add(8*24*time.Hour + time.Duration(i%100)*time.Hour)
	f.To = f.From.Add(7 * 24 * time.Hour)
	return f
}

func sourceName(n int) string { return fmt.Sprintf("site%02d-sw-%04d", n%50, n) }

var benchMessages = []func(r *rand.Rand) string{
	func(r *rand.Rand) string {
		return fmt.Sprintf("Interface Gi%d/0/%d changed state to up", r.IntN(4), r.IntN(48))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("Interface Gi%d/0/%d changed state to down", r.IntN(4), r.IntN(48))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("login of user%03d from 10.%d.%d.%d accepted", r.IntN(500), r.IntN(256), r.IntN(256), r.IntN(256))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("Temperature %d.%d C, fan at %d rpm", 20+r.IntN(50), r.IntN(10), 900+r.IntN(4000))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("CPU %d %%, memory %d %%, uptime %d s", r.IntN(100), r.IntN(100), r.IntN(1_000_000))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("BGP neighbour 10.%d.%d.%d: hold timer expired", r.IntN(256), r.IntN(256), r.IntN(256))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("Caída del enlace de fibra %d, potencia -%d dBm", r.IntN(64), r.IntN(40))
	},
	func(r *rand.Rand) string {
		return fmt.Sprintf("backup job %d finished, %d files", 100000+r.IntN(800000), r.IntN(90000))
	},
}

// fill stores what is missing of the history.
func fill(b *testing.B, events *store.Store) {
	stats, err := events.Stats(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	r := rand.New(rand.NewPCG(uint64(stats.LastEventID), 7))
	for i := int(stats.LastEventID); i < benchEvents; {
		batch := make([]models.Record, 0, 4096)
		for ; i < benchEvents && len(batch) < cap(batch); i++ {
			// Low numbers report most: the square of an even draw.
			n := r.Float64()
			d := models.Draft{Severity: models.SeverityInfo, Channel: models.ChannelTCP, Source: sourceName(int(n * n * benchSources)),
				Message: benchMessages[r.IntN(len(benchMessages))](r), Peer: fmt.Sprintf("192.168.%d.%d", r.IntN(8), r.IntN(256))}
			switch p := r.IntN(20000); {
			case p == 0:
				d.Severity = models.SeverityCritical
			case p < 800:
				d.Severity = models.SeverityError
			case p < 4000:
				d.Severity = models.SeverityWarning
			}
			if r.IntN(10) == 0 {
				d.Channel = models.ChannelHTTP
			}
			if i%500_000 == 77 {
				d.Message = "Temperature sensor ZX81 tripped"
			}
			batch = append(batch, models.Record{Draft: d, ReceivedAt: benchTime(i)})
		}
		if _, err := events.InsertBatch(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("stored to %d in %s", benchEvents, time.Since(began).Round(time.Second))
}

// catchUp waits for the index and says how fast it was.
func catchUp(b *testing.B, x *search.Index, path string) {
	began, first := time.Now(), int64(0)
	for state := x.State(); time.Since(began) < 2*time.Second || state.Behind > 0; state = x.State() {
		if state.Fault != "" {
			b.Fatal(state.Fault)
		}
		first = max(first, state.Behind)
		time.Sleep(100 * time.Millisecond)
	}
	if first > 0 {
		b.Logf("indexed %d events, %.0f a second", first, float64(first)/time.Since(began).Seconds())
	}
	if info, err := os.Stat(path); err == nil {
		b.Logf("%s is %d MB, %.0f bytes an event", search.FileName, info.Size()>>20, float64(info.Size())/float64(benchEvents))
	}
}
