package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"
)

// Store is what gateways remember together, or, with Memory, this process alone.
// Each method is one kind of state; the next ones get theirs here, in Memory and in
// Redis. It is safe for concurrent use. It does not choose what happens while it
// cannot answer: every method returns an error then, and each use decides.
type Store interface {
	// Name says where the store is.
	Name() string

	// Reachable returns nil if the store answered the last time. It does not wait.
	Reachable() error

	// Claim reports whether nobody claimed key in the last ttl: of all who claim one
	// key, in all gateways of the store, one is first. It refuses replays. A claim
	// stays for ttl, more than 0 and at most LongestClaim, and nothing ends it before;
	// a later one that is not first does not prolong it.
	//
	// Everything that claims shares one space of keys: begin them with the name of the
	// use. They may have any length and any bytes. The store has only their SHA-256,
	// of which 128 bits.
	//
	// After an error nobody knows whether the claim was made, or still will be: the
	// answer may be what got lost. So it must count as not first. Whoever repeats the
	// request may find that it is not first either.
	Claim(ctx context.Context, key string, ttl time.Duration) (first bool, err error)

	Revocations
}

// LongestClaim bounds for how long one claim can take up room.
const LongestClaim = 24 * time.Hour

// digest stands for a key. To be refused somebody else's key, one has to find a
// second preimage of 128 bits.
type digest [16]byte

func digestOf(key string) digest {
	var room [256]byte // most keys fit, and need no allocation
	sum := sha256.Sum256(append(room[:0], key...))
	return digest(sum[:len(digest{})])
}

// checkClaim returns why a claim cannot be made at all.
func checkClaim(ctx context.Context, ttl time.Duration) error {
	if ttl <= 0 || ttl > LongestClaim {
		return fmt.Errorf("a claim for %s: not more than 0 and at most %s", ttl, LongestClaim)
	}
	return ctx.Err()
}
