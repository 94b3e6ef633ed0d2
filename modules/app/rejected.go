package app

import (
	"bytes"
	"sync/atomic"
	_ "unsafe" // for go:linkname

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// inForce is what the configuration that runs has, and a rejected one must give
// back.
var inForce struct {
	logger atomic.Pointer[zap.Logger]
	// restoring is set while the configuration in force is loaded again, so that
	// a failure of that does not start the next attempt.
	restoring atomic.Bool
}

// configInForce is Caddy's own copy of the configuration that runs, which it has
// no exported way to read. It is guarded by the lock that Caddy holds while it
// loads a configuration, so it may be read only in a Cleanup of a rejected one.
//
//go:linkname configInForce github.com/caddyserver/caddy/v2.rawCfgJSON
var configInForce []byte

// giveBack undoes what loading a rejected configuration changed beyond itself.
//
// The default logger stays the rejected one's, which may be without redaction.
//
// The admin endpoint was replaced already if the configuration got past Admin's
// Provision (it failed to start: a port in use) or never came there (it says
// `admin off`). The only way back is to load the configuration in force again.
func (a *App) giveBack() {
	logger := inForce.logger.Load()
	if logger == nil {
		return // the first configuration of the process, or `caddy validate`
	}
	if caddy.Log() != logger {
		caddy.BufferedLog()
		caddy.UnbufferDefaultLogger(logger)
	}
	if a.adminKept || len(configInForce) == 0 || inForce.restoring.Swap(true) {
		return
	}
	config := bytes.Clone(configInForce)
	go func() {
		defer inForce.restoring.Store(false)
		if err := caddy.Load(config, true); err != nil {
			logger.Error("restoring the admin endpoint after a rejected configuration", zap.Error(err))
		}
	}()
}
