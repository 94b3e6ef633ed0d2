// Package keysets opens the keys of an issuer for guards that verify tokens: a
// fetched key set is shared by all that name its URL and outlives reloads, and it is
// fetched only once a configuration is in force.
package keysets

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwks"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// shared are the fetched key sets by URL.
var shared = lease.NewPool[*jwks.Source]()

// URL takes a share of the fetched key set at url, which begins to be fetched when
// this configuration has started: not before, because a configuration that is only
// validated must not reach out. Readiness waits for it, under the name of the guard.
// Close what it returns in Cleanup.
func URL(ctx caddy.Context, config *suite.Config, guard, url string) (jwt.KeySource, io.Closer, error) {
	if err := metric.Register(ctx, jwks.Collectors...); err != nil {
		return nil, nil, err
	}
	share, err := shared.Take(url, func() (*jwks.Source, error) { return jwks.New(url, log) })
	if err != nil {
		return nil, nil, err
	}
	source := share.Value()
	events, err := ctx.App("events")
	if err == nil {
		err = events.(*caddyevents.App).On("started", starter{source})
	}
	if err != nil {
		return nil, releaser{share}, err
	}
	config.Ready(guard+" jwks "+url, source.Ready)
	return source, releaser{share}, nil
}

// File opens a key file and refuses one that cannot verify any of the algorithms. The
// configuration is told of what the file says when it is read. Close what it returns in Cleanup, also beside an error, if it is not nil.
func File(config *suite.Config, logger *zap.Logger, path string, algorithms []string) (jwt.KeySource, io.Closer, error) {
	file, err := jwks.OpenFile(path, func(e jwks.Event) {
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
	if !set.Serves(algorithms) {
		return nil, file, fmt.Errorf("key file %s: no key fits the algorithms %s", path, strings.Join(algorithms, ", "))
	}
	if len(set.Skipped()) > 0 {
		logger.Warn("some keys are not used", zap.String("key_file", path), zap.Errors("reasons", set.Skipped()))
	}
	return file, file, nil
}

// releaser closes by giving a share back.
type releaser struct {
	share *lease.Lease[*jwks.Source]
}

func (r releaser) Close() error { return r.share.Release() }

// starter starts a source when its configuration has started.
type starter struct {
	source *jwks.Source
}

// Handle implements caddyevents.Handler.
func (s starter) Handle(context.Context, caddy.Event) error {
	s.source.Start()
	return nil
}

// log writes what a source of keys has to say. Some outlive configurations, so it
// logs through whichever is in force.
func log(e jwks.Event) {
	log := caddy.Log().Named("jwks").With(zap.String("keys", e.Source))
	inForce := 0
	if e.Keys != nil {
		inForce = e.Keys.Len()
	}
	if e.Err != nil {
		log.Warn("the key set could not be read", zap.Int("keys_in_force", inForce), zap.Error(e.Err))
		return
	}
	log.Info("the key set is in force", zap.Int("keys_in_force", inForce), zap.Errors("not_used", e.Keys.Skipped()))
}
