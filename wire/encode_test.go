package wire_test

import (
	"errors"
	"testing"
	"time"

	"alerthub/models"
	"alerthub/wire"
)

// The feed's events keep their members until somebody acknowledges them; the
// API's have all of them always.
func TestEvent_AcknowledgementIsTold(t *testing.T) {
	at := time.Date(2026, 11, 23, 18, 30, 0, 123456000, time.UTC)
	event := models.Event{ID: 7, CreatedAt: at, Source: "a", Severity: "error", Message: "m", Channel: "tcp_socket"}
	const members = `{"id":7,"created_at":"2026-11-23T18:30:00.123456Z","source":"a","severity":"error","message":"m","channel":"tcp_socket","raw_payload":null`
	acked := event
	acked.AckedAt, acked.AckedBy, acked.AckedPeer, acked.AckedVerified = at.Add(time.Second), "Ana", "192.0.2.9", true
	const told = `,"acked_at":"2026-11-23T18:30:01.123456Z","acked_by":"Ana","acked_verified":true}`
	for name, tt := range map[string]struct {
		shown any
		want  string
	}{
		"new, in the API":       {wire.FromEvent(event), members + `,"acked_at":null,"acked_by":null,"acked_verified":false}`},
		"new, in the feed":      {wire.FeedEvent(wire.FromEvent(event)), members + `}`},
		"acknowledged, API":     {wire.FromEvent(acked), members + told},
		"acknowledged, in feed": {wire.FeedEvent(wire.FromEvent(acked)), members + told},
	} {
		if got, err := wire.Marshal(tt.shown); err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v\nwant %s", name, got, err, tt.want)
		}
	}
}

func TestAttempts_AreTold(t *testing.T) {
	at := time.Date(2026, 11, 23, 18, 30, 0, 123456000, time.UTC)
	got, err := wire.Marshal(wire.FromAttempts([]models.Attempt{
		{At: at, Status: models.EmailPending, Detail: "451 later", NextAttemptAt: at.Add(time.Minute)},
		{At: at.Add(time.Minute), Status: models.EmailSent},
	}))
	const want = `[{"at":"2026-11-23T18:30:00.123456Z","status":"pending","detail":"451 later","next_attempt_at":"2026-11-23T18:31:00.123456Z"},` +
		`{"at":"2026-11-23T18:31:00.123456Z","status":"sent","detail":null,"next_attempt_at":null}]`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
	if none, err := wire.Marshal(wire.FromAttempts(nil)); string(none) != "[]" || err != nil {
		t.Errorf("none: %s, %v", none, err)
	}
}

func TestDecodeCancellation(t *testing.T) {
	for body, want := range map[string]struct {
		sel models.Cancellation
		by  string
	}{
		`{"contact":"noc","source":"sw-1","by":"Ana","more":[1]}`: {models.Cancellation{Contact: "noc", Source: "sw-1"}, "Ana"},
		" {\"source\":\"\xff\"}\n":                                {models.Cancellation{Source: "\uFFFD"}, ""},
		`{"contact":null,"Source":"x"}`:                           {},
		`{}`:                                                      {},
	} {
		if sel, by, err := wire.DecodeCancellation([]byte(body)); sel != want.sel || by != want.by || err != nil {
			t.Errorf("%s: %+v by %q, %v", body, sel, by, err)
		}
	}
	for body, field := range map[string]string{
		`{"contact":1}`: "contact", `{"source":[]}`: "source", `{"by":{}}`: "by", `{"by":"a","by":"b"}`: "", `{`: "", ``: "", `[]`: "", `"noc"`: "",
	} {
		_, _, err := wire.DecodeCancellation([]byte(body))
		var wrong *models.FieldError
		if errors.As(err, &wrong) != (field != "") || field != "" && wrong.Field != field || field == "" && !errors.Is(err, models.ErrInvalidJSON) {
			t.Errorf("%s: %v, want one about %q", body, err, field)
		}
	}
}
