package store

import (
	"context"
	"fmt"

	"alerthub/models"
)

func (r *auditRow) entry() (models.AuditEntry, error) {
	at, err := models.ParseTime(r.CreatedAt)
	if err != nil {
		return models.AuditEntry{}, fmt.Errorf("audit log line %d: %w", r.ID, err)
	}
	return models.AuditEntry{
		ID: r.ID, At: at, Kind: models.ActorKind(r.Kind), Actor: r.Actor, Address: r.Address,
		Action: models.AuditAction(r.Action), Object: r.Object, Detail: r.Detail,
	}, nil
}

// AuditLog returns lines of the audit log newest first, at most f.Limit. The
// name of an actor is compared whatever its case, as users' names are.
func (s *Store) AuditLog(ctx context.Context, f models.AuditFilter) ([]models.AuditEntry, error) {
	q := s.gormR.WithContext(ctx)
	if f.Before > 0 {
		q = q.Where("id < ?", f.Before)
	}
	if f.Actor != "" {
		q = q.Where("actor = ? COLLATE NOCASE", f.Actor)
	}
	if f.Action != "" {
		q = q.Where("action = ?", f.Action)
	}
	var rows []auditRow
	if err := q.Order("id DESC").Limit(pageLimit(f.Limit)).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return convert(rows, (*auditRow).entry)
}
