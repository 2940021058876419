package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"gorm.io/gorm"

	"alerthub/models"
)

// plan is SQLite's plan of what a query of events asks.
func plan(t *testing.T, s *Store, query *gorm.DB) string {
	t.Helper()
	sql := s.gormR.ToSQL(func(*gorm.DB) *gorm.DB {
		return query.Session(&gorm.Session{DryRun: true}).Order("id DESC").Limit(10).Find(&[]eventRow{})
	})
	rows, err := s.reader.Query("EXPLAIN QUERY PLAN " + sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	return strings.Join(steps, "; ")
}

// TestUnacked_is_read_from_its_index: in the order of ids, without a sort,
// whatever else is asked.
func TestUnacked_is_read_from_its_index(t *testing.T) {
	s := openStore(t)
	for severity := range unackedTerms {
		for name, f := range map[string]models.EventFilter{
			"alone": {}, "all conditions": {From: time.Now(), To: time.Now(), Channels: models.Channels(), Source: "a", Text: "b"},
		} {
			query, _ := conditions(s.unacked(t.Context(), severity).Where("id > ? AND id <= ?", 5, 4711), f)
			got := plan(t, s, query)
			if !strings.Contains(got, "USING INDEX events_unacked_"+string(severity)) || strings.Contains(got, "TEMP B-TREE") {
				t.Errorf("%s, %s: %s", severity, name, got)
			}
		}
	}
	if got := plan(t, s, s.gormR.Where("acked_at IS NULL AND severity >= 'critical'")); strings.Contains(got, "USING INDEX") {
		t.Errorf("an index of fewer rows than asked for: %s", got)
	}
}

// rollups reads the whole table, as "minute kind n".
func rollups(t *testing.T, db *sql.DB) []string {
	t.Helper()
	list, err := texts(context.Background(), db, "SELECT minute || ' ' || kind || ' ' || n FROM rollups ORDER BY minute, kind")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// spread are records each some minutes before the one before.
func spread(n int, end time.Time, step time.Duration) []models.Record {
	records := someRecords(n, 0)
	for i := range records {
		records[i].ReceivedAt = end.Add(-time.Duration(i) * step)
		if i%2 == 0 {
			records[i].Alerts = []models.NewAlert{{Status: models.EmailPending}}
		}
	}
	return records
}

func week(t *testing.T, s *Store, now time.Time) [2]models.Series {
	t.Helper()
	var both [2]models.Series
	for i, w := range []models.Window{models.Range7d.Window(now), models.Range7d.Window(now).Before()} {
		var err error
		if both[i], err = s.Series(context.Background(), w); err != nil {
			t.Fatal(err)
		}
	}
	return both
}

func TestFold_keeps_every_sum(t *testing.T) {
	s := openStore(t)
	now := time.Now().UTC()
	receipts, err := s.InsertBatch(t.Context(), spread(900, now, 11*time.Minute)) // nearly 7 days
	if err != nil {
		t.Fatal(err)
	}
	// An outcome of an email whose minute is folded, then one before that.
	finish := func(i int) {
		t.Helper()
		u := models.AlertUpdate{ID: receipts[i].Alerts[0].ID, Status: models.EmailSent, At: now}
		if _, err := s.FinishAlert(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	finish(800)
	before := week(t, s, now)
	from := int64(0)
	for range 20 {
		if from, err = s.fold(t.Context(), from, now); err != nil {
			t.Fatal(err)
		}
	}
	end := halfHour(minuteOf(now.Add(-models.RollupFold)))
	if from < end {
		t.Errorf("folded up to %d only, not %d", from, end)
	}
	if diff := cmp.Diff(before, week(t, s, now)); diff != "" {
		t.Errorf("the series changed (-before +after):\n%s", diff)
	}
	minutes, coarse := 0, 0
	for _, row := range rollups(t, s.reader) {
		var minute int64
		if _, err := fmt.Sscan(row, &minute); err != nil {
			t.Fatal(err)
		}
		switch {
		case minute%rollupMinutes == 0 && minute < end:
			coarse++
		case minute < end:
			t.Errorf("not folded: %s", row)
		default:
			minutes++
		}
	}
	if minutes < 200 || coarse < 200 {
		t.Errorf("too little was looked at: %d rows of minutes, %d of half-hours", minutes, coarse)
	}
	finish(820)
	kept := week(t, s, now)
	if kept[0].Total().Email[0] != 2 {
		t.Errorf("%d emails are counted as sent", kept[0].Total().Email[0])
	}
	// What is in memory is what a start reads.
	if err := s.recent.load(t.Context(), s.reader, now); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(kept, week(t, s, now)); diff != "" {
		t.Errorf("memory differs from the table (-memory +table):\n%s", diff)
	}
}

func TestKeeper_folds_at_a_lull(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(context.Background(), Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		at := time.Now().Truncate(time.Hour).Add(-models.RollupFold - time.Minute) // xx:59, its half-hour just over
		if _, err := s.InsertBatch(context.Background(), spread(2, at, time.Minute)); err != nil {
			t.Fatal(err)
		}
		half := halfHour(minuteOf(at))
		time.Sleep(3 * keeperTick)
		synctest.Wait()
		want := []string{fmt.Sprintf("%d email:pending 1", half), fmt.Sprintf("%d error:tcp_socket 2", half)}
		if diff := cmp.Diff(want, rollups(t, s.reader)); diff != "" {
			t.Errorf("rollups (-want +got):\n%s", diff)
		}
		time.Sleep((idleTicks + 2) * keeperTick)
		synctest.Wait()
		if n := s.logSize(); n != 0 {
			t.Errorf("the log has %d bytes", n)
		}
	})
}

func TestRecent_forgets_what_no_range_asks_for(t *testing.T) {
	s := openStore(t)
	now := time.Now()
	if _, err := s.InsertBatch(t.Context(), spread(3, now, 24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	s.recent.forget(now.Add(recentSpan - 36*time.Hour))
	if n := len(s.recent.minute); n != 2 {
		t.Errorf("%d minutes are kept", n)
	}
	// What memory has forgotten is read from the table.
	got, err := s.Series(t.Context(), models.Window{From: now.Add(-72 * time.Hour).Truncate(time.Hour), To: now.Add(time.Hour), Step: time.Hour})
	if total := got.Total(); err != nil || total.Events() != 3 {
		t.Errorf("%d events, %v", total.Events(), err)
	}
}

// TestOpen_migrates_our_own_earlier_schema: with a backup, and kept counts
// that equal those of a database that had them from the start.
func TestOpen_migrates_our_own_earlier_schema(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	records := spread(700, now, 7*time.Minute) // beyond 48 hours
	for i := range records {
		records[i].Severity = models.Severities()[i%4]
		records[i].ReceivedAt = records[i].ReceivedAt.Truncate(time.Minute).Add(time.Minute - time.Microsecond) // never the next minute
		if i%2 == 0 {
			records[i].Alerts = []models.NewAlert{{Status: models.EmailSkipped}}
		}
	}
	fresh := openStore(t)
	if _, err := fresh.InsertBatch(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	for from := int64(0); from < halfHour(minuteOf(now.Add(-models.RollupFold))); {
		var err error
		if from, err = fresh.fold(t.Context(), from, now); err != nil {
			t.Fatal(err)
		}
	}

	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := makeFile(path); err != nil {
		t.Fatal(err)
	}
	old, err := openWriter(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrateTo(t.Context(), old, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Exec("DELETE FROM counters"); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"counters", "events", "email_alerts"} {
		copyRows(t, fresh.reader, old, table)
	}
	if _, err := old.Exec("DELETE FROM counters WHERE name LIKE 'unacked:%'"); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := os.Stat(path + ".before-v4"); err != nil {
		t.Errorf("no backup: %v", err)
	}
	if diff := cmp.Diff(rollups(t, fresh.reader), rollups(t, s.reader)); diff != "" {
		t.Errorf("rollups (-kept +migrated):\n%s", diff)
	}
	want, err1 := fresh.Attention(t.Context(), 10)
	got, err2 := s.Attention(t.Context(), 10)
	if err1 != nil || err2 != nil || got.Critical != 175 || got.Errors != 175 {
		t.Errorf("%d critical, %d errors, %v, %v", got.Critical, got.Errors, err1, err2)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attention (-kept +migrated):\n%s", diff)
	}
	if diff := cmp.Diff(week(t, fresh, now), week(t, s, now)); diff != "" {
		t.Errorf("series (-kept +migrated):\n%s", diff)
	}
}

// A database of the schema before contacts keeps its emails, which are mails
// to nobody's name, and takes new ones with a contact.
func TestOpen_gives_older_emails_their_channel(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := makeFile(path); err != nil {
		t.Fatal(err)
	}
	old, err := openWriter(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrateTo(t.Context(), old, 5); err != nil {
		t.Fatal(err)
	}
	const at = "2026-02-24T10:11:12.000000Z"
	for _, sql := range []string{
		"INSERT INTO events (id, created_at, source, severity, message, channel) VALUES (1, '" + at + "', 'ups-1', 'critical', 'on battery', 'tcp_socket')",
		"INSERT INTO email_alerts (id, event_id, created_at, recipient, status, next_attempt_at, updated_at) VALUES (1, 1, '" + at + "', 'noc@example.net', 'pending', '" + at + "', '" + at + "')",
		"INSERT INTO email_alerts (id, event_id, created_at, status, detail, updated_at) VALUES (2, 1, '" + at + "', 'skipped', 'why', '" + at + "')",
	} {
		if _, err := old.Exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := os.Stat(path + ".before-v6"); err != nil {
		t.Errorf("no backup: %v", err)
	}
	record := spread(1, time.Now(), time.Minute)[0]
	record.Alerts = []models.NewAlert{{Contact: "guardia ñ", Recipient: "oncall@example.net", Status: models.EmailPending}}
	if _, err := s.InsertBatch(t.Context(), []models.Record{record}); err != nil {
		t.Fatal(err)
	}
	waiting, _, err := s.Waiting(t.Context(), models.Lane{Channel: models.DeliveryEmail}, 0, 9)
	if err != nil || len(waiting) != 2 || waiting[0].ID != 1 || waiting[0].Contact != "" {
		t.Errorf("the older email waits as %+v, %v", waiting, err)
	}
	alerts, err := s.EmailAlerts(t.Context(), models.EmailFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var got [][3]string
	for _, a := range alerts {
		got = append(got, [3]string{a.Recipient, a.Contact, a.Channel})
	}
	want := [][3]string{{"oncall@example.net", "guardia ñ", "email"}, {"", "", "email"}, {"noc@example.net", "", "email"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("emails (-want +got):\n%s", diff)
	}
}

// copyRows copies what both databases have of a table.
func copyRows(t *testing.T, from, to *sql.DB, table string) {
	t.Helper()
	columns, err := texts(t.Context(), to, "SELECT name FROM pragma_table_info(?)", table)
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Join(columns, ", ")
	rows, err := from.Query("SELECT " + names + " FROM " + table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		insert := "INSERT INTO " + table + " (" + names + ") VALUES (" + strings.Join(slices.Repeat([]string{"?"}, len(columns)), ", ") + ")"
		if _, err := to.Exec(insert, values...); err != nil {
			t.Fatal(err)
		}
	}
}

// Few pending emails are found by their index and sorted; a whole outage's are
// met on the way down the ids. Both tell the same.
func TestEmailAlerts_of_an_outage_need_no_sorting(t *testing.T) {
	s := openStore(t)
	list := func() []int64 {
		t.Helper()
		alerts, err := s.EmailAlerts(t.Context(), models.EmailFilter{Status: models.EmailPending, Limit: 5})
		if err != nil {
			t.Fatal(err)
		}
		ids := make([]int64, len(alerts))
		for i := range alerts {
			ids[i] = alerts[i].ID
		}
		return ids
	}
	records := someRecords(manyPending+10, 1)
	for i := range records {
		records[i].Alerts = []models.NewAlert{{Recipient: "noc@example.net", Status: models.EmailPending}}
	}
	if _, err := s.InsertBatch(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	last := int64(len(records))
	now := time.Now()
	finish := func(id int64, status models.EmailStatus, next time.Time) {
		t.Helper()
		if _, err := s.FinishAlert(t.Context(), models.AlertUpdate{ID: id, Status: status, NextAttemptAt: next, Attempts: 1, At: now}); err != nil {
			t.Fatal(err)
		}
	}
	finish(last-1, models.EmailSent, time.Time{})
	finish(last-2, models.EmailPending, now.Add(time.Hour)) // later, and yet in its place
	want := []int64{last, last - 2, last - 3, last - 4, last - 5}
	if diff := cmp.Diff(want, list()); diff != "" {
		t.Errorf("of many (-want +got):\n%s", diff)
	}
	for id := last - 10; id > 0; id-- {
		finish(id, models.EmailFailed, time.Time{})
	}
	if diff := cmp.Diff(want, list()); diff != "" {
		t.Errorf("of few (-want +got):\n%s", diff)
	}
}
