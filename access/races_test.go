package access

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"alerthub/models"
)

// meddling has something done while the store is asked to save or delete
// sessions, or to write a line of the audit log: once. full, it deletes none.
type meddling struct {
	Store
	full     bool
	atSave   func()
	atDelete func()
	atAudit  map[models.AuditAction]func()
}

func (m *meddling) DeleteSessions(ctx context.Context, ids []int64) error {
	if do := m.atDelete; do != nil {
		m.atDelete = nil
		do()
	}
	if m.full {
		return models.ErrUnavailable
	}
	return m.Store.DeleteSessions(ctx, ids)
}

func (m *meddling) SaveSession(ctx context.Context, v models.Session) (models.Session, error) {
	if do := m.atSave; do != nil {
		m.atSave = nil
		do()
	}
	return m.Store.SaveSession(ctx, v)
}

func (m *meddling) AddAudit(ctx context.Context, e models.AuditEntry) error {
	if do := m.atAudit[e.Action]; do != nil {
		delete(m.atAudit, e.Action)
		do()
	}
	return m.Store.AddAudit(ctx, e)
}

// meddle has the service use such a store.
func (b *bench) meddle() *meddling {
	m := &meddling{Store: b.Service.store, atAudit: make(map[models.AuditAction]func())}
	b.Service.store = m
	return m
}

// secondFactor gives somebody a second factor, and returns recovery codes.
func (b *bench) secondFactor(name string) []string {
	b.t.Helper()
	actor, _ := b.Session(b.t.Context(), b.signIn(name).Token, home)
	offered, err := b.NewSecondFactor(actor)
	if err != nil {
		b.t.Fatal(err)
	}
	codes, err := b.TurnOnSecondFactor(local(b.t), actor, b.code(offered.Secret))
	if err != nil {
		b.t.Fatal(err)
	}
	return codes
}

// What a password was shown for begins nothing once that password is another
// one, or its user is disabled: wherever the sign-in is by then.
func TestService_ChangedDuringSignIn(t *testing.T) {
	b := begin(t)
	b.add("root", models.RoleAdmin)
	ana := b.add("ana", models.RoleViewer)
	old := b.signIn("ana")
	m := b.meddle()
	visitor := models.Visitor{Address: home}
	for name, change := range map[string]func() error{
		"password": func() error { return b.SetPassword(local(t), "ana", good, 0) },
		"disabled": func() error { return b.SetDisabled(local(t), "ana", true) },
	} {
		changed := func() {
			if err := change(); err != nil {
				t.Error(err)
			}
		}
		in := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, models.ErrUnauthorized) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
			if left := b.Sessions(ana.ID, 0); len(left) != 0 {
				t.Errorf("%s, %s: signed in by %+v", name, what, left)
			}
			if left, err := b.store.Sessions(t.Context()); err != nil || len(left) != 0 {
				t.Errorf("%s, %s: stored %+v, %v", name, what, left, err)
			}
			if err := b.SetDisabled(local(t), "ana", false); err != nil {
				t.Fatal(err)
			}
		}
		if old.Token == "" {
			old = b.signIn("ana")
		}
		m.atDelete = changed // of the browser's session of before
		_, err := b.SignIn(t.Context(), "ana", good, old.Token, visitor)
		in("between password and session", err)
		old = models.Ticket{}

		codes := b.secondFactor("ana")
		m.atAudit[models.AuditRecoveryUsed] = changed
		_, err = b.Confirm(t.Context(), codes[0], b.signIn("ana").Token, visitor)
		in("between code and session", err)
		m.atAudit[models.AuditRecoveryUsed] = changed
		_, _, err = b.IssueTokenFor(t.Context(), "ana", good, codes[1], home)
		in("between code and token", err)

		waits := b.signIn("ana")
		changed()
		if err := b.SetDisabled(local(t), "ana", false); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Confirm(t.Context(), codes[2], waits.Token, visitor); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("%s, between password and code: %v", name, err)
		}
		if err := b.TurnOffSecondFactor(local(t), "ana"); err != nil {
			t.Fatal(err)
		}
	}
}

// A token ends with the password that it was made for, even when the clock
// stands still, or goes back.
func TestTokens_OfAnOldPassword(t *testing.T) {
	b := begin(t)
	b.add("ana", models.RoleViewer)
	for range 2 {
		token, _, err := b.IssueTokenFor(t.Context(), "ana", good, "", home)
		if err != nil {
			t.Fatal(err)
		}
		b.opens("a token", token, models.PermitRead)
		if err := b.SetPassword(local(t), "ana", good, 0); err != nil {
			t.Fatal(err)
		}
		b.shut("of an old password", token)
	}
}

// Two who show the same password at the same time cannot both replace it: the
// second has not shown the one that holds by then.
func TestService_ChangePasswordAtOnce(t *testing.T) {
	b := begin(t)
	b.add("ana", models.RoleViewer)
	actor, _ := b.Session(t.Context(), b.signIn("ana").Token, home)
	var all sync.WaitGroup
	results := make(chan error, 2)
	for range cap(results) {
		all.Go(func() { results <- b.ChangePassword(t.Context(), actor, good, "another good one") })
	}
	all.Wait()
	if first, second := <-results, <-results; (first == nil) == (second == nil) {
		t.Errorf("%v and %v", first, second)
	} else if err := errors.Join(first, second); field(err) != "current: is not the password" {
		t.Error(err)
	}
}

// A session that has ended stays so after a restart, although whoever ended it
// has gone, the store refused at first, or its end was moved at that moment.
func TestService_EndedSessionsStayEnded(t *testing.T) {
	for name, end := range map[string]func(b *bench, m *meddling, token string){
		"the client is gone": func(b *bench, _ *meddling, token string) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := b.SignOut(ctx, token); err != nil {
				t.Error(err)
			}
		},
		"the disk is full": func(b *bench, m *meddling, token string) {
			m.full = true
			if err := b.SignOut(t.Context(), token); !errors.Is(err, models.ErrUnavailable) {
				t.Errorf("signed out without a store: %v", err)
			}
			m.full = false
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := b.Run(ctx); err != nil { // which stores what is left once more
				t.Error(err)
			}
		},
		"it is used": func(b *bench, m *meddling, token string) {
			b.clock = b.clock.Add(2 * storeEvery)
			m.atSave = func() {
				if err := b.SignOut(t.Context(), token); err != nil {
					t.Error(err)
				}
			}
			b.Session(t.Context(), token, home)
			if m.atSave != nil {
				t.Error("its end was not stored: this proves nothing")
			}
		},
	} {
		b := begin(t)
		b.add("ana", models.RoleViewer)
		token := b.signIn("ana").Token
		end(b, b.meddle(), token)
		for _, when := range []string{"before", "after"} {
			if _, ok := b.Session(t.Context(), token, home); ok {
				t.Errorf("%s: still signed in %s a restart", name, when)
			}
			b.restart()
		}
		if log, err := b.AuditLog(t.Context(), models.AuditFilter{Action: models.AuditSignOut, Limit: 10}); err != nil || len(log) != 1 {
			t.Errorf("%s: on record: %+v, %v", name, log, err)
		}
	}
}

// Who goes away once their password is looked at is on record all the same:
// their guess, and what they have got by it.
func TestService_RecordsWhoHasGone(t *testing.T) {
	b := begin(t)
	b.add("ana", models.RoleViewer)
	m := b.meddle()
	for action, do := range map[models.AuditAction]func(ctx context.Context) error{
		models.AuditSignInFailed: func(ctx context.Context) error {
			_, err := b.SignIn(ctx, "ana", "not the password", "", models.Visitor{Address: home})
			return err
		},
		models.AuditToken: func(ctx context.Context) error {
			_, _, err := b.IssueTokenFor(ctx, "ana", good, "", home)
			return err
		},
	} {
		ctx, leave := context.WithCancel(t.Context())
		m.atAudit[action] = leave
		if err := do(ctx); ctx.Err() == nil || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, and gone: %v", action, err, ctx.Err())
		}
		if log, err := b.AuditLog(t.Context(), models.AuditFilter{Action: action, Limit: 10}); err != nil || len(log) != 1 {
			t.Errorf("%s: on record: %+v, %v", action, log, err)
		}
	}
}

// stalledStore never writes a line.
type stalledStore struct{ countedStore }

func (*stalledStore) AddAudit(ctx context.Context, _ models.AuditEntry) error {
	<-ctx.Done()
	return ctx.Err()
}

// A store that stands still holds nobody for long.
func TestService_RecordEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(t.Context(), &stalledStore{}, Config{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := s.Record(t.Context(), models.AuditSignOut, "", ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != storeTime {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
