package access

import (
	"context"
	"fmt"

	"alerthub/models"
)

// Record writes into the audit log what the actor of ctx has done, to what,
// and what else there is to say. A log that cannot be written stops nobody:
// the error, which is logged, wraps models.ErrUnavailable or is the context's.
func (s *Service) Record(ctx context.Context, action models.AuditAction, object, detail string) error {
	actor := models.ActorOf(ctx)
	err := s.store.AddAudit(ctx, models.AuditEntry{
		At: s.now(), Kind: actor.Kind, Actor: actor.Name, Address: actor.Address, Action: action, Object: object, Detail: detail,
	})
	if err != nil {
		s.cfg.Logger.Error("not in the audit log", "action", action, "object", object, "error", err)
		return fmt.Errorf("record %s: %w", action, err)
	}
	return nil
}

// AuditLog is what Record has written, the newest first.
func (s *Service) AuditLog(ctx context.Context, f models.AuditFilter) ([]models.AuditEntry, error) {
	return s.store.AuditLog(ctx, f)
}
