package app

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/store"
)

const (
	inMemory = "memory"
	inRedis  = "redis"

	// storeTimeout is not that of other users of a store: requests wait for these
	// commands.
	storeTimeout = 20 * time.Millisecond

	longestPrefix = 64
)

// Store says where the state is that gateways share. With Provider redis it has the
// options of the client, of which Timeout defaults to 20ms here.
type Store struct {
	// Provider is memory, of this process, or redis. Default: memory.
	Provider string `json:"provider,omitempty"`

	store.Config

	// Prefix begins the names of everything in Redis. Gateways with one prefix share.
	// Default: sallyport.
	Prefix string `json:"prefix,omitempty"`
}

// openStore takes a share of the store. Nothing is connected.
func (a *App) openStore(ctx caddy.Context) error {
	if a.Store.Provider != inRedis {
		memory, err := store.OpenMemory(ctx)
		if err != nil {
			return err
		}
		a.suite.Shared, a.release = memory.Value(), memory.Release
		return nil
	}
	config, prefix := a.Store.Config, a.Store.Prefix
	if config.Timeout == 0 {
		config.Timeout = caddy.Duration(storeTimeout)
	}
	if prefix == "" {
		prefix = store.DefaultPrefix
	}
	client, err := store.Open(ctx, config)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	a.suite.Shared, a.release = store.NewRedis(client.Value(), prefix), client.Release
	return nil
}

// closeStore gives the share back, if there is one.
func (a *App) closeStore() error {
	if a.release == nil {
		return nil
	}
	return a.release()
}

// check returns everything that is wrong with the options.
func (s *Store) check() error {
	switch s.Provider {
	case "", inMemory:
		if !reflect.ValueOf(s.Config).IsZero() || s.Prefix != "" {
			return errors.New("the provider memory has no options; that of options is redis")
		}
		return nil
	case inRedis:
		return errors.Join(s.Config.Check(), checkPrefix(s.Prefix))
	}
	return fmt.Errorf("provider %q is not memory or redis", s.Provider)
}

func checkPrefix(s string) error {
	strange := strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:/", r)
	})
	if len(s) > longestPrefix || strange {
		return fmt.Errorf("prefix is not 1 to %d letters, digits and - _ . : /", longestPrefix)
	}
	return nil
}

// unmarshal reads the option:
//
//	store memory | redis {
//		<options of package store, for redis>
//		prefix <text>
//	}
func (s *Store) unmarshal(d *caddyfile.Dispenser) error {
	if err := read.Word(d, &s.Provider, inMemory, inRedis); err != nil {
		return err
	}
	begin := *d // errors of the whole are said to be where it begins
	if s.Provider == inMemory {
		return read.Block(d, nil, func(o *caddyfile.Dispenser) error {
			return o.Errf("store memory has no options, and so no %q", o.Val())
		})
	}
	err := read.Block(d, []string{"address"}, func(o *caddyfile.Dispenser) error {
		if known, err := s.Config.Option(o); known {
			return err
		}
		if o.Val() != "prefix" {
			return read.Unknown(o, slices.Concat(store.Options, []string{"prefix"})...)
		}
		return read.Value(o, func(text string) (string, error) {
			if text == "" {
				return "", errors.New("empty")
			}
			return text, checkPrefix(text)
		}, &s.Prefix)
	})
	if checked := s.check(); checked != nil {
		err = errors.Join(err, begin.WrapErr(checked))
	}
	return err
}
