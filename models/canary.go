package models

import "time"

// The sources of the events that the hub itself reports.
const (
	SourceHub    = "alerthub"        // what is wrong with the hub
	SourceCanary = "alerthub-canary" // canaries
)

// CanaryStage is how far a canary has come.
type CanaryStage string

// The stages, in their order.
const (
	CanaryDoor      CanaryStage = "door"      // sent over TCP, as a device does, and to be acknowledged
	CanaryStored    CanaryStage = "stored"    // to be read back
	CanaryRouted    CanaryStage = "routed"    // to have its alerts
	CanaryDelivered CanaryStage = "delivered" // its alerts are to be taken by the other sides
	CanaryThrough   CanaryStage = "through"   // nothing is left to do
)

// CanaryStages lists the stages that a canary can fail at.
func CanaryStages() []CanaryStage {
	return []CanaryStage{CanaryDoor, CanaryStored, CanaryRouted, CanaryDelivered}
}

// Canary is one try whether an event comes through the hub to a person.
type Canary struct {
	ID      int64 // 0 while it is not stored
	BegunAt time.Time
	EndedAt time.Time   // zero while it is under way
	EventID int64       // 0 while it is not known
	Stage   CanaryStage // the one it is at, or failed at
	Detail  string      // why it failed
}

// Running reports whether c is under way.
func (c Canary) Running() bool { return !c.BegunAt.IsZero() && c.EndedAt.IsZero() }

// Through reports whether c came through.
func (c Canary) Through() bool { return !c.EndedAt.IsZero() && c.Stage == CanaryThrough }

// Failed reports whether c ended on its way.
func (c Canary) Failed() bool { return !c.EndedAt.IsZero() && c.Stage != CanaryThrough }

// CanaryState is what is known of canaries.
type CanaryState struct {
	Contact     string        // whom they are for; "" when there are none
	Every       time.Duration // 0: on request only
	Last        Canary        // the newest; zero when there was none
	LastThrough time.Time     // when the last one that came through ended; zero when none did
}
