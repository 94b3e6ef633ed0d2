package store

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"github.com/valkey-io/valkey-go"
)

// DefaultPrefix begins the names of everything in Redis if nothing is configured.
const DefaultPrefix = "sallyport"

// Redis is the store that all gateways of one prefix share.
type Redis struct {
	*Client
	prefix      string
	claims      string   // begins the names of claims
	revocations []string // the names of the list's keys
}

// NewRedis returns a store that uses client as long as the caller has its lease.
func NewRedis(client *Client, prefix string) *Redis {
	// One slot of a cluster has the whole list, because of the braces.
	list := "{" + prefix + ":revocations}:"
	return &Redis{Client: client, prefix: prefix, claims: prefix + ":claim:", revocations: []string{list + "entries", list + "log", list + "marks"}}
}

// Claim implements Store. It ends with the timeout of the client. The command is
// not repeated: the second one would find the claim of the first.
func (r *Redis) Claim(ctx context.Context, key string, ttl time.Duration) (first bool, err error) {
	if err := checkClaim(ctx, ttl); err != nil {
		return false, err
	}
	d := digestOf(key)
	name := r.claims + base64.RawURLEncoding.EncodeToString(d[:])
	life := (ttl + time.Millisecond - 1).Milliseconds() // never shorter
	answer, err := r.Do(ctx, func(b valkey.Builder) valkey.Completed {
		return b.Set().Key(name).Value("").Nx().PxMilliseconds(life).Build()
	})
	if errors.Is(err, ErrNil) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if text, err := answer.ToString(); err != nil || text != "OK" {
		return false, &Error{Store: r.Name(), Reason: ReasonRefused, Err: errMalformed}
	}
	return true, nil
}

// Interface guards
var _ Store = (*Redis)(nil)
