package tlspolicy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

func init() {
	caddy.RegisterModule(new(Tickets))
}

const (
	ticketsKey  = "sallyport/session_tickets.json" // in the storage
	ticketsLock = "sallyport_session_tickets"

	storageTimeout = 10 * time.Second
	retryInterval  = 30 * time.Second
	// lookInterval is how often the storage is read for what another gateway, or an
	// operator who deleted the keys, has changed.
	lookInterval = 10 * time.Minute
)

// lastKeys are the keys that this process had last, for the time after a reload
// in which the storage is not read yet.
var lastKeys atomic.Pointer[keySet]

// Tickets shares the keys of TLS session tickets between gateways, through the
// storage of the configuration: a session that one began is resumed at any.
//
// Unlike Caddy's own tls.stek.distributed it does not need the storage to start,
// and goes on after an error: while the storage is away, a gateway uses the keys
// it has, at first some of its own.
type Tickets struct {
	storage  certmagic.Storage
	logger   *zap.Logger
	ctx      context.Context
	interval time.Duration
	keep     int
	away     bool // the last try failed
}

// CaddyModule returns the Caddy module information.
func (*Tickets) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "tls.stek.shared",
		New: func() caddy.Module { return new(Tickets) },
	}
}

// Provision implements caddy.Provisioner.
func (t *Tickets) Provision(ctx caddy.Context) error {
	t.storage, t.logger, t.ctx = ctx.Storage(), ctx.Logger(), ctx
	return nil
}

// Initialize implements caddytls.STEKProvider. It reads nothing.
func (t *Tickets) Initialize(config *caddytls.SessionTicketService) ([][32]byte, error) {
	t.interval, t.keep = time.Duration(config.RotationInterval), config.MaxKeys
	if t.interval <= 0 || t.keep < 2 || t.keep > mostKeys {
		return nil, fmt.Errorf("session tickets need a rotation_interval and max_keys between 2 and %d", mostKeys)
	}
	if last := lastKeys.Load(); last != nil {
		return last.arrays(), nil
	}
	return keySet{}.rotate(time.Now(), t.interval, t.keep).arrays(), nil
}

// Next implements caddytls.STEKProvider.
func (t *Tickets) Next(done <-chan struct{}) <-chan [][32]byte {
	keys := make(chan [][32]byte)
	go t.follow(done, keys)
	return keys
}

// follow sends the keys of the storage, now and whenever they change.
func (t *Tickets) follow(done <-chan struct{}, keys chan<- [][32]byte) {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	go func() {
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	}()
	var sent time.Time
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-done:
			return
		case <-timer.C:
		}
		set, err := t.current(ctx)
		if ctx.Err() != nil {
			return
		}
		t.tell(err)
		if err != nil {
			timer.Reset(retryInterval)
			continue
		}
		if !set.Rotated.Equal(sent) {
			lastKeys.Store(&set)
			select {
			case <-done:
				return
			case keys <- set.arrays():
				sent = set.Rotated
			}
		}
		timer.Reset(min(lookInterval, max(time.Until(set.Rotated.Add(t.interval)), time.Second)))
	}
}

// tell logs when the storage goes away and when it is back.
func (t *Tickets) tell(err error) {
	switch {
	case err != nil && !t.away:
		t.logger.Error("session ticket keys cannot be shared: sessions are resumed with the keys at hand", zap.Error(err))
	case err == nil && t.away:
		t.logger.Info("session ticket keys are shared again")
	}
	t.away = err != nil
}

// current returns the stored keys, and makes or replaces them if it is time to.
// It locks only for that.
func (t *Tickets) current(ctx context.Context) (keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	set, err := t.load(ctx)
	if err != nil || !set.due(time.Now(), t.interval) {
		return set, err
	}
	if err := t.storage.Lock(ctx, ticketsLock); err != nil {
		return keySet{}, fmt.Errorf("locking: %w", err)
	}
	defer func() {
		// Also when ctx has ended meanwhile.
		_ = t.storage.Unlock(context.WithoutCancel(ctx), ticketsLock)
	}()
	set, err = t.load(ctx)
	if err != nil || !set.due(time.Now(), t.interval) {
		return set, err
	}
	set = set.rotate(time.Now(), t.interval, t.keep)
	data, err := set.encode()
	if err != nil {
		return keySet{}, err
	}
	return set, t.storage.Store(ctx, ticketsKey, data)
}

// load returns the stored keys, none if there are none yet. Damaged ones are an
// error and stay: another gateway may be able to read them, with the right key of
// the storage.
func (t *Tickets) load(ctx context.Context) (keySet, error) {
	data, err := t.storage.Load(ctx, ticketsKey)
	if errors.Is(err, fs.ErrNotExist) {
		return keySet{}, nil
	}
	if err != nil {
		return keySet{}, err
	}
	return parseKeySet(data)
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Tickets)(nil)
	_ caddytls.STEKProvider = (*Tickets)(nil)
)
