package models

import "time"

// MaxSenders bounds how many anonymous senders are remembered: the latest.
const MaxSenders = 1000

// AnonymousSender is an address from which events came that were taken without
// a key or a certificate.
type AnonymousSender struct {
	Address         string // IP address
	FirstAt, LastAt time.Time
	Events          int64  // as handed over: repeats too
	LastSource      string // of the last one
}
