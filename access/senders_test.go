package access

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
	"alerthub/store"
)

func TestAnonymous_DependsOnTheAddressAlone(t *testing.T) {
	now := start
	for text, addresses := range map[string]map[string]bool{
		"none":                           {"127.0.0.1": false, "::1": false, "": false, "10.1.2.3": false},
		"127.0.0.0/8,::1/128":            {"127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true, "::2": false, "10.1.2.3": false, "pipe": false},
		"10.1.0.0/16, 2001:db8::/32":     {"10.1.2.3": true, "10.2.0.0": false, "2001:db8:1::1": true, "127.0.0.1": false, "::ffff:10.1.0.1": true},
		"::ffff:192.0.2.0/120,fe80::/10": {"192.0.2.9": true, "192.0.3.9": false, "fe80::1%eth0": true},
		"0.0.0.0/0,::/0":                 {"198.51.100.1": true, "2001:db8::1": true, "nobody": false},
	} {
		networks, err := models.ParseNetworks(text)
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, t.TempDir(), &now, Config{Anonymous: networks})
		check := func(what string) {
			t.Helper()
			for address, want := range addresses {
				if a := s.Anonymous(address); a.Ingest != want || a.Kind != models.ActorNobody || a.May(models.PermitIngest) != want || a.May(models.PermitRead) || !s.Valid(a) {
					t.Errorf("%s, %s, %s: %+v", text, address, what, a)
				}
			}
		}
		check("without a key")
		makeKey(t, s, models.KeyDraft{Name: "ups", Scopes: []models.Scope{models.ScopeIngest}})
		check("with a key")
	}
	for _, wrong := range []string{"", ",", "10.0.0.0/33", "lan", "10.0.0.0/8;none", "none,10.0.0.0/8"} {
		if networks, err := models.ParseNetworks(wrong); err == nil {
			t.Errorf("%q is %v", wrong, networks)
		}
	}
}

func TestSenders_OutliveTheHub(t *testing.T) {
	dir, now := t.TempDir(), start
	s := open(t, dir, &now, Config{})
	s.AnonymousSent("192.0.2.1", "sw-1", 2)
	now = start.Add(time.Hour)
	s.AnonymousSent("::1", "ups", 1)
	s.AnonymousSent("::1", "ups-2", 3)
	want := []models.AnonymousSender{
		{Address: "::1", FirstAt: now, LastAt: now, Events: 4, LastSource: "ups-2"},
		{Address: "192.0.2.1", FirstAt: start, LastAt: start, Events: 2, LastSource: "sw-1"},
	}
	if diff := cmp.Diff(want, s.Senders()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := s.storeSenders(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.keyring.store.(*store.Store).Close(); err != nil {
		t.Fatal(err)
	}
	next := open(t, dir, &now, Config{Anonymous: models.Networks{netip.MustParsePrefix("10.0.0.0/8")}})
	if diff := cmp.Diff(want, next.Senders()); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
}

func TestSenders_AreBounded(t *testing.T) {
	now := start
	s := open(t, t.TempDir(), &now, Config{})
	for i := range 3 * models.MaxSenders {
		now = now.Add(time.Millisecond)
		s.AnonymousSent("192.0.2.1", "kept", 1)
		s.AnonymousSent(fmt.Sprintf("2001:db8::%x", i), "flood", 1)
	}
	if err := s.storeSenders(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := s.Senders()
	if len(list) != models.MaxSenders || list[0].Events != 3*models.MaxSenders || list[1].Address != fmt.Sprintf("2001:db8::%x", 3*models.MaxSenders-1) {
		t.Errorf("%d senders, the latest %+v", len(list), list[:2])
	}
}

// savedStore counts the writes of senders.
type savedStore struct {
	countedStore
	saved int
}

func (s *savedStore) SaveSenders(_ context.Context, list []models.AnonymousSender) error {
	if s.fail.Load() {
		return models.ErrUnavailable
	}
	s.saved += len(list)
	return nil
}

func TestRun_StoresSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		saved := &savedStore{}
		s, err := New(t.Context(), saved, Config{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- s.Run(ctx) }()
		for range 100 {
			s.AnonymousSent("::1", "a", 1)
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if saved.saved != 1 {
			t.Errorf("%d writes in ten seconds", saved.saved)
		}
		saved.fail.Store(true)
		s.AnonymousSent("::1", "a", 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		saved.fail.Store(false)
		time.Sleep(time.Hour)
		synctest.Wait()
		if saved.saved != 2 {
			t.Errorf("%d writes, want what could not be written once more", saved.saved)
		}
		s.AnonymousSent("::1", "a", 1)
		cancel()
		if err := <-ran; err != nil || saved.saved != 3 {
			t.Errorf("at the end: %d writes, %v", saved.saved, err)
		}
	})
}
