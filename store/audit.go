package store

import (
	"context"

	"gorm.io/gorm"

	"alerthub/models"
)

// auditRow is GORM's view of the audit log.
type auditRow struct {
	ID        int64 `gorm:"primaryKey"`
	CreatedAt string
	Kind      string
	Actor     string
	Address   string
	Action    string
	Object    string
	Detail    string
}

// TableName is GORM's hook.
func (auditRow) TableName() string { return "audit_log" }

// AddAudit writes a line of the audit log, which is never changed: the
// database refuses it. The error wraps models.ErrUnavailable, or is the
// context's.
func (s *Store) AddAudit(ctx context.Context, e models.AuditEntry) error {
	row := auditRow{
		CreatedAt: models.FormatTime(e.At), Kind: string(e.Kind), Actor: e.Actor, Address: e.Address,
		Action: string(e.Action), Object: e.Object, Detail: e.Detail,
	}
	return s.write(ctx, "write the audit log", func(tx *gorm.DB, _ *tally) error { return tx.Create(&row).Error })
}
