package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"alerthub/models"
	"alerthub/store"
)

func field(err error) string {
	var f *models.FieldError
	if errors.As(err, &f) {
		return f.Field + ": " + f.Reason
	}
	return ""
}

func TestService_AddUser(t *testing.T) {
	b := begin(t)
	for _, c := range []struct{ name, password, role, want string }{
		{"", good, "admin", "name: is missing"},
		{"ana", "short", "admin", "password: must have at least 8 characters"},
		{"ana", strings.Repeat("é", 129), "admin", "password: must have at most 128 characters"},
		{"ana", "Trustno1", "admin", "password: is one of the most common ones"},
		{"ana.ruiz", "ana.ruiz1", "admin", "password: is easy to guess"},
		{"ana", good, "boss", "role: must be"},
	} {
		if _, err := b.AddUser(local(t), c.name, c.password, models.Role(c.role)); !strings.HasPrefix(field(err), c.want) {
			t.Errorf("%q, %q, %q: %v, want %s", c.name, c.password, c.role, err, c.want)
		}
	}
	if b.HasUsers() {
		t.Fatal("one who was refused is there")
	}
	b.add("Ana", models.RoleAdmin)
	if _, err := b.AddUser(local(t), "aNA", good, models.RoleViewer); !errors.Is(err, models.ErrExists) {
		t.Errorf("the name in another case: %v", err)
	}
	if _, err := b.AddUser(local(t), "zoë", strings.Repeat("ñ", 128), models.RoleViewer); err != nil {
		t.Errorf("128 characters of two bytes: %v", err)
	}
	b.restart()
	if users := b.Users(); len(users) != 2 || users[0].Name != "Ana" || users[1].Role != models.RoleViewer {
		t.Errorf("after a restart: %+v", users)
	}
}

func TestService_SignIn(t *testing.T) {
	b := begin(t)
	ana := b.add("ana", models.RoleOperator)
	for _, wrong := range [][2]string{{"ana", "wrong horse battery"}, {"nobody", good}} {
		if _, err := b.SignIn(t.Context(), wrong[0], wrong[1], "", models.Visitor{Address: home}); !errors.Is(err, models.ErrUnauthorized) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	fixed := "a token that somebody else chose"
	ticket, err := b.SignIn(t.Context(), " ANA ", good, fixed, models.Visitor{Address: home})
	if err != nil || ticket.Token == fixed || ticket.Code {
		t.Fatalf("%+v, %v", ticket, err)
	}
	actor, ok := b.Session(t.Context(), ticket.Token, home)
	if !ok || actor.ID != ana.ID || actor.Role != models.RoleOperator || actor.Name != "ana" || !b.Valid(actor) {
		t.Fatalf("%+v, %v", actor, ok)
	}
	for _, token := range []string{fixed, "", ticket.Token + "x"} {
		if _, ok := b.Session(t.Context(), token, home); ok {
			t.Errorf("%q opens the door", token)
		}
	}
	// Signing in again ends the session that was there.
	again, err := b.SignIn(t.Context(), "ana", good, ticket.Token, models.Visitor{Address: home})
	if _, ok := b.Session(t.Context(), ticket.Token, home); ok || err != nil {
		t.Errorf("the session before is still good: %v", err)
	}
	b.restart()
	if _, ok := b.Session(t.Context(), again.Token, home); !ok {
		t.Error("a restart ends sessions")
	}
	if err := b.SignOut(t.Context(), again.Token); err != nil {
		t.Error(err)
	}
	if _, ok := b.Session(t.Context(), again.Token, home); ok {
		t.Error("signed out, and in")
	}
}

// A session ends when nothing is heard of it, and in any case.
func TestService_SessionEnds(t *testing.T) {
	b := begin(t)
	b.add("ana", models.RoleViewer)
	idle := b.signIn("ana")
	b.clock = b.clock.Add(12*time.Hour + time.Minute) // the library has a clock of its own
	if _, ok := b.Session(t.Context(), idle.Token, home); ok {
		t.Error("12 hours without a word, and signed in")
	}
	b.signIn("ana")
	if left, err := b.store.Sessions(t.Context()); err != nil || len(left) != 1 {
		t.Errorf("what has ended is still stored: %+v, %v", left, err)
	}
	b.clock = began
	used := b.signIn("ana")
	days := 0
	for ; ; days++ {
		actor, ok := b.Session(t.Context(), used.Token, home)
		if !ok {
			break
		}
		for range 3 { // a page that is open
			b.clock = b.clock.Add(8 * time.Hour)
			if days < 29 && !b.Valid(actor) {
				t.Fatalf("ended on day %d", days)
			}
		}
		if days == 3 {
			b.restart()
		}
	}
	if days != 30 {
		t.Errorf("it lasted %d days, want 30", days)
	}
}

// What takes somebody's rights away ends their sessions.
func TestService_Revoked(t *testing.T) {
	b := begin(t)
	b.add("root", models.RoleAdmin)
	b.add("ana", models.RoleAdmin)
	for name, end := range map[string]func(models.Actor) error{
		"password": func(models.Actor) error { return b.SetPassword(local(t), "ana", good, 0) },
		"disabled": func(models.Actor) error { return b.SetDisabled(local(t), "ana", true) },
		"ended":    func(a models.Actor) error { return b.EndSession(local(t), a.ID, a.Session) },
		"others":   func(models.Actor) error { return b.EndOthers(local(t), "ana", 0) },
	} {
		ticket := b.signIn("ana")
		actor, _ := b.Session(t.Context(), ticket.Token, home)
		if err := b.EndSession(local(t), actor.ID-1, actor.Session); !errors.Is(err, models.ErrNotFound) || !b.Valid(actor) {
			t.Errorf("ended by somebody else: %v", err)
		}
		if err := end(actor); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, ok := b.Session(t.Context(), ticket.Token, home); ok || b.Valid(actor) {
			t.Errorf("%s: still signed in", name)
		}
		b.restart()
		if _, ok := b.Session(t.Context(), ticket.Token, home); ok {
			t.Errorf("%s: signed in again by a restart", name)
		}
		if err := b.SetDisabled(local(t), "ana", false); err != nil {
			t.Fatal(err)
		}
		if _, ok := b.Session(t.Context(), ticket.Token, home); ok {
			t.Errorf("%s: signed in again when enabled again", name)
		}
	}
	if err := b.SetDisabled(local(t), "ana", true); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SignIn(t.Context(), "ana", good, "", models.Visitor{Address: home}); !errors.Is(err, models.ErrUnauthorized) {
		t.Errorf("disabled: %v", err)
	}
	for name, err := range map[string]error{
		"disabled": b.SetDisabled(local(t), "root", true), "role": b.SetRole(local(t), "root", models.RoleViewer),
	} {
		if !errors.Is(err, models.ErrLastAdmin) {
			t.Errorf("the last admin, %s: %v", name, err)
		}
	}
}

// The log says whose sessions were ended, and which.
func TestService_EndedSessionsAreOnRecord(t *testing.T) {
	b := begin(t)
	ana := b.add("ana", models.RoleViewer)
	b.signIn("ana")
	here, _ := b.Session(t.Context(), b.signIn("ana").Token, home)
	for _, err := range []error{
		b.EndSession(local(t), ana.ID, here.Session-1), b.EndOthers(local(t), "ana", here.Session), b.EndOthers(local(t), "ana", 0), b.EndOthers(local(t), "nobody", 0),
	} {
		if err != nil && !errors.Is(err, models.ErrNotFound) {
			t.Fatal(err)
		}
	}
	log, err := b.AuditLog(t.Context(), models.AuditFilter{Action: models.AuditSessionRevoked, Limit: 10})
	var got []string
	for _, e := range log {
		got = append(got, e.Object+": "+e.Detail)
	}
	if want := []string{"user ana: all sessions", "user ana: all other sessions", "user ana: session 1"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}

// A user changes their password with the old one, and stays signed in here.
func TestService_ChangePassword(t *testing.T) {
	b := begin(t)
	b.add("ana", models.RoleViewer)
	here, there := b.signIn("ana"), b.signIn("ana")
	actor, _ := b.Session(t.Context(), here.Token, home)
	if err := b.ChangePassword(t.Context(), actor, "not "+good, "another good one"); field(err) != "current: is not the password" {
		t.Errorf("with a wrong one: %v", err)
	}
	if err := b.ChangePassword(t.Context(), actor, good, "another good one"); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.Session(t.Context(), here.Token, home); !ok {
		t.Error("not signed in here any more")
	}
	if _, ok := b.Session(t.Context(), there.Token, home); ok {
		t.Error("still signed in there")
	}
	if _, err := b.SignIn(t.Context(), "ana", "another good one", "", models.Visitor{Address: home}); err != nil {
		t.Error(err)
	}
}

func TestService_SetUp(t *testing.T) {
	b := begin(t)
	if b.SetupOffered("") {
		t.Error("offered to anybody")
	}
	token := b.OfferSetup()
	if _, err := b.SetUp(t.Context(), token+"x", "ana", good); !errors.Is(err, models.ErrUnauthorized) {
		t.Errorf("with another token: %v", err)
	}
	if _, err := b.SetUp(t.Context(), token, "ana", "short"); field(err) == "" {
		t.Errorf("with a short password: %v", err)
	}
	var done sync.WaitGroup
	var added atomic.Int32
	for _, name := range []string{"ana", "ben", "carla", "dora"} { // at the same time
		done.Go(func() {
			user, err := b.SetUp(t.Context(), token, name, good)
			switch {
			case err == nil && user.Role == models.RoleAdmin:
				added.Add(1)
			case !errors.Is(err, models.ErrUnauthorized):
				t.Errorf("%+v, %v", user, err)
			}
		})
	}
	done.Wait()
	if n, users := added.Load(), b.Users(); n != 1 || len(users) != 1 {
		t.Errorf("the link has added %d people: %+v", n, users)
	}
	if _, err := b.SetUp(t.Context(), token, "eve", good); !errors.Is(err, models.ErrUnauthorized) || b.SetupOffered(token) {
		t.Errorf("a second time: %v", err)
	}
	late := begin(t)
	token = late.OfferSetup()
	late.clock = late.clock.Add(time.Hour)
	if late.SetupOffered(token) {
		t.Error("good after an hour")
	}
}

// A page costs one of these: at most 0.2 ms.
func BenchmarkService_Session(b *testing.B) {
	st, err := store.Open(b.Context(), store.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	s, err := New(b.Context(), st, Config{})
	if err != nil {
		b.Fatal(err)
	}
	var token string
	for i := range 15 {
		name := fmt.Sprintf("user %d", i)
		if _, err := s.AddUser(b.Context(), name, good, models.RoleViewer); err != nil {
			b.Fatal(err)
		}
		ticket, err := s.SignIn(b.Context(), name, good, "", models.Visitor{Address: home})
		if err != nil {
			b.Fatal(err)
		}
		token = ticket.Token
	}
	for b.Loop() {
		if _, ok := s.Session(b.Context(), token, home); !ok {
			b.Fatal("not signed in")
		}
	}
}

// fullDisk stores no session.
type fullDisk struct{ Store }

func (fullDisk) SaveSession(_ context.Context, s models.Session) (models.Session, error) {
	return s, models.ErrUnavailable
}

// When the disk is full people must get in all the more: their sessions then
// last until the hub stops.
func TestService_SignInOnAFullDisk(t *testing.T) {
	b := begin(t)
	b.add("ana", models.RoleViewer)
	s, err := New(t.Context(), fullDisk{b.store}, Config{Now: func() time.Time { return b.clock }})
	if err != nil {
		t.Fatal(err)
	}
	b.Service = s
	here, there := b.signIn("ana"), b.signIn("ana")
	b.clock = b.clock.Add(2 * time.Minute)
	actor, ok := b.Session(t.Context(), here.Token, home)
	other, also := b.Session(t.Context(), there.Token, home)
	if !ok || !also || actor.Session == other.Session || !b.Valid(actor) || len(b.Sessions(actor.ID, actor.Session)) != 2 {
		t.Fatalf("%+v, %+v", actor, other)
	}
	if err := b.EndSession(t.Context(), other.ID, other.Session); err != nil || b.Valid(other) || !b.Valid(actor) {
		t.Errorf("one of them ended: %v", err)
	}
}
