package suite

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// quiet is how long no connection may arrive before the clients count as gone.
// While two configurations run, each has a listening socket, and the kernel
// gives new connections to either: a client that is sent away may come back to
// the old one a few times, and what waits in that socket's queue when it is
// closed is lost.
const quiet = 250 * time.Millisecond

// Drain asks clients to leave this configuration's servers and waits until they
// have, at most limit, and not once the process is to end. Another configuration has to serve new connections
// already: Caddy closes idle connections when it stops a server, and a client
// that sends its next request on one at that moment loses it.
func (c *Config) Drain(limit time.Duration) {
	c.draining.Store(true)
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	look := time.NewTicker(quiet / 5)
	defer look.Stop()
	for {
		for gone := c.connections.gone(); gone != nil; {
			select {
			case <-gone:
				gone = nil
			case <-look.C:
				if caddy.Exiting() {
					return
				}
			case <-timeout.C:
				return
			}
		}
		_, before := c.connections.count()
		select {
		case <-time.After(quiet):
		case <-timeout.C:
			return
		}
		if open, arrived := c.connections.count(); open == 0 && arrived == before {
			return
		}
	}
}

// Draining reports whether responses should carry Connection: close (which
// HTTP/2 servers turn into GOAWAY).
func (c *Config) Draining() bool { return c.draining.Load() || caddy.Exiting() }

// TrackConnection follows a server's connections for Drain; register it with
// caddyhttp.Server.RegisterConnState.
func (c *Config) TrackConnection(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.connections.add(conn)
	case http.StateClosed, http.StateHijacked:
		c.connections.remove(conn)
	}
}

// connections are the open ones. The zero value is empty and ready to use.
type connections struct {
	mu      sync.Mutex
	open    map[net.Conn]struct{}
	arrived int
	waiting []chan struct{}
}

func (c *connections) add(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = make(map[net.Conn]struct{})
	}
	c.open[conn] = struct{}{}
	c.arrived++
}

func (c *connections) remove(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
	if len(c.open) > 0 {
		return
	}
	for _, w := range c.waiting {
		close(w)
	}
	c.waiting = nil
}

// gone returns a channel that is closed once no connection is open.
func (c *connections) gone() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := make(chan struct{})
	if len(c.open) == 0 {
		close(w)
	} else {
		c.waiting = append(c.waiting, w)
	}
	return w
}

// count returns how many connections are open and how many have arrived so far.
func (c *connections) count() (open, arrived int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open), c.arrived
}
