package access

import (
	"net/netip"
	"sync"
	"time"
)

// Who tries passwords is slowed down: the first failures of an account or an
// address cost nothing, then each wait is twice the last, up to maxDelay. No
// account is ever locked, or anybody could lock out anybody: an account has a
// count of its own at an address from which it was signed in before, and one
// where it is signed in; there nothing else counts for it.
const (
	freeFailures = 4
	firstDelay   = time.Second
	maxDelay     = time.Minute
	forgetAfter  = 15 * time.Minute // without a failure
	maxSubjects  = 10_000           // beyond, the ones that may try again are forgotten
)

// What is tried. Each is counted by itself.
const (
	triedPassword = "password of"    // to sign in
	triedAgain    = "again, that of" // by who is signed in
	triedCode     = "code of"        // once the password was right
)

// attempts counts the failures of accounts and addresses.
type attempts struct {
	mu       *sync.Mutex
	failures map[string]*failures
	known    map[string]bool // accounts at addresses that they signed in from
}

// try is one that counts as a failure until it has succeeded.
type try struct {
	at       time.Time
	known    string   // what was tried, where
	subjects []string // what it is counted for, the account first
}

type failures struct {
	n      int
	last   time.Time
	before time.Time // no try before then
}

func newAttempts() attempts {
	return attempts{mu: new(sync.Mutex), failures: make(map[string]*failures), known: make(map[string]bool)}
}

// forget lets go of failures that are too old to count.
func (a attempts) forget(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for subject, f := range a.failures {
		if now.Sub(f.last) > forgetAfter {
			delete(a.failures, subject)
		}
	}
}

// begin counts a try, or tells how long it has to wait. It counts as a failure
// before anything is looked at, so that many at the same time do not get around
// it: succeeded or undo take it back.
func (a attempts) begin(now time.Time, what, name, address string) (t try, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t, wait = a.of(now, what, name, address); wait > 0 {
		return try{}, wait
	}
	for _, subject := range t.subjects {
		a.count(now, subject)
	}
	return t, 0
}

// wait is how long such a try would have to wait now.
func (a attempts) wait(now time.Time, what, name, address string) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, wait := a.of(now, what, name, address)
	return wait
}

// of is a try, and how long it has to wait. The caller holds mu.
func (a attempts) of(now time.Time, what, name, address string) (t try, wait time.Duration) {
	t = try{at: now, known: knownAt(what, name, address), subjects: []string{what + " " + name}}
	switch {
	case a.known[t.known]:
		t.subjects[0] = t.known
	case what == triedPassword:
		t.subjects = append(t.subjects, "address "+network(address))
	}
	for _, subject := range t.subjects {
		if f := a.failures[subject]; f != nil {
			wait = max(wait, f.before.Sub(now))
		}
	}
	return t, wait
}

// count counts a failure. The caller holds mu.
func (a attempts) count(now time.Time, subject string) {
	f := a.failures[subject]
	if f == nil {
		a.makeRoom(now)
		f = new(failures)
		a.failures[subject] = f
	}
	if now.Sub(f.last) > forgetAfter {
		f.n = 0
	}
	f.n++
	f.last = now
	if over := f.n - freeFailures; over > 0 {
		f.before = now.Add(min(firstDelay<<min(over-1, 10), maxDelay))
	}
}

// succeeded forgets the failures of the account, and of the address this try
// alone: who has one account must not get free tries at the others.
func (a attempts) succeeded(t try) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.failures, t.subjects[0])
	a.takeBack(t.at, t.subjects[1:])
	a.know(t.known)
}

// undo takes back a try of which nothing was looked at.
func (a attempts) undo(t try) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.takeBack(t.at, t.subjects)
}

// takeBack uncounts a try of that time. The caller holds mu.
func (a attempts) takeBack(at time.Time, subjects []string) {
	for _, subject := range subjects {
		f := a.failures[subject]
		if f == nil {
			continue
		}
		if f.n--; f.n <= freeFailures || f.last.Equal(at) { // else a later one makes it wait
			f.before = time.Time{}
		}
		if f.n <= 0 {
			delete(a.failures, subject)
		}
	}
}

// know notes an account at an address. The caller holds mu, or is New.
func (a attempts) know(known string) {
	if len(a.known) >= maxSubjects {
		clear(a.known)
	}
	a.known[known] = true
}

// makeRoom forgets who need not be remembered, when there are too many. The
// caller holds mu.
func (a attempts) makeRoom(now time.Time) {
	if len(a.failures) < maxSubjects {
		return
	}
	for subject, f := range a.failures {
		if now.Sub(f.last) > forgetAfter || now.After(f.before) {
			delete(a.failures, subject)
		}
	}
	for subject := range a.failures { // all of them wait: some are let go
		if len(a.failures) < maxSubjects {
			return
		}
		delete(a.failures, subject)
	}
}

// knownAt begins with the address, since names are anything that was typed.
func knownAt(what, name, address string) string {
	return "at " + network(address) + ": " + what + " " + name
}

// network is the address by which somebody counts: a customer of a provider
// has a whole IPv6 network of 64 bits.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || !ip.Is6() || ip.Is4In6() {
		return address
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}
