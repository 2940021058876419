package access

import (
	"net/netip"
	"sync"
	"time"
)

// Who tries passwords is slowed down: the first failures of an account or an
// address cost nothing, then each wait is twice the last, up to maxDelay. No
// account is ever locked, or anybody could lock out anybody: an address from
// which an account was signed in before has a count of its own for it.
const (
	freeFailures = 4
	firstDelay   = time.Second
	maxDelay     = time.Minute
	forgetAfter  = 15 * time.Minute // without a failure
	maxSubjects  = 10_000           // beyond, the ones that may try again are forgotten
)

// attempts counts the failures of accounts and addresses.
type attempts struct {
	mu       *sync.Mutex
	failures map[string]*failures
	known    map[string]bool // accounts at addresses that they signed in from
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

// wait tells how long none of the subjects may try; 0 when they may now.
func (a attempts) wait(now time.Time, subjects ...string) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, subject := range subjects {
		if f := a.failures[subject]; f != nil {
			wait = max(wait, f.before.Sub(now))
		}
	}
	return wait
}

// failed counts a failure of each subject. It is told before a password is
// looked at, and taken back by succeeded, so that tries at the same time do
// not get around it.
func (a attempts) failed(now time.Time, subjects ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, subject := range subjects {
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
}

// succeeded forgets the failures of the account, and one of the address: who
// has one account must not get free tries at the others.
func (a attempts) succeeded(name, address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	subjects := a.subjects(name, address)
	delete(a.failures, subjects[0])
	if f := a.failures[subjects[1]]; f != nil {
		if f.n--; f.n <= freeFailures {
			f.before = time.Time{}
		}
		if f.n == 0 {
			delete(a.failures, subjects[1])
		}
	}
	if len(a.known) >= maxSubjects {
		clear(a.known)
	}
	a.known[knownAs(name, address)] = true
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

// of are the two subjects of a sign-in: the account and the address.
func (a attempts) of(name, address string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.subjects(name, address)
}

// subjects is of; the caller holds mu.
func (a attempts) subjects(name, address string) []string {
	account := "account " + name
	if at := knownAs(name, address); a.known[at] {
		account = at
	}
	return []string{account, "address " + network(address)}
}

func knownAs(name, address string) string { return "account " + name + " at " + network(address) }

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
