package views

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

// said is an event in few words.
func said(id int64, message string, after time.Duration) models.Event {
	return models.Event{ID: id, Source: "a", Severity: models.SeverityError, Message: message, CreatedAt: at.Truncate(time.Minute).Add(after)}
}

func TestGroup(t *testing.T) {
	critical := said(1, "x", 0)
	critical.Severity = models.SeverityCritical
	other := said(1, "x", 0)
	other.Source = "b"
	byHTTP := said(1, "x", 0)
	byHTTP.Channel = models.ChannelHTTP
	for name, test := range map[string]struct {
		events []models.Event
		limit  int
		want   string
	}{
		"nothing":                      {nil, 9, ""},
		"a repeat is counted":          {[]models.Event{said(3, "x", 59*time.Second), said(2, "y", 1), said(1, "x", 0)}, 9, "3×2 2×1 "},
		"another minute is another":    {[]models.Event{said(2, "x", time.Minute), said(1, "x", 59*time.Second)}, 9, "2×1 1×1 "},
		"another severity is another":  {[]models.Event{said(2, "x", 0), critical}, 9, "2×1 1×1 "},
		"another source is another":    {[]models.Event{said(2, "x", 0), other}, 9, "2×1 1×1 "},
		"the channel does not matter":  {[]models.Event{said(2, "x", 0), byHTTP}, 9, "2×2 "},
		"an older page holds the rest": {[]models.Event{said(4, "x", 3), said(3, "y", 2), said(2, "z", 1), said(1, "x", 0)}, 2, "4×1 3×1 "},
		"rows that would be too many":  {[]models.Event{said(2, "x", 0), said(1, "y", 0)}, 1, "2×1 "},
		"texts that only run together": {[]models.Event{{ID: 2, Source: "a", Message: "bc"}, {ID: 1, Source: "ab", Message: "c"}}, 9, "2×1 1×1 "},
	} {
		got := ""
		for _, r := range Group(test.events, nil, test.limit) {
			got += fmt.Sprintf("%d×%d ", r.Event.ID, r.N)
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

// Rows that Group would put together have one name, others have not.
func TestGroupName_isThatOfTheGroup(t *testing.T) {
	events := []models.Event{
		said(4, "x", 59*time.Second), said(3, "x", 0), said(2, "x", time.Minute), said(1, "y", 0),
		{Source: "a", Message: "bc"}, {Source: "ab", Message: "c"},
	}
	for i := range events {
		for j := range events {
			if same, want := groupName(&events[i]) == groupName(&events[j]), KeyOf(&events[i]) == KeyOf(&events[j]); same != want {
				t.Errorf("%d and %d: one name %v, one group %v", i, j, same, want)
			}
		}
	}
}

func TestGroup_bringsTheMail(t *testing.T) {
	rows := Group([]models.Event{said(2, "x", 0), said(1, "y", 0)}, map[int64]models.EmailStatus{1: models.EmailSent}, 9)
	if rows[0].Mail != "" || rows[1].Mail != models.EmailSent {
		t.Errorf("got %q and %q", rows[0].Mail, rows[1].Mail)
	}
}

func TestMailByEvent_isTheGravest(t *testing.T) {
	var alerts []models.EmailAlert
	for id, statuses := range map[int64][]models.EmailStatus{
		1: {"sent", "failed", "pending"}, 2: {"skipped", "pending", "sent"}, 3: {"sent", "skipped"}, 4: {"sent"},
	} {
		for _, st := range statuses {
			alerts = append(alerts, models.EmailAlert{EventID: id, Status: st})
		}
	}
	want := map[int64]models.EmailStatus{1: "failed", 2: "pending", 3: "skipped", 4: "sent"}
	if diff := cmp.Diff(want, MailByEvent(alerts)); diff != "" {
		t.Error(diff)
	}
}
