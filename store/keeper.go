package store

type keeper struct{}

func (k *keeper) start(s *Store) {}
func (k *keeper) stop()          {}
