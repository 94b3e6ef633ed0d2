package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// sharedTickets is the word of `session_tickets`: the module tls.stek.shared.
const sharedTickets = "shared"

// How keys are replaced: a session can be resumed for two days at most. All
// gateways have to agree on it.
const (
	ticketKeyInterval = 12 * time.Hour
	ticketKeys        = 4
)

// tickets gives the keys of a provider to every server of the configuration.
// Caddy's tls app could do so too, but only if its own configuration says so, and
// that the Caddyfile cannot write.
type tickets struct {
	provider caddytls.STEKProvider
	keys     [][32]byte // to begin with
	stopped  chan struct{}
	ended    chan struct{} // nil until start
}

// shareTickets prepares the keys, if the configuration asks for shared ones.
func (a *App) shareTickets(ctx caddy.Context) error {
	if a.SessionTicketsRaw == nil {
		return nil
	}
	module, err := ctx.LoadModule(a, "SessionTicketsRaw")
	if err != nil {
		return fmt.Errorf("session_tickets: %w", err)
	}
	provider, ok := module.(caddytls.STEKProvider)
	if !ok {
		return fmt.Errorf("session_tickets: %T makes no keys", module)
	}
	keys, err := provider.Initialize(&caddytls.SessionTicketService{
		RotationInterval: caddy.Duration(ticketKeyInterval), MaxKeys: ticketKeys,
	})
	if err != nil {
		return fmt.Errorf("session_tickets: %w", err)
	}
	a.tickets = &tickets{provider: provider, keys: keys, stopped: make(chan struct{})}
	return nil
}

// alone returns an error if the tls app has keys of its own: the one that gives
// them last would win. Ask at the end of Provision: the tls app is provisioned for
// it, unless it is already or one of its modules is what wants this app, and its
// modules find this one as far as it is.
func (t *tickets) alone(ctx caddy.Context) error {
	if t == nil {
		return nil
	}
	app, err := ctx.AppIfConfigured("tls")
	if err == nil && app.(*caddytls.TLS).SessionTickets != nil {
		return errors.New("session_tickets: the tls app has session_tickets of its own, remove one of them")
	}
	return nil // what is wrong with the tls app is for Caddy to say
}

// start gives the keys to the servers, which listen already: a ticket that one of
// them issued before is not resumed, which costs its client a full handshake.
func (t *tickets) start(ctx caddy.Context) {
	if t == nil {
		return
	}
	configs, err := serverConfigs(ctx)
	if err != nil {
		ctx.Logger().Error("session tickets are not shared: " + err.Error())
	}
	give := func(keys [][32]byte) {
		for _, config := range configs {
			config.SetSessionTicketKeys(keys)
		}
	}
	give(t.keys)
	t.ended = make(chan struct{})
	fresh := t.provider.Next(t.stopped)
	go func() {
		defer close(t.ended)
		for {
			select {
			case <-t.stopped:
				return
			case keys := <-fresh:
				give(keys)
			}
		}
	}()
}

// stop ends what start began. Call it once.
func (t *tickets) stop() {
	if t == nil {
		return
	}
	close(t.stopped)
	if t.ended != nil {
		<-t.ended
	}
}

// serverConfigs are those that connections are made with: Caddy builds one for
// each connection policy and exports it to be adjusted.
func serverConfigs(ctx caddy.Context) ([]*tls.Config, error) {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		if errors.Is(err, caddy.ErrNotConfigured) {
			return nil, nil
		}
		return nil, err
	}
	var configs []*tls.Config
	for _, server := range app.(*caddyhttp.App).Servers {
		for _, policy := range server.TLSConnPolicies {
			if policy.TLSConfig != nil {
				configs = append(configs, policy.TLSConfig)
			}
		}
	}
	return configs, nil
}
