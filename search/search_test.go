package search

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"alerthub/models"
	"alerthub/query"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a Source in memory. The index, which alone reads more than one
// event after an id, sees none above hold.
type memory struct {
	mu     sync.Mutex
	events []models.Event // by id
	hold   int64
}

func (s *memory) add(events ...models.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, events...)
	slices.SortFunc(s.events, func(a, b models.Event) int { return int(a.ID - b.ID) })
}

func (s *memory) setHold(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = id
}

func (s *memory) EventsAfter(_ context.Context, after int64, limit int) ([]models.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []models.Event
	for _, e := range s.events {
		if e.ID > after && len(list) < limit && (limit == 1 || e.ID <= s.hold) {
			list = append(list, e)
		}
	}
	return list, nil
}

func (s *memory) EventsByID(_ context.Context, ids []int64) ([]models.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []models.Event
	for _, e := range slices.Backward(s.events) {
		if slices.Contains(ids, e.ID) {
			list = append(list, e)
		}
	}
	return list, nil
}

func (s *memory) Events(_ context.Context, f models.EventFilter) (models.EventPage, error) {
	if f.Narrow() || f.Limit < 1 || f.Limit > models.MaxLimit {
		return models.EventPage{}, fmt.Errorf("not a plain read: %+v", f)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var page models.EventPage
	for _, e := range slices.Backward(s.events) {
		if e.ID <= f.After || f.Before > 0 && e.ID >= f.Before {
			continue
		}
		if len(page.Events) == f.Limit {
			page.NextBefore = page.Events[f.Limit-1].ID
			break
		}
		page.Events = append(page.Events, e)
	}
	return page, nil
}

func (s *memory) Stats(context.Context) (models.Stats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := models.Stats{Events: int64(len(s.events)), Severity: map[models.Severity]int64{}}
	for _, e := range s.events {
		stats.Severity[e.Severity]++
		stats.LastEventID = max(stats.LastEventID, e.ID)
	}
	return stats, nil
}

var start = time.Date(2026, 2, 24, 9, 0, 0, 0, time.UTC)

func event(id int64, message string) models.Event {
	return models.Event{
		ID: id, CreatedAt: start.Add(time.Duration(id) * time.Second), Source: "core-1", Severity: models.SeverityInfo,
		Message: message, Channel: models.ChannelTCP, Peer: "10.0.0.1",
	}
}

// newIndex makes an index that only step fills, over events up to hold.
func newIndex(t testing.TB, dir string, source *memory) *Index {
	t.Helper()
	x := New(Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}, source)
	x.patience, x.counting = time.Hour, time.Hour
	t.Cleanup(func() { _ = x.Close() })
	return x
}

func (x *Index) mustStep(t testing.TB) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = x.step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// ids walks through all pages of f.
func ids(t testing.TB, x *Index, f models.EventFilter) []int64 {
	t.Helper()
	list := []int64{}
	for {
		page, err := x.Events(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Events) > max(f.Limit, models.DefaultLimit) && f.Limit > 0 {
			t.Fatalf("%d events on a page of %d", len(page.Events), f.Limit)
		}
		for _, e := range page.Events {
			list = append(list, e.ID)
		}
		if page.NextBefore == 0 {
			return list
		}
		if f.Before > 0 && page.NextBefore >= f.Before {
			t.Fatalf("no progress: before %d, then %d", f.Before, page.NextBefore)
		}
		f.Before = page.NextBefore
	}
}

func naive(s *memory, f models.EventFilter) []int64 {
	m := query.Compile(f)
	list := []int64{}
	for _, e := range slices.Backward(s.events) {
		if m.Match(&e) && e.ID > f.After && (f.Before == 0 || e.ID < f.Before) {
			list = append(list, e.ID)
		}
	}
	return list
}

func TestIndex_Words(t *testing.T) {
	source := &memory{hold: 1 << 40}
	for i, message := range []string{
		"Caída del enlace", "link DOWN on gi0/1", `say "hello" NEAR there`, "100% * disk OR full", "it's; DROP TABLE words", "a\uFFFDb\nc",
	} {
		source.add(event(int64(i+1), message))
	}
	x := newIndex(t, t.TempDir(), source)
	x.mustStep(t)
	for text, want := range map[string][]int64{
		"caida": {1}, "ENLACE": {1}, "down gi0": {2}, `say "hello`: {3}, `"hello" near`: {3}, `NEAR(`: {},
		"*": {4}, "OR full": {4}, "it's;": {5}, `table -drop`: {}, "a\x00b": {6}, "core-1 -link": {6, 5, 4, 3, 1}, "10.0.0.1": {6, 5, 4, 3, 2, 1},
		"words*": {}, "text:caida": {}, "#2": {2}, "#2 caida": {}, "#99": {}, "-caida": {6, 5, 4, 3, 2}, `"`: {3}, "gi": {2}, "zz": {},
	} {
		if diff := cmp.Diff(want, ids(t, x, models.EventFilter{Text: text})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	if state := x.State(); state != (models.IndexState{}) {
		t.Errorf("state %+v", state)
	}
}

// The data directory is "./data" unless it is configured.
func TestIndex_RelativeDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("data", 0o700); err != nil {
		t.Fatal(err)
	}
	newIndex(t, "data", &memory{}).mustStep(t)
	if _, err := os.Stat(filepath.Join("data", FileName)); err != nil {
		t.Error(err)
	}
}

func TestIndex_CutShort(t *testing.T) {
	source := &memory{hold: 1 << 40}
	for id := int64(1); id <= 3000; id++ {
		source.add(event(id, "x"))
	}
	source.add(event(3001, "y"))
	source.hold = 2000
	x := newIndex(t, t.TempDir(), source)
	x.mustStep(t)
	x.candidates = 100
	page, err := x.Events(t.Context(), models.EventFilter{Text: "zz", Limit: 100})
	if err != nil || len(page.Events) != 0 || page.NextBefore != 2901 || !page.SearchedTo.Equal(start.Add(2901*time.Second)) {
		t.Errorf("page %+v, %v: want it to stop after 101 events", page, err)
	}
	if got := ids(t, x, models.EventFilter{Text: "y"}); !slices.Equal(got, []int64{3001}) {
		t.Errorf("got %v", got)
	}
	x.patience, x.counting = 0, 0
	if got := ids(t, x, models.EventFilter{Text: "x", Limit: 7}); len(got) != 3000 {
		t.Errorf("without patience %d of 3000", len(got))
	}
	m, err := x.Match(t.Context(), models.EventFilter{Text: "x"})
	if err != nil || m.Exact || m.Total == 0 || m.Total > manyMatches {
		t.Errorf("match %+v, %v", m, err)
	}
}

// However slow the machine, a call of a caught-up index asks it: that nothing
// came after its last event is no answer.
func TestIndex_AlwaysAsked(t *testing.T) {
	source := &memory{hold: 1 << 40}
	source.add(event(1, "disk full"), event(2, "fan stopped"), event(3, "disk empty"))
	x := newIndex(t, t.TempDir(), source)
	x.mustStep(t)
	x.patience = 0
	page, err := x.Events(t.Context(), models.EventFilter{Text: "disk"})
	if err != nil || len(page.Events) != 2 || page.NextBefore != 0 {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestIndex_Rebuilt(t *testing.T) {
	corrupt := func(t *testing.T, path string) {
		if err := os.WriteFile(path, slices.Repeat([]byte("no database "), 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	changes := map[string]func(t *testing.T, path string, source *memory){
		"file is not a database": func(t *testing.T, path string, _ *memory) { corrupt(t, path) },
		"file is of another version": func(t *testing.T, path string, _ *memory) {
			run(t, path, "PRAGMA user_version = 999")
		},
		"file holds other tables": func(t *testing.T, path string, _ *memory) {
			run(t, path, "DROP TABLE meta")
		},
		"file is ahead of the events": func(t *testing.T, path string, _ *memory) {
			run(t, path, "UPDATE meta SET watermark = 77")
		},
		"events are others": func(_ *testing.T, _ string, source *memory) {
			for i := range source.events {
				source.events[i].Message = "other disk"
			}
		},
		"file is gone": func(t *testing.T, path string, _ *memory) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			dir, source := t.TempDir(), &memory{hold: 1 << 40}
			source.add(event(1, "disk full"), event(2, "disk empty"))
			x := newIndex(t, dir, source)
			x.mustStep(t)
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			change(t, filepath.Join(dir, FileName), source)
			again := newIndex(t, dir, source)
			again.mustStep(t)
			if got := ids(t, again, models.EventFilter{Text: "disk"}); !slices.Equal(got, []int64{2, 1}) {
				t.Errorf("got %v", got)
			}
			if w := again.file.watermark.Load(); w != 2 {
				t.Errorf("watermark %d", w)
			}
			m, err := again.Match(t.Context(), models.EventFilter{Source: "core-1"})
			if err != nil || !m.Exact || m.Total != 2 {
				t.Errorf("match %+v, %v", m, err)
			}
		})
	}
}

// A file that goes bad while it is in use costs one answer's speed, not the answer.
func TestIndex_DamagedInUse(t *testing.T) {
	dir, source := t.TempDir(), &memory{hold: 1 << 40}
	for id := int64(1); id <= 500; id++ {
		source.add(event(id, fmt.Sprintf("disk %d of many", id)))
	}
	x := newIndex(t, dir, source)
	x.mustStep(t)
	path := filepath.Join(dir, FileName)
	run(t, path, "PRAGMA wal_checkpoint(TRUNCATE)")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(slices.Repeat([]byte{0xa5}, int(info.Size()-4096)), 4096); err != nil { // all pages but the first
		t.Fatal(err)
	}
	if got := ids(t, x, models.EventFilter{Text: "disk", Limit: 100}); len(got) != 500 {
		t.Errorf("%d of 500", len(got))
	}
	if !x.stale.Load() {
		t.Fatal("nothing noticed the damage")
	}
	x.mustStep(t)
	if n, err := queryInts(t.Context(), x.file.reader, "SELECT count(*) FROM words WHERE words MATCH ?", `"dis"`); err != nil || n[0] != 500 {
		t.Errorf("%d indexed again, %v", n, err)
	}
}

func run(t *testing.T, path, statement string) {
	t.Helper()
	db, err := openDB(path, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// Whoever leaves in the middle of a query must not leave an empty answer to
// all that ask next.
func TestIndex_LeftAlone(t *testing.T) {
	x := newIndex(t, t.TempDir(), &memory{})
	x.mustStep(t)
	gone, leave := context.WithCancel(t.Context())
	leave()
	interrupted := &indexError{errors.New("interrupted (9)")}
	if x.blame(gone, interrupted) || !x.blame(t.Context(), interrupted) {
		t.Error("the index is blamed for a client that left, or for nothing")
	}
}

func TestIndex_AddBelow(t *testing.T) {
	dir, source := t.TempDir(), &memory{hold: 1 << 40}
	source.add(event(10, "disk ten"), event(20, "disk twenty"))
	x := newIndex(t, dir, source)
	x.mustStep(t)
	source.hold = 20
	source.add(event(5, "disk five"), event(15, "disk fifteen"), event(25, "disk above"))
	if err := x.AddBelow(t.Context(), []int64{5, 10, 15, 25}); err != nil {
		t.Fatal(err)
	}
	if m, err := x.Match(t.Context(), models.EventFilter{Source: "core-1"}); err != nil || m.Exact {
		t.Errorf("match %+v, %v: cannot be exact while some wait", m, err)
	}
	if err := x.Close(); err != nil { // they survive a restart
		t.Fatal(err)
	}
	x = newIndex(t, dir, source)
	x.mustStep(t)
	if got := ids(t, x, models.EventFilter{Text: "disk"}); !slices.Equal(got, []int64{25, 20, 15, 10, 5}) {
		t.Errorf("got %v", got)
	}
	source.setHold(30)
	x.mustStep(t)
	if got := ids(t, x, models.EventFilter{Text: "disk"}); !slices.Equal(got, []int64{25, 20, 15, 10, 5}) {
		t.Errorf("got %v", got)
	}
	if m, err := x.Match(t.Context(), models.EventFilter{Source: "core-1"}); err != nil || !m.Exact || m.Total != 5 {
		t.Errorf("match %+v, %v", m, err)
	}
}

func TestIndex_Sources(t *testing.T) {
	source := &memory{hold: 1 << 40}
	for id := int64(1); id <= 60; id++ {
		e := event(id, "x")
		e.CreatedAt = start.Add(time.Duration(id) * time.Minute)
		e.Source = fmt.Sprintf("s%d", id%4)
		e.Severity = models.Severities()[id%3]
		source.add(e)
	}
	late := event(61, "x")
	late.CreatedAt, late.Source = start.Add(-48*time.Hour), "old"
	source.add(late)
	x := newIndex(t, t.TempDir(), source)
	x.mustStep(t)
	top, err := x.TopSources(t.Context(), models.Window{From: start.Add(time.Minute), To: start.Add(7 * time.Minute)}, 2)
	want := []models.SourceCount{ // ids 1 to 6; s1 is 1 and 5, s2 is 2 and 6
		{Source: "s1", Severity: [4]int64{0, 1, 1, 0}}, {Source: "s2", Severity: [4]int64{1, 0, 1, 0}},
	}
	if diff := cmp.Diff(want, top); err != nil || diff != "" {
		t.Errorf("top (-want +got):\n%s %v", diff, err)
	}
	names, err := x.Sources(t.Context(), 4)
	if diff := cmp.Diff([]string{"s0", "s3", "s2", "s1"}, names); err != nil || diff != "" {
		t.Errorf("names (-want +got):\n%s %v", diff, err)
	}
}

// Run follows the events, and ends with its context.
func TestIndex_Run(t *testing.T) {
	source := &memory{hold: 1 << 40}
	x := newIndex(t, t.TempDir(), source)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); x.Run(ctx) }()
	defer func() { cancel(); <-done }()
	var want []int64
	for id := int64(1); id <= 5000; id++ {
		source.add(event(id, "disk"))
		want = append(want, id)
		if id%500 == 0 {
			x.Wake()
			got := ids(t, x, models.EventFilter{Text: "disk", Limit: 1000})
			slices.Reverse(got)
			if !slices.Equal(got, want) {
				t.Fatalf("after %d: %d found", id, len(got))
			}
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for indexed := int64(0); indexed < 5000; {
		x.mu.RLock()
		if x.file != nil {
			indexed = x.file.watermark.Load()
		}
		x.mu.RUnlock()
		if time.Now().After(deadline) {
			t.Fatalf("indexed to %d, state %+v", indexed, x.State())
		}
		time.Sleep(5 * time.Millisecond)
	}
	x.Rebuild()
	if got := ids(t, x, models.EventFilter{Text: "disk", Limit: 1000}); len(got) != 5000 {
		t.Errorf("%d found while it is rebuilt", len(got))
	}
}
