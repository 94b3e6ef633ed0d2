package store

import (
	"context"
	"encoding/json"
	"fmt"
	"net"

	"github.com/caddyserver/caddy/v2"
	"github.com/valkey-io/valkey-go"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
)

// Lease is a share of a client, to be released when it is not used any more.
type Lease = lease.Lease[*Client]

var clients = lease.NewPool[*Client]()

// Open returns a share of the client of c, one for all equal configurations. It
// reads the files and variables that c names, to report those that are missing,
// and connects to nothing.
func Open(ctx caddy.Context, c Config) (*Lease, error) {
	compiled, err := c.compile()
	if err != nil {
		return nil, err
	}
	if err := metric.Register(ctx, collectors...); err != nil {
		return nil, err
	}
	if _, err := login(compiled.username, compiled.password); err != nil {
		return nil, err
	}
	if _, err := c.tlsConfig(); err != nil {
		return nil, err
	}
	if compiled.exposed() {
		ctx.Logger().Warn("the password goes to the store unencrypted: use rediss://", zap.String("store", compiled.endpoints[0].addr))
	}
	c.Timeout = caddy.Duration(c.CommandTimeout()) // written or not, it is the same client
	key, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return clients.Take(string(key), func() (*Client, error) { return newClient(c, compiled, string(key)) })
}

// Share returns one more share of an open client.
func (c *Client) Share() (*Lease, error) {
	return clients.Take(c.key, func() (*Client, error) {
		return nil, &Error{Store: c.name, Reason: ReasonClosed, Err: errClosed}
	})
}

func newClient(c Config, r *compiled, key string) (*Client, error) {
	timeout := c.CommandTimeout()
	name := r.endpoints[0].addr
	client := &Client{
		name: name, key: key, timeout: timeout, count: outcomesOf(name), gauge: shownGauge(name),
		logger: func() *zap.Logger { return caddy.Log().Named("sallyport.store") },
	}
	client.end, client.finish = context.WithCancel(context.Background())
	client.single = !c.cluster() && c.Sentinel == nil
	client.connect = func(life context.Context) (valkey.Client, error) {
		option, err := c.option(r, timeout)
		if err != nil {
			return nil, fmt.Errorf("before connecting: %w", err)
		}
		option.DialCtxFn = boundTo(life, c.Sentinel != nil, option.DialCtxFn)
		return valkey.NewClient(option)
	}
	return client, nil
}

// exposed reports whether a password goes over a network in the clear.
func (r *compiled) exposed() bool {
	if r.tls {
		return false
	}
	if r.password != "" && r.elsewhere {
		return true
	}
	for _, e := range r.endpoints {
		host, _, _ := net.SplitHostPort(e.addr)
		near := e.network == "unix" || host == "localhost" || net.ParseIP(host).IsLoopback()
		if !near && (r.password != "" || e.password != "") {
			return true
		}
	}
	return false
}
