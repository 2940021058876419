package wire_test

import (
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
	acked.AckedAt, acked.AckedBy, acked.AckedPeer = at.Add(time.Second), "Ana", "192.0.2.9"
	const told = `,"acked_at":"2026-11-23T18:30:01.123456Z","acked_by":"Ana"}`
	for name, tt := range map[string]struct {
		shown any
		want  string
	}{
		"new, in the API":       {wire.FromEvent(event), members + `,"acked_at":null,"acked_by":null}`},
		"new, in the feed":      {wire.FeedEvent(wire.FromEvent(event)), members + `}`},
		"acknowledged, API":     {wire.FromEvent(acked), members + told},
		"acknowledged, in feed": {wire.FeedEvent(wire.FromEvent(acked)), members + told},
	} {
		if got, err := wire.Marshal(tt.shown); err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v\nwant %s", name, got, err, tt.want)
		}
	}
}
