package handlers

import (
	"context"
	"slices"

	"alerthub/models"
)

// memoryPeople is the storage of people in these tests.
type memoryPeople struct {
	users    []models.Credentials
	sessions int64
	audit    []models.AuditEntry
}

func (m *memoryAccess) Users(context.Context) ([]models.Credentials, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.users), nil
}

func (m *memoryAccess) SaveUser(_ context.Context, c models.Credentials) (models.Credentials, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.ID == 0 {
		m.users = append(m.users, c)
		c.ID = int64(len(m.users))
	}
	m.users[c.ID-1] = c
	return c, nil
}

func (m *memoryAccess) Sessions(context.Context) ([]models.Session, error) { return nil, nil }

func (m *memoryAccess) SaveSession(_ context.Context, s models.Session) (models.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.ID == 0 {
		m.sessions++
		s.ID = m.sessions
	}
	return s, nil
}

func (m *memoryAccess) DeleteSessions(context.Context, []int64) error { return nil }

func (m *memoryAccess) AddAudit(ctx context.Context, e models.AuditEntry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e.ID = int64(len(m.audit) + 1)
	m.audit = append(m.audit, e)
	return nil
}

func (m *memoryAccess) AuditLog(_ context.Context, f models.AuditFilter) ([]models.AuditEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return selectedEntries(m.audit, f), nil
}

// selectedEntries are those of a log, the oldest first, that f selects.
func selectedEntries(log []models.AuditEntry, f models.AuditFilter) []models.AuditEntry {
	var found []models.AuditEntry
	for _, e := range slices.Backward(log) {
		if (f.Before == 0 || e.ID < f.Before) && (f.Actor == "" || e.Actor == f.Actor) && (f.Action == "" || e.Action == f.Action) {
			found = append(found, e)
		}
	}
	return found[:min(f.Limit, len(found))]
}
