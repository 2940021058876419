package access

import (
	"context"
	"fmt"

	"alerthub/models"
)

// Record writes into the audit log what the actor of ctx has done, to what,
// and what else there is to say: also when whoever asked for it has gone
// meanwhile, which would be a way to stay off the log. A log that cannot be
// written stops nobody: the error, which is logged, wraps models.ErrUnavailable,
// or tells that it took too long.
func (s *Service) Record(ctx context.Context, action models.AuditAction, object, detail string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
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
