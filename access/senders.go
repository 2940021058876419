package access

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"alerthub/models"
)

// SenderStore keeps the anonymous senders.
type SenderStore interface {
	SaveSenders(ctx context.Context, senders []models.AnonymousSender) error
	Senders(ctx context.Context) ([]models.AnonymousSender, error)
}

// senders is who may send without a key, and who did.
type senders struct {
	store   SenderStore
	now     func() time.Time
	allowed models.Networks

	mu      sync.Mutex
	known   map[string]models.AnonymousSender // by address, at most models.MaxSenders
	changed map[string]bool                   // not stored yet
}

func newSenders(ctx context.Context, store SenderStore, allowed models.Networks, now func() time.Time) (*senders, error) {
	list, err := store.Senders(ctx)
	if err != nil {
		return nil, err
	}
	s := &senders{store: store, now: now, allowed: allowed, known: make(map[string]models.AnonymousSender, len(list)), changed: make(map[string]bool)}
	for _, known := range list {
		s.known[known.Address] = known
	}
	return s, nil
}

// Anonymous is who acts from an address and has shown nothing: whether they
// may hand in events all the same depends on nothing but the address.
func (s *senders) Anonymous(address string) models.Actor {
	return models.Actor{Kind: models.ActorNobody, Address: address, Ingest: s.allowed.Contain(address)}
}

// AnonymousNetworks are the addresses from which events are taken without a key.
func (s *senders) AnonymousNetworks() models.Networks { return s.allowed }

// AnonymousSent notes events that came from an address without a key; source is that
// of the last one. When too many addresses are known, the one that was heard
// of longest ago is forgotten.
func (s *senders) AnonymousSent(address, source string, events int) {
	now := s.now().UTC().Truncate(time.Microsecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.known[address]
	if !ok {
		if len(s.known) >= models.MaxSenders {
			s.forgetOldest()
		}
		known = models.AnonymousSender{Address: address, FirstAt: now}
	}
	known.LastAt, known.LastSource = now, source
	known.Events += int64(events)
	s.known[address], s.changed[address] = known, true
}

// forgetOldest must be called with mu held.
func (s *senders) forgetOldest() {
	var oldest models.AnonymousSender
	for _, known := range s.known {
		if oldest.Address == "" || known.LastAt.Before(oldest.LastAt) {
			oldest = known
		}
	}
	delete(s.known, oldest.Address)
	delete(s.changed, oldest.Address)
}

// Senders are those who sent without a key, the latest first.
func (s *senders) Senders() []models.AnonymousSender {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.known), func(a, b models.AnonymousSender) int {
		return cmp.Or(b.LastAt.Compare(a.LastAt), cmp.Compare(a.Address, b.Address))
	})
}

// storeSenders stores what has changed since. Only Run calls it.
func (s *senders) storeSenders(ctx context.Context) error {
	s.mu.Lock()
	changed := s.changed
	s.changed = make(map[string]bool)
	list := make([]models.AnonymousSender, 0, len(changed))
	for address := range changed {
		list = append(list, s.known[address])
	}
	s.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	err := s.store.SaveSenders(ctx, list)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for address := range changed {
			if _, ok := s.known[address]; ok {
				s.changed[address] = true
			}
		}
	}
	return err
}
