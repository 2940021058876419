package access

import (
	"context"
	"testing"
	"time"

	"alerthub/models"
	"alerthub/store"
)

// bench is a service over a real database, with a clock of its own.
type bench struct {
	*Service
	t     *testing.T
	store *store.Store
	clock time.Time
}

// began is when the clock of a bench starts: the library of the sessions looks
// at the real one.
var began = time.Now().UTC().Truncate(time.Second)

func begin(t *testing.T) *bench {
	t.Helper()
	st, err := store.Open(t.Context(), store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	b := &bench{t: t, store: st, clock: began}
	b.restart()
	return b
}

// restart makes a new service of what is stored.
func (b *bench) restart() {
	b.t.Helper()
	s, err := New(b.t.Context(), b.store, Config{Now: func() time.Time { return b.clock }})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Service = s
}

const (
	good = "correct horse battery"
	home = "192.0.2.7"
)

func (b *bench) add(name string, role models.Role) models.User {
	b.t.Helper()
	user, err := b.AddUser(local(b.t), name, good, role)
	if err != nil {
		b.t.Fatal(err)
	}
	return user
}

func (b *bench) signIn(name string) models.Ticket {
	b.t.Helper()
	ticket, err := b.SignIn(b.t.Context(), name, good, "", models.Visitor{Address: home, Agent: "Browser"})
	if err != nil {
		b.t.Fatal(err)
	}
	return ticket
}

func local(t *testing.T) context.Context {
	return models.WithActor(t.Context(), models.Actor{Kind: models.ActorLocal, Name: "root"})
}
