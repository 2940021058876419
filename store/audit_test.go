package store

import (
	"strings"
	"testing"
	"time"

	"alerthub/models"
)

// Whoever has the database's own connection cannot change the audit log either.
func TestAuditLog_IsNeverEdited(t *testing.T) {
	s := openStore(t)
	entry := models.AuditEntry{At: time.Unix(1772366400, 0).UTC(), Kind: models.ActorUser, Actor: "ana", Action: models.AuditSignIn}
	if err := s.AddAudit(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"UPDATE audit_log SET actor = 'ben'", "UPDATE audit_log SET id = 9", "DELETE FROM audit_log", "DELETE FROM audit_log WHERE id = 1",
		"REPLACE INTO audit_log (id, created_at, kind, actor, address, action, object, detail) VALUES (1, '', '', 'ben', '', '', '', '')",
	} {
		if _, err := s.writer.ExecContext(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "audit") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	entry.ID = 1
	if entries, err := s.AuditLog(t.Context(), models.AuditFilter{Limit: 10}); err != nil || len(entries) != 1 || entries[0] != entry {
		t.Errorf("the log is %+v, %v", entries, err)
	}
}
