package storetest

import (
	"testing"
	"time"

	"alerthub/models"
)

func saveCanary(t *testing.T, s Store, c models.Canary) models.Canary {
	t.Helper()
	saved, err := s.SaveCanary(t.Context(), c)
	if err != nil || saved.ID == 0 {
		t.Fatalf("SaveCanary(%+v): %+v, %v", c, saved, err)
	}
	return saved
}

func keptCanaries(t *testing.T, s Store) []models.Canary {
	t.Helper()
	list, err := s.Canaries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func canaries(t *testing.T, s Store) {
	same(t, "canaries of an empty store", []models.Canary(nil), keptCanaries(t, s))
	first := saveCanary(t, s, models.Canary{BegunAt: start, Stage: models.CanaryDoor})
	second := saveCanary(t, s, models.Canary{BegunAt: start.Add(time.Minute), Stage: models.CanaryDoor})
	same(t, "two that are under way", []models.Canary{second, first}, keptCanaries(t, s))
	first.EventID, first.Stage, first.EndedAt = 7, models.CanaryThrough, start.Add(time.Second)
	second.Stage, second.Detail, second.EndedAt = models.CanaryDelivered, "550 no such user ñ", start.Add(time.Hour)
	same(t, "the saved one", first, saveCanary(t, s, first))
	saveCanary(t, s, second)
	same(t, "both ended", []models.Canary{second, first}, keptCanaries(t, s))

	// The last that came through outlives those that failed since, once
	// another has come through it does not.
	var newest models.Canary
	for i := range 100 {
		newest = saveCanary(t, s, models.Canary{BegunAt: start.Add(time.Duration(i+2) * time.Minute), EndedAt: start.Add(24 * time.Hour), Stage: models.CanaryDoor, Detail: "refused"})
	}
	list := keptCanaries(t, s)
	if len(list) != 101 {
		t.Fatalf("%d canaries are kept, want 100 and the last that came through", len(list))
	}
	same(t, "the newest", newest, list[0])
	same(t, "the last that came through", first, list[100])
	newest.Stage, newest.Detail, newest.EventID = models.CanaryThrough, "", 9
	saveCanary(t, s, newest)
	if list = keptCanaries(t, s); len(list) != 100 || list[0] != newest || list[99].ID != newest.ID-99 {
		t.Errorf("%d canaries are kept, from %+v to %+v", len(list), list[0], list[len(list)-1])
	}
}
