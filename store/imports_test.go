package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
	"alerthub/store"
)

// live stores events one second apart, a critical, an info, and so on.
func live(t *testing.T, s *store.Store, n int) (ids []int64) {
	t.Helper()
	for i := range n {
		severity := []models.Severity{models.SeverityCritical, models.SeverityInfo}[i%2]
		receipts, err := s.InsertBatch(t.Context(), []models.Record{{
			Draft:      models.Draft{Source: "live", Severity: severity, Message: fmt.Sprint(i), Channel: models.ChannelTCP},
			ReceivedAt: time.Now().UTC().Truncate(time.Microsecond),
		}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, receipts[0].Event.ID)
	}
	return ids
}

// history are events of old with these ids, every third acknowledged, all of
// them unacknowledged errors besides.
func history(ids ...int64) (events []models.Event, emails []models.EmailAlert) {
	at := time.Date(2025, 3, 1, 12, 0, 0, 123456000, time.UTC)
	for i, id := range ids {
		e := models.Event{
			ID: id, CreatedAt: at.Add(time.Duration(id) * time.Second), Source: "old", Severity: models.SeverityError,
			Message: fmt.Sprintf("ñ %d", id), Channel: models.ChannelHTTP, RawPayload: "{}", Peer: "192.0.2.1",
		}
		if i%3 == 2 {
			e.AckedAt, e.AckedBy, e.AckedPeer, e.AckedVerified = e.CreatedAt.Add(time.Minute), "Ana", "192.0.2.2", true
		}
		events = append(events, e)
		emails = append(emails, models.EmailAlert{
			ID: id, EventID: id, CreatedAt: e.CreatedAt, UpdatedAt: e.CreatedAt.Add(time.Second),
			Contact: []string{"", "noc"}[i%2], Channel: models.DeliveryEmail,
			Recipient: "noc@example.net", Status: models.EmailSent, Detail: "250 ok", Attempts: 1,
		})
	}
	return events, emails
}

func begin(t *testing.T, s *store.Store, ids ...int64) models.ImportPlan {
	t.Helper()
	plan, err := s.BeginImport(t.Context(), models.Import{Token: fmt.Sprint("T", time.Now().UnixNano()), Name: "f.json", Events: int64(len(ids)), From: time.Now(), To: time.Now()}, ids, ids)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// renumber gives rows their final ids.
func renumber(plan models.ImportPlan, events []models.Event, emails []models.EmailAlert) {
	for i := range events {
		events[i].ID = plan.Events.ID(events[i].ID)
		emails[i].ID, emails[i].EventID = plan.Emails.ID(emails[i].ID), plan.Events.ID(emails[i].EventID)
	}
}

// seen is everything that the reads of the store show.
type seen struct {
	Events, After, ByID, Unacked []int64
	Emails                       int
	Stats                        models.Stats
	Attention                    models.Attention
	Old                          models.Counts
	Missing                      []int64 // ids that Event does not know
}

func look(t *testing.T, s *store.Store, ids []int64) (v seen) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	list := func(events []models.Event) (out []int64) {
		for _, e := range events {
			out = append(out, e.ID)
		}
		return out
	}
	page, err := s.Events(ctx, models.EventFilter{Limit: 1000})
	must(err)
	v.Events = list(page.Events)
	page, err = s.Events(ctx, models.EventFilter{Limit: 1000, Severities: models.Severities()})
	must(err)
	if diff := cmp.Diff(v.Events, list(page.Events)); diff != "" {
		t.Errorf("searched and listed differ (-listed +searched):\n%s", diff)
	}
	page, err = s.Events(ctx, models.EventFilter{Limit: 1000, Unacked: true})
	must(err)
	v.Unacked = list(page.Events)
	events, err := s.EventsAfter(ctx, 0, 1000)
	must(err)
	v.After = list(events)
	events, err = s.EventsByID(ctx, ids)
	must(err)
	v.ByID = list(events)
	emails, err := s.EmailAlerts(ctx, models.EmailFilter{Limit: 1000})
	must(err)
	v.Emails = len(emails)
	v.Stats, err = s.Stats(ctx)
	must(err)
	v.Attention, err = s.Attention(ctx, 100)
	must(err)
	series, err := s.Series(ctx, models.Window{From: time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2025, 3, 2, 0, 0, 0, 0, time.UTC), Step: time.Hour})
	must(err)
	v.Old = series.Total()
	for _, id := range ids {
		if _, err := s.Event(ctx, id); errors.Is(err, models.ErrNotFound) {
			v.Missing = append(v.Missing, id)
		}
	}
	return v
}

// TestImport_InvisibleUntilFinished: no read shows any of it before, all of
// them afterwards, and live events keep coming with larger ids.
func TestImport_InvisibleUntilFinished(t *testing.T) {
	s := open(t, t.TempDir())
	ids := live(t, s, 4)
	wanted := []int64{2, 3, 7, 8, 9, 500} // two taken, four free
	plan := begin(t, s, wanted...)
	if diff := cmp.Diff(models.ImportPlan{ID: 1, Events: models.Numbering{Taken: []int64{2, 3}, Base: 500}, Emails: models.Numbering{Base: 500}}, plan); diff != "" {
		t.Fatalf("plan (-want +got):\n%s", diff)
	}
	later := live(t, s, 1)
	if later[0] != 503 {
		t.Errorf("a live event got %d, want the first id behind all that are reserved", later[0])
	}
	events, emails := history(wanted...)
	renumber(plan, events, emails)
	final := []int64{501, 502, 7, 8, 9, 500}
	before := look(t, s, final)
	if err := s.ImportRows(t.Context(), plan.ID, events[:3], emails[:1]); err != nil {
		t.Fatal(err)
	}
	if err := s.ImportRows(t.Context(), plan.ID, events[3:], emails[1:]); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, look(t, s, final)); diff != "" {
		t.Errorf("an unfinished import shows (-before +now):\n%s", diff)
	}
	if after, err := s.EventsAfter(t.Context(), 4, 10); err != nil || len(after) != 1 || after[0].ID != 503 {
		t.Errorf("after the last event before the import: %v, %v", after, err)
	}
	ack := models.Ack{By: "Bo", At: time.Now()}
	if changed, err := s.Acknowledge(t.Context(), final, ack); err != nil || len(changed) > 0 {
		t.Errorf("acknowledged what nobody sees: %v, %v", changed, err)
	}
	if err := s.FinishImport(t.Context(), plan.ID); err != nil {
		t.Fatal(err)
	}
	now := look(t, s, final)
	all := slices.Concat(ids, later, final)
	slices.Sort(all)
	if diff := cmp.Diff(all, now.After); diff != "" {
		t.Errorf("events after the import (-want +got):\n%s", diff)
	}
	if slices.Reverse(all); !cmp.Equal(all, now.Events) || len(now.Missing) > 0 {
		t.Errorf("listed %v, missing %v, want %v", now.Events, now.Missing, all)
	}
	if now.Emails != 6 || now.Stats.Email[models.EmailSent] != 6 || now.Stats.Events != 11 || now.Stats.LastEventID != 503 {
		t.Errorf("%d emails, %+v", now.Emails, now.Stats)
	}
	if n := now.Attention; n.Errors != 4 || n.Critical != 3 || len(n.Events) != 7 {
		t.Errorf("attention %d errors, %d criticals, %d events; want 4, 3, 7", n.Errors, n.Critical, len(n.Events))
	}
	if now.Old.Events() != 6 || now.Old.Severity(models.SeverityError) != 6 || now.Old.Email[0] != 6 {
		t.Errorf("the rollups count %+v", now.Old)
	}
	got, err := s.Event(t.Context(), 9)
	if diff := cmp.Diff(events[4], got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestImport_RemovedLeavesNothing: also after a restart in the middle.
func TestImport_RemovedLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	live(t, s, 3)
	var ids []int64
	for id := range int64(1200) {
		ids = append(ids, id+1)
	}
	plan := begin(t, s, ids...)
	before := look(t, s, nil)
	events, emails := history(ids...)
	renumber(plan, events, emails)
	if err := s.ImportRows(t.Context(), plan.ID, events, emails); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if diff := cmp.Diff(before, look(t, s, nil)); diff != "" {
		t.Errorf("after a restart it shows (-before +now):\n%s", diff)
	}
	if _, err := s.BeginImport(t.Context(), models.Import{Token: "second"}, nil, nil); !errors.Is(err, models.ErrImporting) {
		t.Errorf("a second import beside it: %v, want ErrImporting", err)
	}
	id, err := s.UnfinishedImport(t.Context())
	if err != nil || id != plan.ID {
		t.Fatalf("unfinished: %d, %v", id, err)
	}
	if err := s.RemoveImport(t.Context(), id, "stopped"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, look(t, s, nil)); diff != "" {
		t.Errorf("after its removal it shows (-before +now):\n%s", diff)
	}
	if rest, err := s.ImportedIDs(t.Context(), id, 0, 10); err != nil || len(rest) > 0 {
		t.Errorf("rows left: %v, %v", rest, err)
	}
	if err := s.RemoveImport(t.Context(), id, "again"); err == nil {
		t.Error("removed an import that does not run")
	}
	// What was reserved stays unused; the next import finds its ids free.
	if plan := begin(t, s, 100, 101); len(plan.Events.Taken) != 0 {
		t.Errorf("the ids of a removed import are taken: %+v", plan)
	}
}

// TestImport_IntoAnEmptyHub keeps every id, and the next event follows them.
func TestImport_IntoAnEmptyHub(t *testing.T) {
	s := open(t, t.TempDir())
	plan := begin(t, s, 40, 41, 42)
	events, emails := history(42, 41, 40) // newest first
	if renumber(plan, events, emails); events[0].ID != 42 {
		t.Fatalf("renumbered to %d", events[0].ID)
	}
	if err := s.ImportRows(t.Context(), plan.ID, events, emails); err != nil {
		t.Fatal(err)
	}
	if page, err := s.Events(t.Context(), models.EventFilter{}); err != nil || len(page.Events) > 0 {
		t.Errorf("visible before the end: %v, %v", page, err)
	}
	if err := s.FinishImport(t.Context(), plan.ID); err != nil {
		t.Fatal(err)
	}
	if got := live(t, s, 1); got[0] != 43 {
		t.Errorf("the next event got %d, want 43", got[0])
	}
	id, err := s.UnindexedImport(t.Context())
	if err != nil || id != plan.ID {
		t.Errorf("to index: %d, %v", id, err)
	}
	if ids, err := s.ImportedIDs(t.Context(), id, 40, 10); err != nil || !cmp.Equal(ids, []int64{41, 42}) {
		t.Errorf("ids of the import: %v, %v", ids, err)
	}
	if err := s.ImportIndexed(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if id, err := s.UnindexedImport(t.Context()); err != nil || id != 0 {
		t.Errorf("to index again: %d, %v", id, err)
	}
}

// TestImport_FailedWrite: a row that cannot be written leaves its batch out.
func TestImport_FailedWrite(t *testing.T) {
	s := open(t, t.TempDir())
	plan := begin(t, s, 1, 2)
	events, emails := history(1, 2)
	events[1].ID = 1 // twice: no such plan, but a fault in the middle of a transaction
	err := s.ImportRows(t.Context(), plan.ID, events, emails)
	if !errors.Is(err, models.ErrUnavailable) {
		t.Errorf("wrote an id twice: %v", err)
	}
	if live(t, s, 1)[0] != 3 {
		t.Error("the hub does not go on as before")
	}
	if err := s.RemoveImport(t.Context(), plan.ID, "events 1 to 2"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.ImportRows(ctx, plan.ID, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("after a cancel: %v", err)
	}
}
