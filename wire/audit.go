package wire

import (
	"strconv"

	"alerthub/models"
)

// AuditEntry is a line of the audit log as the API and the exports show it.
type AuditEntry struct {
	ID      int64   `json:"id"`
	At      string  `json:"at"` // models.TimeLayout
	Kind    string  `json:"kind"`
	Actor   *string `json:"actor"`   // null when nobody gave a name
	Address *string `json:"address"` // null for a command on the hub's machine
	Action  string  `json:"action"`
	Object  *string `json:"object"`
	Detail  *string `json:"detail"`
}

// FromAuditEntry makes the shown form of e.
func FromAuditEntry(e models.AuditEntry) AuditEntry {
	return AuditEntry{
		ID: e.ID, At: models.FormatTime(e.At), Kind: string(e.Kind), Actor: orNull(e.Actor), Address: orNull(e.Address),
		Action: string(e.Action), Object: orNull(e.Object), Detail: orNull(e.Detail),
	}
}

// AuditColumns head the records of AuditRecord.
func AuditColumns() []string {
	return []string{"id", "at", "kind", "actor", "address", "action", "object", "detail"}
}

// AuditRecord is e as the cells of a CSV record.
func AuditRecord(e models.AuditEntry) []string {
	return []string{
		strconv.FormatInt(e.ID, 10), models.FormatTime(e.At), string(e.Kind), e.Actor, e.Address, string(e.Action), e.Object, e.Detail,
	}
}
