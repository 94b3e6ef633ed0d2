package store

import "fmt"

// Shared is a share of a store, for what outlives the configuration that has it.
type Shared struct {
	Store

	// Key is equal for shares of the same store only.
	Key string

	release func() error
}

// Release gives the share back.
func (s *Shared) Release() error { return s.release() }

// Share returns one more share of s, which has to be open.
func Share(s Store) (*Shared, error) {
	switch s := s.(type) {
	case *Memory:
		l, err := memories.Take(memoryName, func() (*Memory, error) { return newMemory(mostClaims), nil })
		if err != nil {
			return nil, err
		}
		return &Shared{l.Value(), memoryName, l.Release}, nil
	case *Redis:
		l, err := s.Client.Share()
		if err != nil {
			return nil, err
		}
		return &Shared{NewRedis(l.Value(), s.prefix), s.prefix + " " + s.key, l.Release}, nil
	}
	return nil, fmt.Errorf("the store %s cannot be shared", s.Name())
}
