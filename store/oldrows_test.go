package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
	"alerthub/store"
)

// The tables of the first program of this name, as it made them.
const (
	seedEvents = `CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at TEXT NOT NULL,
    source TEXT NOT NULL,
    severity TEXT NOT NULL,
    message TEXT NOT NULL,
    channel TEXT NOT NULL,
    raw_payload TEXT
)`
	seedAlerts = `CREATE TABLE email_alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id INTEGER NOT NULL REFERENCES events(id),
    created_at TEXT NOT NULL,
    recipient TEXT,
    status TEXT NOT NULL,
    detail TEXT
)`
)

// seedDatabase writes a database as the first program did.
func seedDatabase(t *testing.T, dir string, statements ...string) (path string) {
	t.Helper()
	path = filepath.Join(dir, store.FileName)
	db := rawOpen(t, path)
	run(t, db, append([]string{seedEvents, seedAlerts}, statements...)...)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

var seedRows = []string{
	`INSERT INTO events VALUES (1, '2026-02-24T10:11:12.123456', 'router-1', 'info', 'plain', 'tcp_socket', '{"a":1}')`,
	`INSERT INTO events VALUES (2, '2026-02-24T10:11:12', 'router-1', 'warning', 'no fraction', 'http_api', NULL)`,
	`INSERT INTO events VALUES (3, '2026-02-24T10:11:12+00:00', 'router-2', 'error', 'offset', 'tcp_socket', '')`,
	`INSERT INTO events VALUES (4, '2026-02-24T12:11:12.5+02:00', 'router-2', 'critical', 'east', 'tcp_socket', 'raw')`,
	`INSERT INTO events VALUES (5, '2026-02-24T10:11:12.000001Z', 'router-3', 'CRIT', 'words', 'tcp_socket', NULL)`,
	`INSERT INTO events VALUES (6, '2026-02-24 10:11:12', 'router-3', 'apocalypse', 'unknown severity', 'tcp_socket', NULL)`,
	`INSERT INTO events VALUES (7, '2026-02-24 10:11:12.25', 'router-3', 'info', 'unknown channel', 'raw socket', 'kept as it is')`,
	`INSERT INTO events VALUES (9, '2026-02-24T10:11:12', 'ñ', 'info', 'unknown channel', 'carrier pigeon', NULL)`,
	`INSERT INTO email_alerts VALUES (1, 3, '2026-02-24T10:11:13.5', 'noc@example.net', 'sent', '250 ok')`,
	`INSERT INTO email_alerts VALUES (2, 4, '2026-02-24T10:11:13', NULL, 'skipped', 'not configured')`,
	`INSERT INTO email_alerts VALUES (3, 4, '2026-02-24T10:11:14', 'noc@example.net', 'Failed', NULL)`,
	`INSERT INTO email_alerts VALUES (4, 4, '2026-02-24T10:11:15', 'noc@example.net', 'bounced', 'no such user')`,
	`INSERT INTO email_alerts VALUES (5, 4, '2026-02-24T10:11:16', 'noc@example.net', 'pending', NULL)`,
	`DELETE FROM sqlite_sequence WHERE name = 'events'`, `INSERT INTO sqlite_sequence VALUES ('events', 12)`,
}

func TestOpen_takes_over_the_first_programs_database(t *testing.T) {
	dir := t.TempDir()
	path := seedDatabase(t, dir, seedRows...)
	s := open(t, dir)

	at := func(fraction int) time.Time { return time.Date(2026, 2, 24, 10, 11, 12, fraction, time.UTC) }
	page, err := s.Events(t.Context(), models.EventFilter{})
	if err != nil {
		t.Fatal(err)
	}
	wantEvents := []models.Event{
		{ID: 9, CreatedAt: at(0), Source: "ñ", Severity: "info", Message: "unknown channel", Channel: "http_api", RawPayload: `{"severity":"info","channel":"carrier pigeon"}`},
		{ID: 7, CreatedAt: at(250e6), Source: "router-3", Severity: "info", Message: "unknown channel", Channel: "tcp_socket", RawPayload: "kept as it is"},
		{ID: 6, CreatedAt: at(0), Source: "router-3", Severity: "info", Message: "unknown severity", Channel: "tcp_socket", RawPayload: `{"severity":"apocalypse","channel":"tcp_socket"}`},
		{ID: 5, CreatedAt: at(1e3), Source: "router-3", Severity: "critical", Message: "words", Channel: "tcp_socket"},
		{ID: 4, CreatedAt: at(500e6), Source: "router-2", Severity: "critical", Message: "east", Channel: "tcp_socket", RawPayload: "raw"},
		{ID: 3, CreatedAt: at(0), Source: "router-2", Severity: "error", Message: "offset", Channel: "tcp_socket"},
		{ID: 2, CreatedAt: at(0), Source: "router-1", Severity: "warning", Message: "no fraction", Channel: "http_api"},
		{ID: 1, CreatedAt: at(123456e3), Source: "router-1", Severity: "info", Message: "plain", Channel: "tcp_socket", RawPayload: `{"a":1}`},
	}
	if diff := cmp.Diff(wantEvents, page.Events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	alerts, err := s.EmailAlerts(t.Context(), models.EmailFilter{})
	if err != nil {
		t.Fatal(err)
	}
	later := func(seconds int) time.Time { return at(0).Add(time.Duration(seconds) * time.Second) }
	wantAlerts := []models.EmailAlert{
		{ID: 5, EventID: 4, CreatedAt: later(4), Channel: "email", Recipient: "noc@example.net", Status: "pending", NextAttemptAt: later(4), UpdatedAt: later(4)},
		{ID: 4, EventID: 4, CreatedAt: later(3), Channel: "email", Recipient: "noc@example.net", Status: "failed", Detail: "status bounced: no such user", UpdatedAt: later(3)},
		{ID: 3, EventID: 4, CreatedAt: later(2), Channel: "email", Recipient: "noc@example.net", Status: "failed", UpdatedAt: later(2)},
		{ID: 2, EventID: 4, CreatedAt: later(1), Channel: "email", Status: "skipped", Detail: "not configured", UpdatedAt: later(1)},
		{ID: 1, EventID: 3, CreatedAt: later(1).Add(500 * time.Millisecond), Channel: "email", Recipient: "noc@example.net", Status: "sent", Detail: "250 ok", UpdatedAt: later(1).Add(500 * time.Millisecond)},
	}
	if diff := cmp.Diff(wantAlerts, alerts); diff != "" {
		t.Errorf("email alerts (-want +got):\n%s", diff)
	}
	stats, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantStats := models.Stats{Events: 8, LastEventID: 9,
		Severity: map[models.Severity]int64{"info": 4, "warning": 1, "error": 1, "critical": 2},
		Channel:  map[models.Channel]int64{"tcp_socket": 6, "http_api": 2},
		Email:    map[models.EmailStatus]int64{"sent": 1, "skipped": 1, "failed": 2, "pending": 1, "digested": 0, "cancelled": 0},
		Webhook:  map[models.EmailStatus]int64{"sent": 0, "skipped": 0, "failed": 0, "pending": 0, "digested": 0, "cancelled": 0}}
	if diff := cmp.Diff(wantStats, stats); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
	receipts, err := s.InsertBatch(t.Context(), benchRecords(1))
	if err != nil || receipts[0].Event.ID != 13 {
		t.Errorf("the next id must never have been used: %+v, %v", receipts, err)
	}

	// The copy holds what the first program wrote, in its own words.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	backup := rawOpen(t, path+".before-v1")
	var count int
	var first string
	if err := backup.QueryRow("SELECT count(*), min(created_at) FROM events").Scan(&count, &first); err != nil || count != 8 || first != "2026-02-24 10:11:12" {
		t.Errorf("copy: %d events, first %q, %v", count, first, err)
	}
}

func TestOpen_backs_up_once_and_continues_a_migration_that_was_cut_off(t *testing.T) {
	dir := t.TempDir()
	path := seedDatabase(t, dir, seedRows...)
	// As after a first try that ended between the versions: its copy is there.
	copied := path + ".before-v1"
	if err := os.WriteFile(copied, []byte("the first copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	if stats, err := s.Stats(t.Context()); err != nil || stats.Events != 8 {
		t.Errorf("%+v, %v", stats, err)
	}
	if data, err := os.ReadFile(copied); err != nil || string(data) != "the first copy" {
		t.Errorf("the copy was replaced: %.20q, %v", data, err)
	}
}

func TestOpen_refuses_a_time_that_it_cannot_keep(t *testing.T) {
	for bad, words := range map[string]string{
		"yesterday":                     "cannot be read",
		"":                              "cannot be read",
		"1771927872":                    "cannot be read",
		"2026-02-30T10:11:12":           "cannot be read",
		"2026-02-24T10:11:12.123456789": "finer than a microsecond",
	} {
		for table, insert := range map[string]string{
			"events":       `INSERT INTO events VALUES (4711, '` + bad + `', 's', 'info', 'm', 'tcp_socket', NULL)`,
			"email_alerts": `INSERT INTO email_alerts VALUES (4711, 1, '` + bad + `', NULL, 'sent', NULL)`,
		} {
			t.Run(table+"/"+bad, func(t *testing.T) {
				dir := t.TempDir()
				path := seedDatabase(t, dir, append(append([]string{}, seedRows...), insert)...)
				before, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				refused(t, dir, store.ErrNotUsable, "row 4711 of "+table)
				refused(t, dir, store.ErrNotUsable, words)
				after, err := os.ReadFile(path)
				if err != nil || !bytes.Equal(before, after) {
					t.Errorf("the file changed: %v", err)
				}
				entries, err := os.ReadDir(dir)
				if err != nil || len(entries) != 2 {
					t.Errorf("left behind: %v, %v", entries, err)
				}
			})
		}
	}
}

func TestOpen_takes_over_a_database_whose_program_was_killed(t *testing.T) {
	dir := t.TempDir()
	path := seedDatabase(t, dir, seedRows...)
	// A transaction under way: the changed pages are in the file already, the
	// old ones in the journal. A copy of both is what a crash leaves.
	db := rawOpen(t, path)
	run(t, db, "PRAGMA cache_size=1", "BEGIN", "UPDATE events SET message = hex(randomblob(20000))")
	crashed := t.TempDir()
	for _, suffix := range []string{"", "-journal"} {
		data, err := os.ReadFile(path + suffix)
		if err != nil || len(data) == 0 {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
		if err := os.WriteFile(filepath.Join(crashed, store.FileName+suffix), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, db, "ROLLBACK")
	s := open(t, crashed)
	event, err := s.Event(t.Context(), 1)
	if err != nil || event.Message != "plain" || strings.Contains(event.Message, "X") {
		t.Errorf("%+v, %v", event, err)
	}
}
