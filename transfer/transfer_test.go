package transfer_test

import (
	"bytes"
	"context"
	csvreader "encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"alerthub/models"
	"alerthub/store"
	"alerthub/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a store with a running Transfer.
type bench struct {
	*transfer.Transfer
	store *store.Store
	dir   string

	mu      sync.Mutex
	indexed []int64
	changed int
	fail    error // of the index
}

// faulty is a store whose writes of rows can be made to fail or to wait.
type faulty struct {
	*store.Store
	before func(rows int) error // nil passes all
}

func (f *faulty) ImportRows(ctx context.Context, id int64, events []models.Event, emails []models.EmailAlert) error {
	if f.before != nil {
		if err := f.before(len(events) + len(emails)); err != nil {
			return err
		}
	}
	return f.Store.ImportRows(ctx, id, events, emails)
}

func start(t *testing.T, dir string, before func(int) error) *bench {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{store: s, dir: dir}
	b.Transfer, err = transfer.New(s, &faulty{s, before}, transfer.Config{
		Dir: dir, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Now: func() time.Time { return time.Date(2026, 11, 25, 18, 0, 0, 0, time.UTC) },
		Imported: func(_ context.Context, ids []int64) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			if err := b.fail; err != nil {
				b.fail = nil
				return err
			}
			b.indexed = append(b.indexed, ids...)
			return nil
		},
		Changed: func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.changed++
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// upload hands a file over and returns what is known of it.
func (b *bench) upload(t *testing.T, file string) models.Import {
	t.Helper()
	i, err := b.Upload(t.Context(), "history.json", strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// load imports a file and waits for what comes of it.
func (b *bench) load(t *testing.T, file string) models.Import {
	t.Helper()
	i := b.upload(t, file)
	if i.State != models.ImportChecked {
		t.Fatalf("not taken: %+v", i)
	}
	b.begin(t, i.Token)
	return b.await(t, i.Token, func(i models.Import) bool { return i.State != models.ImportRunning })
}

// begin starts an import as soon as nothing else runs.
func (b *bench) begin(t *testing.T, token string) {
	t.Helper()
	poll(t, func() bool {
		err := b.Start(token)
		if err != nil && !errors.Is(err, models.ErrImporting) {
			t.Fatal(err)
		}
		return err == nil
	})
}

func (b *bench) await(t *testing.T, token string, enough func(models.Import) bool) (i models.Import) {
	t.Helper()
	poll(t, func() bool {
		var err error
		if i, err = b.Import(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		return enough(i)
	})
	return i
}

func poll(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatal("waited for 20 s")
		}
		time.Sleep(time.Millisecond)
	}
}

func (b *bench) export(t *testing.T, format models.ExportFormat, f models.EventFilter) string {
	t.Helper()
	var out bytes.Buffer
	if err := b.Export(t.Context(), &out, format, f); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// left are the files of transfers in the data directory.
func (b *bench) left(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "*.part"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// fill stores events of every kind through the store: hostile texts, all
// severities and channels, emails of all statuses, some acknowledged.
func fill(t *testing.T, s *store.Store, n int) {
	t.Helper()
	texts := []string{
		"=HYPERLINK(\"http://evil\")", "línea 1\n\tlínea 2", strings.Repeat("ñ", 300), "a,b;\"c\"", "\u2028\u202e\U0001F6A8", "</script><b>",
		"\u0000"[:0] + "-1+2", "@sum", strings.Repeat("\U0001F6A8", 300),
	}
	at := time.Date(2026, 2, 24, 9, 41, 46, 123456000, time.UTC)
	for from := 0; from < n; from += 500 {
		var records []models.Record
		for i := from; i < min(n, from+500); i++ {
			d, err := models.NewDraft(models.Input{
				Source: fmt.Sprintf("núcleo-%d", i%7), Severity: string(models.Severities()[i%4]), Message: texts[i%len(texts)],
				Channel: models.Channels()[i%2], Peer: []string{"192.0.2.7", "2001:db8::1", ""}[i%3],
				RawPayload: []string{"", "{\"x\":\"\\u0000\x01\x7f\"}"}[i%2], Key: fmt.Sprint("key", i),
			})
			if err != nil {
				t.Fatal(err)
			}
			r := models.Record{Draft: d, ReceivedAt: at.Add(time.Duration(i) * time.Second)}
			if d.Severity.Escalates() {
				r.Alerts = []models.NewAlert{{Contact: []string{"", "noc ñ", "on-call"}[i%3], Recipient: "noc@example.net", Status: models.EmailPending}}
				if i%8 == 3 {
					r.Alerts = append(r.Alerts, models.NewAlert{Status: models.EmailSkipped, Detail: "not configured"})
				}
			}
			records = append(records, r)
		}
		receipts, err := s.InsertBatch(t.Context(), records)
		if err != nil {
			t.Fatal(err)
		}
		finish(t, s, receipts[:min(len(receipts), 24)])
	}
}

// finish ends some emails and acknowledges some events.
func finish(t *testing.T, s *store.Store, receipts []models.Receipt) {
	t.Helper()
	for i := range receipts {
		r := &receipts[i]
		if i%5 == 2 {
			if _, err := s.Acknowledge(t.Context(), []int64{r.Event.ID}, models.Ack{By: "Ana López", Peer: "192.0.2.9", At: r.Event.CreatedAt.Add(time.Minute)}); err != nil {
				t.Fatal(err)
			}
		}
		for _, a := range r.Alerts {
			update := models.AlertUpdate{ID: a.ID, Status: models.EmailSent, Detail: "250 ok", Attempts: 1, At: a.CreatedAt.Add(3 * time.Second)}
			switch {
			case a.Status != models.EmailPending || i%6 == 0:
				continue
			case i%6 == 2:
				update.Status, update.Detail, update.Attempts = models.EmailFailed, "550 no such user «ñ»", 4
			}
			if _, err := s.FinishAlert(t.Context(), update); err != nil {
				t.Fatal(err)
			}
		}
	}
}

var pending = regexp.MustCompile(`"status":"pending","detail":null,"attempts":0,"next_attempt_at":"[^"]*"`)

// TestExport_ImportExport: what is exported and imported into an empty hub is
// exported the same, but for emails that were still to be sent.
func TestExport_ImportExport(t *testing.T) {
	a := start(t, t.TempDir(), nil)
	fill(t, a.store, 2600) // three pages
	first := a.export(t, models.ExportJSON, models.EventFilter{})
	b := start(t, t.TempDir(), nil)
	i := b.load(t, first)
	if i.State != models.ImportFinished || i.Events != 2600 || i.Done != 2600 || i.Kept != 2600 || i.Renumbered != 0 || i.Size != int64(len(first)) {
		t.Fatalf("%+v", i)
	}
	second := b.export(t, models.ExportJSON, models.EventFilter{})
	want := pending.ReplaceAllString(first, `"status":"skipped","detail":"imported","attempts":0,"next_attempt_at":null`)
	if want == first {
		t.Fatal("no email was pending")
	}
	if diff := diffLines(withoutStats(want), withoutStats(second)); diff != "" {
		t.Errorf("exported again (-first +second):\n%s", diff)
	}
	c := start(t, t.TempDir(), nil)
	c.load(t, second)
	if third := c.export(t, models.ExportJSON, models.EventFilter{}); third != second {
		t.Errorf("exported the third time (-second +third):\n%s", diffLines(second, third))
	}
	for name, hub := range map[string]*bench{"b": b, "c": c} {
		waiting, err := hub.store.OldestWaiting(t.Context(), models.Lane{Channel: models.DeliveryEmail})
		if waiting > 0 || err != nil {
			t.Errorf("hub %s would send alert %d, %v", name, waiting, err)
		}
		poll(t, func() bool {
			hub.mu.Lock()
			defer hub.mu.Unlock()
			return len(hub.indexed) == 2600 && slices.IsSorted(hub.indexed) && hub.changed == 1
		})
		if files := hub.left(t); len(files) > 0 {
			t.Errorf("hub %s keeps %v", name, files)
		}
	}
}

// withoutStats cuts off the line of the counters, which differ by the emails.
func withoutStats(export string) string {
	return export[:strings.LastIndex(export, "],\"stats\"")]
}

func diffLines(a, b string) string {
	return cmp.Diff(strings.Split(a, "\n"), strings.Split(b, "\n"))
}

var csvRow = regexp.MustCompile(`(?m)^\d+,2026`)

func TestExport_Filter(t *testing.T) {
	b := start(t, t.TempDir(), nil)
	fill(t, b.store, 120)
	for format, count := range map[models.ExportFormat]func(string) int{
		models.ExportJSON:  func(s string) int { return strings.Count(s, `"raw_payload":`) },
		models.ExportLines: func(s string) int { return strings.Count(s, "\n") },
		models.ExportCSV:   func(s string) int { return len(csvRow.FindAllString(s, -1)) },
	} {
		out := b.export(t, format, models.EventFilter{Severities: []models.Severity{models.SeverityCritical}, Limit: 2})
		if n := count(out); n != 30 {
			t.Errorf("%s: %d events, want the 30 criticals\n%s", format, n, out)
		}
		if empty := b.export(t, format, models.EventFilter{Source: "nobody"}); count(empty) != 0 {
			t.Errorf("%s: of nothing:\n%s", format, empty)
		}
	}
	lines := b.export(t, models.ExportLines, models.EventFilter{})
	into := start(t, t.TempDir(), nil)
	if i := into.load(t, lines); i.State != models.ImportFinished {
		t.Fatalf("%+v", i)
	}
	if again := into.export(t, models.ExportLines, models.EventFilter{}); again != lines {
		t.Errorf("lines exported again:\n%s", diffLines(lines, again))
	}
}

func TestExport_CSV(t *testing.T) {
	b := start(t, t.TempDir(), nil)
	fill(t, b.store, 40)
	out := b.export(t, models.ExportCSV, models.EventFilter{})
	records, err := csvreader.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(records) != 41 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	page, err := b.store.Events(t.Context(), models.EventFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range records[1:] {
		e := page.Events[i]
		message := strings.TrimPrefix(r[4], "'")
		if r[0] != fmt.Sprint(e.ID) || r[3] != e.Source || message != e.Message || r[6] != e.Peer || r[8] != e.AckedBy || r[10] != e.RawPayload || r[11] != fmt.Sprint(e.AckedVerified) {
			t.Errorf("record %q of %+v", r, e)
		}
		for _, cell := range r {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Errorf("event %d: the cell %q is a formula", e.ID, cell)
			}
		}
	}
	if !strings.Contains(out, "\r\n") || !strings.Contains(out, "línea 1\n\tlínea 2") {
		t.Error("records end with CRLF, and lines within a cell stay as they are")
	}
}

// brokenSource fails after some pages.
type brokenSource struct {
	transfer.Source
	pages int
}

func (b *brokenSource) Events(ctx context.Context, f models.EventFilter) (models.EventPage, error) {
	if b.pages--; b.pages < 0 {
		return models.EventPage{}, models.ErrUnavailable
	}
	return b.Source.Events(ctx, f)
}

// TestExport_Faults: what is not whole is told, and no spool stays.
func TestExport_Faults(t *testing.T) {
	b := start(t, t.TempDir(), nil)
	fill(t, b.store, 1500)
	broken, err := transfer.New(&brokenSource{b.store, 1}, b.store, transfer.Config{Dir: b.dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range models.ExportFormats() {
		if err := broken.Export(t.Context(), io.Discard, format, models.EventFilter{}); !errors.Is(err, models.ErrUnavailable) {
			t.Errorf("%s of a failing store: %v", format, err)
		}
		gone := errors.New("gone")
		if err := b.Export(t.Context(), writer(func([]byte) (int, error) { return 0, gone }), format, models.EventFilter{}); !errors.Is(err, gone) {
			t.Errorf("%s to a closed connection: %v", format, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err := b.Export(ctx, writer(func(p []byte) (int, error) { cancel(); return len(p), nil }), format, models.EventFilter{})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", format, err)
		}
	}
	if files := b.left(t); len(files) > 0 {
		t.Errorf("left %v", files)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func event(id int, more string) string {
	return fmt.Sprintf(`{"id":%d,"created_at":"2026-02-24T09:41:46Z","source":"a","severity":"error","message":"m","channel":"http_api"%s}`, id, more)
}

func TestUpload_Refused(t *testing.T) {
	b := start(t, t.TempDir(), nil)
	for name, tt := range map[string]struct{ file, want string }{
		"no file at all":         {"", "not a JSON object"},
		"no events":              {`{"events":[],"email_logs":[]}`, "the file holds no events"},
		"an id twice":            {event(7, "") + "\n" + event(8, "") + "\n" + event(7, ""), "event 3: id: event 1 has 7 too"},
		"a wrong row":            {event(7, "") + "\n" + event(8, `,"peer":"x"`), "event 2: peer: must be an IP address"},
		"truncated":              {event(7, "") + "\n" + event(8, "")[:30], "event 2: not a JSON object: the file ends too soon"},
		"an email of nothing":    {`{"events":[` + event(7, "") + `],"email_logs":[{"id":1,"event_id":8,"created_at":"2026-02-24T09:41:46Z","status":"sent"}]}`, "email 1: event_id: the file holds no event 8"},
		"an email of no state":   {`{"events":[` + event(7, "") + `],"email_logs":[{"id":1,"event_id":7,"created_at":"2026-02-24T09:41:46Z","status":"gone"}]}`, "email 1: status: must be sent"},
		"an email twice, before": {`{"email_logs":[{"id":1,"event_id":7,"created_at":"2026-02-24T09:41:46Z","status":"sent"},{"id":1,"event_id":7,"created_at":"2026-02-24T09:41:46Z","status":"sent"}],"events":[` + event(7, "") + `]}`, "email 2: id: email 1 has 1 too"},
	} {
		i := b.upload(t, tt.file)
		if i.State != models.ImportRefused || len(i.Problems) != 1 || !strings.HasPrefix(i.Problems[0], tt.want) {
			t.Errorf("%s: %s %q, want %q", name, i.State, i.Problems, tt.want)
		}
		if err := b.Start(i.Token); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("%s: started: %v", name, err)
		}
		if again, err := b.Import(t.Context(), i.Token); err != nil || !cmp.Equal(again, i) {
			t.Errorf("%s: told again %+v, %v", name, again, err)
		}
	}
	if i := b.upload(t, strings.Repeat(event(0, ""), 50)); len(i.Problems) != 10 {
		t.Errorf("told %d problems, want the first 10", len(i.Problems))
	}
	endless := writerTo(func(w io.Writer) { io.Copy(w, io.LimitReader(spaces{}, models.MaxImport+1)) })
	if _, err := b.Upload(t.Context(), "big", endless); !errors.Is(err, models.ErrImportTooLarge) {
		t.Errorf("a file too large: %v", err)
	}
	if _, err := b.Upload(t.Context(), "cut", io.MultiReader(strings.NewReader("{"), failing{})); !errors.Is(err, errCut) {
		t.Errorf("an upload that broke off: %v", err)
	}
	if files := b.left(t); len(files) > 0 {
		t.Errorf("left %v", files)
	}
	if stats, err := b.store.Stats(t.Context()); err != nil || stats.Events != 0 {
		t.Errorf("wrote %d events, %v", stats.Events, err)
	}
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

var errCut = errors.New("cut")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCut }

func writerTo(write func(io.Writer)) io.Reader {
	r, w := io.Pipe()
	go func() {
		write(w)
		w.Close()
	}()
	return r
}

// TestUpload_Waiting: files wait for their word, but not any number of them,
// and nobody else can read them.
func TestUpload_Waiting(t *testing.T) {
	b := start(t, t.TempDir(), nil)
	var tokens []string
	for id := range 6 {
		tokens = append(tokens, b.upload(t, event(id+1, "")).Token)
	}
	files := b.left(t)
	if len(files) != 4 {
		t.Errorf("%d files wait, want 4", len(files))
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	if err := b.Start(tokens[1]); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("the second of six: %v", err)
	}
	b.begin(t, tokens[5])
	b.await(t, tokens[5], func(i models.Import) bool { return i.State == models.ImportFinished })
	if _, err := transfer.New(b.store, b.store, transfer.Config{Dir: b.dir}); err != nil || len(b.left(t)) > 0 {
		t.Errorf("a new start: %v, left %v", err, b.left(t))
	}
}

func TestImport_Renumbered(t *testing.T) {
	b := start(t, t.TempDir(), nil)
	fill(t, b.store, 10)
	export := b.export(t, models.ExportJSON, models.EventFilter{})
	export = strings.Replace(export, `{"id":10,`, `{"id":4000,`, 1)
	export = strings.ReplaceAll(export, `"event_id":10,`, `"event_id":4000,`)
	i := b.load(t, export)
	if i.State != models.ImportFinished || i.Kept != 1 || i.Renumbered != 9 || i.FirstRenumbered != 4001 {
		t.Fatalf("%+v", i)
	}
	if e, err := b.store.Event(t.Context(), 4003); err != nil || e.Source != "núcleo-2" {
		t.Errorf("the third event anew: %+v, %v", e, err)
	}
	emails, err := b.store.EmailAlerts(t.Context(), models.EmailFilter{EventIDs: []int64{4003, 4004}})
	if err != nil || len(emails) != 3 {
		t.Errorf("its emails: %+v, %v", emails, err)
	}
	stored, err := b.store.Import(t.Context(), i.Token)
	if stored.Done = i.Done; err != nil || !cmp.Equal(stored, i) {
		t.Errorf("the store tells (-memory +store) %s, %v", cmp.Diff(i, stored), err)
	}
}

// TestImport_OneAtATime: another one is told to wait, and the first goes on.
func TestImport_OneAtATime(t *testing.T) {
	held := make(chan struct{})
	b := start(t, t.TempDir(), func(int) error { <-held; return nil })
	first, second := b.upload(t, event(1, "")), b.upload(t, event(2, ""))
	b.begin(t, first.Token)
	if err := b.Start(second.Token); !errors.Is(err, models.ErrImporting) {
		t.Errorf("a second beside it: %v", err)
	}
	if err := b.Start(first.Token); err != nil {
		t.Errorf("the first, sent twice: %v", err)
	}
	close(held)
	b.await(t, first.Token, func(i models.Import) bool { return i.State == models.ImportFinished })
	b.begin(t, second.Token)
	b.await(t, second.Token, func(i models.Import) bool { return i.State == models.ImportFinished })
}

// diskFull is what the driver says, in the words that people are told.
type diskFull struct{}

func (diskFull) Error() string  { return "insert: database or disk is full (code 13)" }
func (diskFull) Reason() string { return "database or disk is full" }

// TestImport_Fails: a fault in the middle removes it, names the rows, and
// leaves room for the next one.
func TestImport_Fails(t *testing.T) {
	writes := 0
	b := start(t, t.TempDir(), func(int) error {
		if writes++; writes == 5 {
			return fmt.Errorf("%w: %w", models.ErrUnavailable, diskFull{})
		}
		return nil
	})
	var file strings.Builder
	for id := range 1300 {
		file.WriteString(event(id+1, "") + "\n")
	}
	i := b.load(t, file.String())
	if i.State != models.ImportFailed || i.Error != "events 1001 to 1250: database or disk is full" {
		t.Errorf("%+v", i)
	}
	stats, err := b.store.Stats(t.Context())
	page, pageErr := b.store.Events(t.Context(), models.EventFilter{})
	if err != nil || pageErr != nil || stats.Events != 0 || len(page.Events) != 0 || len(b.left(t)) > 0 {
		t.Errorf("left %+v, %+v, %v", stats, page, b.left(t))
	}
	if again := b.load(t, file.String()); again.State != models.ImportFinished || again.Kept != 1300 {
		t.Errorf("the second try: %+v", again)
	}
}

// TestRun_ClearsUp: what a stop left half-written is removed by the next
// start, and an import that the index did not take is told again.
func TestRun_ClearsUp(t *testing.T) {
	dir := t.TempDir()
	var token string
	t.Run("stopped in the middle", func(t *testing.T) {
		reached := make(chan struct{})
		ctx := t.Context()
		writes := 0
		b := start(t, dir, func(int) error {
			if writes++; writes == 2 {
				close(reached)
				<-ctx.Done() // ends before the cleanup that stops Run
				return ctx.Err()
			}
			return nil
		})
		var file strings.Builder
		for id := range 1300 {
			file.WriteString(event(id+1, "") + "\n")
		}
		i := b.upload(t, file.String())
		token = i.Token
		b.begin(t, token)
		<-reached
		if page, err := b.store.Events(ctx, models.EventFilter{}); err != nil || len(page.Events) > 0 {
			t.Errorf("500 rows are written, and %d show, %v", len(page.Events), err)
		}
	})
	b := start(t, dir, nil)
	i := b.await(t, token, func(i models.Import) bool { return i.State == models.ImportFailed })
	if i.Error == "" || i.Name != "history.json" || i.Events != 1300 {
		t.Errorf("%+v", i)
	}
	if stats, err := b.store.Stats(t.Context()); err != nil || stats.Events != 0 {
		t.Errorf("%+v, %v", stats, err)
	}
	b.mu.Lock()
	b.fail = errors.New("no index yet")
	b.mu.Unlock()
	b.load(t, event(5, ""))
	poll(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.Equal(b.indexed, []int64{5})
	})
}
