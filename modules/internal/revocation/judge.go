package revocation

import (
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

// The bounds of Judge.MaxAge.
const (
	DefaultMaxAge  = 30 * time.Second
	ShortestMaxAge = 5 * time.Second
	LongestMaxAge  = time.Hour
)

// Judge judges tokens by a file, a store, or both. It waits for nothing and allocates
// nothing.
type Judge struct {
	// File is nil where there is none.
	File *File
	// Store is nil where there is none.
	Store *Follower
	// MaxAge is how old the copy of the store's list may be. An older one is believed
	// in what it refuses, and no more in what it does not.
	MaxAge time.Duration
}

// Check implements jwt.Revocations.
func (j *Judge) Check(f *jwt.TokenFacts, now time.Time) error {
	if j.File != nil && j.File.refuses(f, now) || j.Store != nil && j.Store.refuses(f, now) {
		return jwt.ErrRevoked
	}
	if j.Store != nil && !j.Store.isFresh(now, j.MaxAge) {
		j.Store.Start() // in case nobody did
		return jwt.ErrRevocationUnknown
	}
	return nil
}

// Interface guards
var _ jwt.Revocations = (*Judge)(nil)
