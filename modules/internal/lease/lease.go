// Package lease keeps state alive over configuration reloads. Caddy provisions
// a new configuration before it cleans the old one up, and cleans a rejected one
// up as well; state that both share lives in a caddy.UsagePool and is freed with
// its last user.
//
// A Lease gives back only what it took. That matters: a Cleanup that releases
// every name it was configured with also releases, after a Provision that failed
// half way, the share of the configuration that is still running.
package lease

import (
	"io"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
)

// Pool holds values of one kind by key. It is safe for concurrent use; make one
// with NewPool in a package variable.
type Pool[T any] struct {
	pool *caddy.UsagePool
}

// NewPool returns an empty pool.
func NewPool[T any]() *Pool[T] {
	return &Pool[T]{pool: caddy.NewUsagePool()}
}

// Take returns a lease on the value stored under key, which must be comparable.
// If there is none, construct makes it; its error is returned as is and nothing
// is stored.
func (p *Pool[T]) Take(key any, construct func() (T, error)) (*Lease[T], error) {
	v, _, err := p.pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		value, err := construct()
		if err != nil {
			return nil, err
		}
		return held[T]{value}, nil
	})
	if err != nil {
		return nil, err
	}
	return &Lease[T]{pool: p.pool, key: key, value: v.(held[T]).value}, nil
}

// Lease is one user's share of a pooled value.
type Lease[T any] struct {
	pool     *caddy.UsagePool
	key      any
	value    T
	released atomic.Bool
}

// Value returns the shared value. It must not be used after Release.
func (l *Lease[T]) Value() T { return l.value }

// Release gives the share back. With the last one the value is closed, if it is
// an io.Closer. A nil lease and a second call do nothing, so that Cleanup can
// call it without asking how far Provision came.
func (l *Lease[T]) Release() error {
	if l == nil || l.released.Swap(true) {
		return nil
	}
	_, err := l.pool.Delete(l.key)
	return err
}

type held[T any] struct{ value T }

func (h held[T]) Destruct() error {
	if c, ok := any(h.value).(io.Closer); ok {
		return c.Close()
	}
	return nil
}
