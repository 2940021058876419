package wire

import "alerthub/models"

// Canary is a canary as the API shows it.
type Canary struct {
	BegunAt string  `json:"begun_at"` // models.TimeLayout
	EndedAt *string `json:"ended_at"` // null while it is under way
	Outcome string  `json:"outcome"`  // running, through or failed
	Stage   string  `json:"stage"`
	EventID *int64  `json:"event_id"`
	Detail  *string `json:"detail"`
}

// CanaryState is what is known of canaries, as the API shows it.
type CanaryState struct {
	Contact       *string `json:"contact"` // null when there are none
	EverySeconds  int64   `json:"every_seconds"`
	Last          *Canary `json:"last"` // null when none was sent
	LastThroughAt *string `json:"last_through_at"`
}

// The outcomes of a canary.
const (
	CanaryRunning = "running"
	CanaryThrough = "through"
	CanaryFailed  = "failed"
)

// FromCanary makes the shown form of c.
func FromCanary(c models.Canary) Canary {
	outcome := CanaryFailed
	switch {
	case c.Running():
		outcome = CanaryRunning
	case c.Through():
		outcome = CanaryThrough
	}
	return Canary{
		BegunAt: models.FormatTime(c.BegunAt), EndedAt: timeOrNull(c.EndedAt), Outcome: outcome,
		Stage: string(c.Stage), EventID: idOrNull(c.EventID), Detail: orNull(c.Detail),
	}
}

// FromCanaryState makes the shown form of s.
func FromCanaryState(s models.CanaryState) CanaryState {
	out := CanaryState{Contact: orNull(s.Contact), EverySeconds: int64(s.Every.Seconds()), LastThroughAt: timeOrNull(s.LastThrough)}
	if !s.Last.BegunAt.IsZero() {
		c := FromCanary(s.Last)
		out.Last = &c
	}
	return out
}
