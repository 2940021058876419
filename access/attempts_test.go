package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"alerthub/models"
)

// try signs in with a wrong password and tells how long it must wait.
func (b *bench) try(name, address string) time.Duration {
	b.t.Helper()
	_, err := b.SignIn(b.t.Context(), name, "not the password", "", models.Visitor{Address: address})
	var many *models.TooManyError
	switch {
	case errors.As(err, &many):
		return many.Wait
	case !errors.Is(err, models.ErrUnauthorized):
		b.t.Fatalf("%s from %s: %v", name, address, err)
	}
	return 0
}

// Guessing gets slow, for one account from everywhere and from one address for
// all; an unknown name is told nothing else, and whoever was here before gets in.
func TestService_SlowsGuessing(t *testing.T) {
	for _, c := range []struct {
		name string
		try  func(b *bench, i int) time.Duration
	}{
		{"one account", func(b *bench, i int) time.Duration { return b.try("ana", fmt.Sprintf("198.51.100.%d", i)) }},
		{"nobody's account", func(b *bench, i int) time.Duration { return b.try("nobody", fmt.Sprintf("198.51.100.%d", i)) }},
		{"one address", func(b *bench, i int) time.Duration { return b.try(fmt.Sprintf("user %d", i), "198.51.100.1") }},
		{"one network", func(b *bench, i int) time.Duration {
			return b.try(fmt.Sprintf("user %d", i), fmt.Sprintf("2001:db8::%x", i))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := begin(t)
			b.add("ana", models.RoleViewer)
			b.signIn("ana")
			var waits []time.Duration
			for i := range 13 {
				wait := c.try(b, i+1)
				if wait > 0 {
					waits = append(waits, wait)
					b.clock = b.clock.Add(wait)
					if again := c.try(b, i+1); again > 0 {
						t.Fatalf("told to wait %v, and then %v more", wait, again)
					}
				}
			}
			want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}
			if len(waits) != len(want) {
				t.Fatalf("it waited %v", waits)
			}
			for i := range want {
				if waits[i] != want[i]*time.Second {
					t.Errorf("it waited %v, want %v seconds", waits, want)
				}
			}
			if _, err := b.SignIn(t.Context(), "ana", good, "", models.Visitor{Address: home}); err != nil {
				t.Errorf("from where ana was before: %v", err)
			}
		})
	}
}

// Many tries at the same time are no way around it.
func TestService_ManyGuessesAtOnce(t *testing.T) {
	b := begin(t)
	b.add("ana", models.RoleViewer)
	var all sync.WaitGroup
	var mu sync.Mutex
	looked := 0
	for range 20 {
		all.Go(func() {
			_, err := b.SignIn(t.Context(), "ana", "not the password", "", models.Visitor{Address: home})
			if errors.Is(err, models.ErrUnauthorized) {
				mu.Lock()
				looked++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if looked != freeFailures+1 {
		t.Errorf("%d passwords were looked at, want %d", looked, freeFailures+1)
	}
}

// Where somebody has signed in before, the failures of others do not count:
// neither those of strangers at their address, nor, while they are signed in,
// those with their name.
func TestService_OthersDoNotCount(t *testing.T) {
	b := begin(t)
	b.add("ana", models.RoleViewer)
	codes := b.secondFactor("ana")
	confirm := func(code string) models.Actor {
		t.Helper()
		ticket, err := b.Confirm(t.Context(), code, b.signIn("ana").Token, models.Visitor{Address: home})
		if err != nil {
			t.Fatal(err)
		}
		actor, _ := b.Session(t.Context(), ticket.Token, home)
		return actor
	}
	confirm(codes[0])
	b.restart()
	strangers := func(names ...string) {
		t.Helper()
		for _, name := range names {
			for i := 0; b.try(name, home) == 0; i++ {
				if i > freeFailures {
					t.Fatalf("guessing %q is not slowed down", name)
				}
			}
		}
	}
	strangers("nobody", "ana at "+home, "at "+home+": password of ana")
	actor := confirm(codes[1])
	strangers("ana")
	if err := b.ChangePassword(t.Context(), actor, good, good); err != nil {
		t.Errorf("signed in, with the right password: %v", err)
	}
	for i := range freeFailures + 2 {
		var many *models.TooManyError
		if err := b.CheckPassword(t.Context(), actor, "not the password"); errors.As(err, &many) != (i > freeFailures) {
			t.Errorf("signed in, guess %d: %v", i, err)
		}
	}
}

// Many who are right at the same time all get in, and who only waits for a turn,
// or finds the hub busy, has not failed.
func TestService_ManySignInsAtOnce(t *testing.T) {
	b := begin(t)
	b.add("ana", models.RoleViewer)
	visitor := models.Visitor{Address: home}
	for range maxHashing {
		b.hashing.turns <- struct{}{}
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	for range 2 * freeFailures {
		if _, err := b.SignIn(gone, "ana", good, "", visitor); !errors.Is(err, context.Canceled) {
			t.Fatalf("gone: %v", err)
		}
	}
	for range maxWaiting {
		b.hashing.waiting <- struct{}{}
	}
	for range 2 * freeFailures {
		if _, err := b.SignIn(t.Context(), "ana", good, "", visitor); !errors.Is(err, models.ErrBusy) {
			t.Fatalf("busy: %v", err)
		}
	}
	b.hashing = newHashing()
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			if _, err := b.SignIn(t.Context(), "ana", good, "", visitor); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// What is remembered of failures is bounded: names that nobody can have count
// as one, and what is old is forgotten.
func TestService_ForgetsFailures(t *testing.T) {
	b := begin(t)
	for i := range 2 * freeFailures {
		b.try(strings.Repeat("é", models.MaxUserName)+fmt.Sprint(i), home)
	}
	remembered := func() (n int) {
		for subject := range b.attempts.failures {
			n += len(subject)
		}
		return n
	}
	if n := remembered(); n > 100 {
		t.Errorf("%d bytes are remembered", n)
	}
	synctest.Test(t, func(t *testing.T) {
		s, err := New(t.Context(), &countedStore{}, Config{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- s.Run(ctx) }()
		for i := range 100 {
			_, _ = s.attempt(triedPassword, fmt.Sprintf("name %d", i), fmt.Sprintf("198.51.100.%d", i))
		}
		time.Sleep(forgetAfter)
		_, _ = s.attempt(triedPassword, "late", home)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := len(s.attempts.failures); n != 2 {
			t.Errorf("%d failures are remembered, want those of an account and an address", n)
		}
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
}

// A hash costs 19 MiB: two at a time, a queue of 32, and then it is busy.
func TestHashing_Bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashing()
		for range maxHashing {
			h.turns <- struct{}{}
		}
		var all sync.WaitGroup
		results := make(chan error, maxWaiting)
		for range maxWaiting {
			all.Go(func() {
				_, err := h.hash(t.Context(), good)
				results <- err
			})
		}
		synctest.Wait() // all of them wait for their turn
		if _, err := h.hash(t.Context(), good); !errors.Is(err, models.ErrBusy) {
			t.Errorf("one more: %v", err)
		}
		for range maxHashing {
			<-h.turns
		}
		all.Wait()
		close(results)
		for err := range results {
			if err != nil {
				t.Error(err)
			}
		}
	})
}
