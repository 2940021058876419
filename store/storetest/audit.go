package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"alerthub/models"
)

func auditLog(t *testing.T, s Store, f models.AuditFilter) []models.AuditEntry {
	t.Helper()
	entries, err := s.AuditLog(t.Context(), f)
	if err != nil {
		t.Fatalf("AuditLog(%+v): %v", f, err)
	}
	return entries
}

func audit(t *testing.T, s Store) {
	same(t, "an empty log", []models.AuditEntry(nil), auditLog(t, s, models.AuditFilter{Limit: 10}))
	var want []models.AuditEntry // the newest first
	for i, e := range []models.AuditEntry{
		{Kind: models.ActorUser, Actor: "Ana", Address: "192.0.2.61", Action: models.AuditSignIn},
		{Kind: models.ActorUser, Actor: "Ana", Address: "192.0.2.61", Action: models.AuditAck, Object: "events 12", Detail: "#1 #2 …"},
		{Kind: models.ActorLocal, Action: models.AuditUserAdded, Object: "user zoë"},
		{Kind: models.ActorKey, Actor: "=cmd|' /C calc'!A0", Address: "2001:db8::1", Action: "something_new", Object: "\"quoted\", ñ", Detail: "a\r\nb\x00c"},
		{Kind: models.ActorUser, Actor: "ben", Action: models.AuditAck, Object: "event 7"},
	} {
		e.ID, e.At = int64(i+1), start.Add(time.Duration(i)*time.Second)
		if err := s.AddAudit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		want = slices.Insert(want, 0, e)
	}
	for _, test := range []struct {
		filter models.AuditFilter
		want   []int64
	}{
		{models.AuditFilter{Limit: 10}, []int64{5, 4, 3, 2, 1}},
		{models.AuditFilter{Limit: 2}, []int64{5, 4}},
		{models.AuditFilter{Limit: 2, Before: 4}, []int64{3, 2}},
		{models.AuditFilter{Limit: 10, Before: 1}, nil},
		{models.AuditFilter{Limit: 10, Actor: "aNA"}, []int64{2, 1}},
		{models.AuditFilter{Limit: 10, Action: models.AuditAck}, []int64{5, 2}},
		{models.AuditFilter{Limit: 10, Action: models.AuditAck, Actor: "ana", Before: 5}, []int64{2}},
		{models.AuditFilter{Limit: 10, Actor: "nobody"}, nil},
	} {
		var lines []models.AuditEntry
		for _, id := range test.want {
			lines = append(lines, want[len(want)-int(id)])
		}
		same(t, fmt.Sprintf("%+v", test.filter), lines, auditLog(t, s, test.filter))
	}
}
