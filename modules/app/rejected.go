package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"
	_ "unsafe" // for go:linkname

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// inForce is what the configuration that runs has, and a rejected one must give
// back.
var inForce struct {
	logger atomic.Pointer[zap.Logger]
	admin  atomic.Bool // it has an admin endpoint
	// restoring is the configuration in force while it waits to be loaded again.
	restoring atomic.Pointer[[]byte]
}

// What Caddy knows of its configurations and has no exported way to ask for. All
// is guarded by its lock: Provision and Cleanup run while a load holds it.
var (
	// configInForce is the configuration that runs, as JSON.
	//
	//go:linkname configInForce github.com/caddyserver/caddy/v2.rawCfgJSON
	configInForce []byte

	// configLoading has the configuration that is being loaded under "config".
	//
	//go:linkname configLoading github.com/caddyserver/caddy/v2.rawCfg
	configLoading map[string]any

	// loading is held while a configuration is loaded.
	//
	//go:linkname loading github.com/caddyserver/caddy/v2.rawCfgMu
	loading sync.RWMutex
)

// giveBack undoes what loading a rejected configuration changed beyond itself.
//
// The default logger stays the rejected one's, which may be without redaction.
//
// The admin endpoint was replaced already if the configuration got past Admin's
// Provision (it failed to start: a port in use) or never came there (it says
// `admin off`). The only way back is to load the configuration in force again,
// which reads its files again.
func (a *App) giveBack() {
	if inForce.logger.Load() == nil {
		return // the first configuration of the process, or `caddy validate`
	}
	restoreLogger()
	if a.adminKept || !inForce.admin.Load() || len(configInForce) == 0 {
		return
	}
	config := bytes.Clone(configInForce)
	if !inForce.restoring.CompareAndSwap(nil, &config) {
		return // this is the attempt to restore it, or one is on its way
	}
	go func() {
		defer inForce.restoring.Store(nil)
		if err := caddy.Load(config, true); err != nil {
			caddy.Log().Error("restoring the admin endpoint after a rejected configuration", zap.Error(err))
		}
	}()
}

var errSuperseded = errors.New("another configuration has come into force")

// checkSuperseded refuses to restore a configuration when another one came into
// force while it waited for Caddy's lock.
func checkSuperseded() error {
	restoring := inForce.restoring.Load()
	if restoring == nil || bytes.Equal(configInForce, *restoring) {
		return nil
	}
	if config, err := json.Marshal(configLoading["config"]); err == nil && bytes.Equal(config, *restoring) {
		return errSuperseded
	}
	return nil
}

func restoreLogger() {
	if logger := inForce.logger.Load(); caddy.Log() != logger {
		caddy.BufferedLog()
		caddy.UnbufferDefaultLogger(logger)
	}
}

// watchLogger restores the default logger after a configuration that was rejected
// before it had any app which could: Caddy opens logs first, and one that cannot
// be opened ends there. It returns when done is closed.
func watchLogger(done <-chan struct{}) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		if loading.TryRLock() {
			restoreLogger()
			loading.RUnlock()
		}
	}
}
