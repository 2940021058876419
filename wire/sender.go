package wire

import "alerthub/models"

// Sender is somebody who sent events without a key, as programs read it.
type Sender struct {
	Address     string `json:"address"`
	FirstAt     string `json:"first_at"`
	LastAt      string `json:"last_at"`
	Events      int64  `json:"events"`
	LastSource  string `json:"last_source"`
	WouldRefuse bool   `json:"would_refuse"`
}

// FromSender writes a sender, and whether it would be refused.
func FromSender(s models.AnonymousSender, refuse bool) Sender {
	return Sender{s.Address, models.FormatTime(s.FirstAt), models.FormatTime(s.LastAt), s.Events, s.LastSource, refuse}
}
