// Package keysets opens the keys of an issuer for guards that verify tokens: a
// fetched key set is shared by all that name its URL and outlives reloads, and it is
// fetched only once a configuration is in force.
package keysets

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwks"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// shared are the fetched key sets by their configuration.
var shared = lease.NewPool[*jwks.Source]()

// URL is Fetched for a key set on the internet, or on this machine.
func URL(ctx caddy.Context, config *suite.Config, guard, url string) (jwt.KeySource, io.Closer, error) {
	return Fetched(ctx, config, guard, jwks.Config{URL: url})
}

// Fetched takes a share of a fetched key set, which begins to be fetched when this
// configuration has started: not before, because a configuration that is only
// validated must not reach out. From then on its last good keys are kept in the
// configuration's storage. Readiness waits for it, under the name of the guard.
// Close what it returns in Cleanup, also beside an error, if it is not nil.
func Fetched(ctx caddy.Context, config *suite.Config, guard string, from jwks.Config) (jwt.KeySource, io.Closer, error) {
	if err := metric.Register(ctx, jwks.Collectors...); err != nil {
		return nil, nil, err
	}
	from = from.Complete()
	share, err := shared.Take(from, func() (*jwks.Source, error) { return jwks.New(from, log) })
	if err != nil {
		return nil, nil, err
	}
	held := &user{share: share, storage: ctx.Storage()}
	events, err := ctx.App("events")
	if err == nil {
		err = events.(*caddyevents.App).On("started", held)
	}
	if err != nil {
		return nil, held, err
	}
	source := share.Value()
	config.Ready(guard+" jwks "+from.URL, source.Ready)
	return source, held, nil
}

// File opens a key file and refuses one that cannot verify any of the algorithms. The
// configuration is told of what the file says when it is read. Close what it returns in Cleanup, also beside an error, if it is not nil.
func File(config *suite.Config, logger *zap.Logger, path string, algorithms []string) (jwt.KeySource, io.Closer, error) {
	file, err := jwks.OpenFile(path, algorithms, func(e jwks.Event) {
		log(e)
		if e.Err == nil {
			config.Reread(path)
		}
	})
	if err != nil {
		return nil, nil, err
	}
	config.Reread(path) // the digest may be older
	set, err := file.Keys(time.Now())
	if err != nil {
		return nil, file, err
	}
	if len(set.Skipped()) > 0 {
		logger.Warn("some keys are not used", zap.String("key_file", path), zap.Errors("reasons", set.Skipped()))
	}
	return file, file, nil
}

// user is a configuration's share of a source.
type user struct {
	share   *lease.Lease[*jwks.Source]
	storage certmagic.Storage

	mu     sync.Mutex
	detach func() // nil until the configuration has started
	closed bool
}

// Handle implements caddyevents.Handler: the configuration has started.
func (u *user) Handle(context.Context, caddy.Event) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed || u.detach != nil {
		return nil
	}
	source := u.share.Value()
	u.detach = func() {}
	if u.storage != nil {
		u.detach = source.Attach(&storage{u.storage})
	}
	source.Start()
	return nil
}

// Close gives the share back, and leaves the storage alone from now on.
func (u *user) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	if u.detach != nil {
		u.detach()
		u.detach = func() {}
	}
	return u.share.Release()
}

// storage is a jwks.Storage in Caddy's.
type storage struct{ in certmagic.Storage }

// Load implements jwks.Storage.
func (s *storage) Load(ctx context.Context, key string, limit int64) ([]byte, error) {
	info, err := s.in.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	if info.Size > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", key, limit)
	}
	return s.in.Load(ctx, key)
}

// Store implements jwks.Storage.
func (s *storage) Store(ctx context.Context, key string, value []byte) error {
	return s.in.Store(ctx, key, value)
}

// log writes what a source of keys has to say. Some outlive configurations, so it
// logs through whichever is in force.
func log(e jwks.Event) {
	log := caddy.Log().Named("jwks").With(zap.String("keys", e.Source))
	inForce := 0
	if e.Keys != nil {
		inForce = e.Keys.Len()
	}
	switch {
	case e.Storage && e.Err != nil:
		log.Warn("the storage of last good key sets", zap.Error(e.Err))
	case e.Err != nil:
		log.Warn("the key set could not be read", zap.Int("keys_in_force", inForce), zap.Error(e.Err))
	case e.Storage:
		log.Info("the last good key set is in force until one is fetched", zap.Int("keys_in_force", inForce))
	default:
		log.Info("the key set is in force", zap.Int("keys_in_force", inForce), zap.Errors("not_used", e.Keys.Skipped()))
	}
}
