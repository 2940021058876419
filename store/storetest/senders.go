package storetest

import (
	"fmt"
	"testing"
	"time"

	"alerthub/models"
)

func saveSenders(t *testing.T, s Store, list ...models.AnonymousSender) {
	t.Helper()
	if err := s.SaveSenders(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

func keptSenders(t *testing.T, s Store) []models.AnonymousSender {
	t.Helper()
	list, err := s.Senders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func senders(t *testing.T, s Store) {
	saveSenders(t, s)
	same(t, "senders of an empty store", []models.AnonymousSender(nil), keptSenders(t, s))
	a := models.AnonymousSender{Address: "192.0.2.1", FirstAt: start, LastAt: start, Events: 1, LastSource: "sw-ñ"}
	b := models.AnonymousSender{Address: "2001:db8::1", FirstAt: start, LastAt: start.Add(time.Hour), Events: 7, LastSource: "ups"}
	saveSenders(t, s, a, b)
	same(t, "both", []models.AnonymousSender{b, a}, keptSenders(t, s))
	a.LastAt, a.Events, a.LastSource = start.Add(2*time.Hour), 1<<40, "other"
	saveSenders(t, s, a)
	same(t, "one moved", []models.AnonymousSender{a, b}, keptSenders(t, s))

	many := make([]models.AnonymousSender, models.MaxSenders-1)
	for i := range many {
		many[i] = models.AnonymousSender{Address: fmt.Sprintf("10.0.%d.%d", i/256, i%256), FirstAt: start, LastAt: start.Add(24 * time.Hour), Events: 1}
	}
	saveSenders(t, s, many...)
	if list := keptSenders(t, s); len(list) != models.MaxSenders || list[len(list)-1] != a {
		t.Errorf("%d senders are kept, the last %+v", len(list), list[len(list)-1])
	}
}
