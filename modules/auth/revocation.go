package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/revocation"
	"github.com/sallyport-gateway/sallyport/modules/internal/store"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// Revocation says where the tokens are listed that were revoked. At least one of File
// and Store is given.
type Revocation struct {
	// File is a file of revocations, written by `caddy sallyport revoke`. It is
	// reread when it changes. Default: none.
	File string `json:"file,omitempty"`

	// Store uses the list in the shared store of the sallyport app, which has to be
	// redis: into a process's own memory nothing writes. Default: false.
	Store bool `json:"store,omitempty"`

	// MaxAge is how old the gateway's copy of the store's list may be, 5s to 1h.
	// With an older one, tokens are answered with 503. Default: 30s.
	MaxAge caddy.Duration `json:"max_age,omitempty"`
}

// check returns everything that is wrong with the options.
func (r *Revocation) check() []error {
	var errs []error
	if r.File == "" && !r.Store {
		errs = append(errs, errors.New("revocation: file, store or both are needed"))
	}
	if r.MaxAge != 0 {
		if !r.Store {
			errs = append(errs, errors.New("revocation: max_age is that of store: a file is never too old"))
		}
		if d := time.Duration(r.MaxAge); d < revocation.ShortestMaxAge || d > revocation.LongestMaxAge {
			errs = append(errs, fmt.Errorf("revocation: max_age is not between %s and %s", revocation.ShortestMaxAge, revocation.LongestMaxAge))
		}
	}
	return errs
}

// unmarshal reads the option:
//
//	revocation {
//		file    <path>
//		store
//		max_age <duration>
//	}
func (r *Revocation) unmarshal(o *caddyfile.Dispenser) error {
	begin := *o
	err := read.Block(o, nil, func(o *caddyfile.Dispenser) error {
		switch o.Val() {
		case "file":
			return read.Value(o, valid(checkNotEmpty), &r.File)
		case "store":
			return read.Flag(o, &r.Store)
		case "max_age":
			return read.Duration(o, revocation.ShortestMaxAge, revocation.LongestMaxAge, &r.MaxAge)
		}
		return read.Unknown(o, "file", "store", "max_age")
	})
	if err != nil {
		return err
	}
	return located(begin, r.check())
}

var (
	// followers are the copies of stores' lists, which outlive reloads.
	followers = lease.NewPool[*follower]()
	// revocationFiles are the lists of files. A reload reads its file anew, and is
	// rejected with one that is wrong.
	revocationFiles = lease.NewPool[*revocation.File]()
)

// revocationFile is what revocationFiles are kept under.
type revocationFile struct {
	config *suite.Config
	path   string
}

// follower is a copy of a store's list with its share of the store.
type follower struct {
	*revocation.Follower
	store *store.Shared
}

// Close implements io.Closer, for the pool.
func (f *follower) Close() error {
	return errors.Join(f.Follower.Close(), f.store.Release())
}

// openRevocations opens the lists of h.Revocation, nil where there are none.
func (b *builder) openRevocations() error {
	r := b.Revocation
	if r == nil {
		return nil
	}
	if err := metric.Register(b.ctx, revocation.Collectors...); err != nil {
		return err
	}
	judge := &revocation.Judge{MaxAge: cmp.Or(time.Duration(r.MaxAge), revocation.DefaultMaxAge)}
	b.revocations = judge
	return errors.Join(b.openRevocationFile(r, judge), b.openRevocationStore(r, judge))
}

func (b *builder) openRevocationFile(r *Revocation, judge *revocation.Judge) error {
	if r.File == "" {
		return nil
	}
	share, err := revocationFiles.Take(revocationFile{b.Suite(), r.File}, func() (*revocation.File, error) {
		return revocation.OpenFile(r.File, logRevocations)
	})
	if err != nil {
		return fmt.Errorf("revocation: %w", err)
	}
	b.hold(closer(share.Release))
	judge.File = share.Value()
	return nil
}

func (b *builder) openRevocationStore(r *Revocation, judge *revocation.Judge) error {
	if !r.Store {
		return nil
	}
	if _, ok := b.Suite().Store().(*store.Memory); ok {
		return errors.New("revocation: the store is the memory of this process, into which nothing writes revocations: " +
			"use `store redis` in the sallyport options, or a file")
	}
	shared, err := store.Share(b.Suite().Store())
	if err != nil {
		return fmt.Errorf("revocation: %w", err)
	}
	taken := false
	share, err := followers.Take(shared.Key, func() (*follower, error) {
		taken = true
		return &follower{revocation.Follow(shared, shared.Name(), logRevocations), shared}, nil
	})
	if !taken {
		err = errors.Join(err, shared.Release())
	}
	if err != nil {
		return fmt.Errorf("revocation: %w", err)
	}
	b.hold(closer(share.Release))
	judge.Store = share.Value().Follower
	b.Suite().Ready("auth revocations", judge.Store.Ready)
	events, err := b.ctx.App("events")
	if err != nil {
		return err
	}
	return events.(*caddyevents.App).On("started", revocationStarter{judge.Store})
}

// revoked returns what judges verified tokens, nil where nothing does.
func (b *builder) revoked() jwt.Revocations {
	b.judged = true
	return b.revocations
}

// closer makes an io.Closer of a function.
type closer func() error

// Close implements io.Closer.
func (c closer) Close() error { return c() }

// revocationStarter starts a follower when its configuration has started: one that is
// only validated must not reach out.
type revocationStarter struct {
	follower *revocation.Follower
}

// Handle implements caddyevents.Handler.
func (s revocationStarter) Handle(context.Context, caddy.Event) error {
	s.follower.Start()
	return nil
}

// logRevocations writes what a list has to say. Some outlive configurations, so it
// logs through whichever is in force.
func logRevocations(e revocation.Event) {
	log := caddy.Log().Named("auth.revocation").With(zap.String("source", e.Source), zap.Int("revocations_known", e.Records))
	if e.Err != nil {
		log.Error("the revocations could not be read", zap.Error(e.Err))
		return
	}
	log.Info("the revocations are in force")
}
