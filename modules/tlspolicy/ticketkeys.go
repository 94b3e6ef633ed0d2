package tlspolicy

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// keySet are the keys of session tickets that gateways share. The first encrypts,
// all decrypt.
type keySet struct {
	Rotated time.Time `json:"rotated"`
	Keys    [][]byte  `json:"keys"`
}

// errKeySet says that what is in the storage is no key set. It names no content.
var errKeySet = errors.New("the stored session ticket keys are damaged")

// parseKeySet reads a stored key set. Whoever knows a key can read connections,
// so what is not certainly one is refused.
func parseKeySet(data []byte) (keySet, error) {
	var set keySet
	if json.Unmarshal(data, &set) != nil || len(set.Keys) == 0 || len(set.Keys) > mostKeys || set.Rotated.IsZero() {
		return keySet{}, errKeySet
	}
	for _, key := range set.Keys {
		if len(key) != keySize || [keySize]byte(key) == [keySize]byte{} {
			return keySet{}, errKeySet
		}
	}
	return set, nil
}

const (
	keySize  = 32
	mostKeys = 100
)

// encode is what parseKeySet reads.
func (s keySet) encode() ([]byte, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("session ticket keys: %w", err)
	}
	return data, nil
}

// due reports whether the keys are to be replaced: when they are old, and when a
// gateway whose clock was ahead made them, which would keep them for that long.
func (s keySet) due(now time.Time, interval time.Duration) bool {
	return !now.Before(s.Rotated.Add(interval)) || s.Rotated.After(now.Add(interval))
}

// rotate returns the set with a new first key and at most `keep` keys, none of which
// was replaced so long ago that it would have been dropped, had a gateway been there
// at every interval to do it.
func (s keySet) rotate(now time.Time, interval time.Duration, keep int) keySet {
	fresh := make([]byte, keySize)
	_, _ = rand.Read(fresh) // never fails
	next := keySet{Rotated: now.UTC(), Keys: [][]byte{fresh}}
	for i, key := range s.Keys {
		// This is when it was made at the latest.
		made := s.Rotated.Add(-time.Duration(i) * interval)
		if len(next.Keys) < keep && now.Sub(made) < time.Duration(keep)*interval {
			next.Keys = append(next.Keys, key)
		}
	}
	return next
}

// arrays are the keys as crypto/tls takes them.
func (s keySet) arrays() [][keySize]byte {
	keys := make([][keySize]byte, len(s.Keys))
	for i, key := range s.Keys {
		keys[i] = [keySize]byte(key)
	}
	return keys
}
