package desync

import (
	"bytes"
	"net"
	"net/http"
	"sync/atomic"
)

// switching is what a response begins with that switches protocols.
var switching = []byte("HTTP/1.1 101 ")

// upgrade tells by what a connection reads and writes when its protocol is
// switched. net/http sends the 101 first and reports the connection as hijacked
// later; a client that speaks in between would have its first frame judged as HTTP.
//
// So the connection is let go in front of the 101. A response's status line is
// net/http's own, but its body may be the caller's. Therefore only the first write
// after a request counts, and only if no other request was under way when that one
// came, and nothing came behind it. In all other cases net/http's report is
// waited for.
type upgrade struct {
	underWay atomic.Int32 // requests whose heads came and that are not done with
	phase    atomic.Int32
}

// The phases of an upgrade.
const (
	upgradeNone     = iota // or something was written, or came, since
	upgradeHead            // the head came, but not all of the body
	upgradeComplete        // all of the request came, and nothing else
)

// begin takes a head that came.
func (u *upgrade) begin(wanted bool) {
	switch alone := u.underWay.Add(1) == 1; {
	case alone && wanted:
		u.phase.Store(upgradeHead)
	case u.phase.Load() != upgradeNone:
		u.phase.Store(upgradeNone)
	}
}

// complete says that nothing of a request is outstanding.
func (u *upgrade) complete() {
	if u.phase.Load() == upgradeHead {
		u.phase.CompareAndSwap(upgradeHead, upgradeComplete)
	}
}

// early says that more comes: after a complete request, before its answer.
func (u *upgrade) early() {
	if u.phase.Load() == upgradeComplete {
		u.phase.CompareAndSwap(upgradeComplete, upgradeNone)
	}
}

// answered takes the beginning of what is about to be written, and reports
// whether that switches the protocol.
func (u *upgrade) answered(p []byte) bool {
	return u.phase.Load() != upgradeNone && u.phase.Swap(upgradeNone) == upgradeComplete && bytes.HasPrefix(p, switching)
}

// done says that a request is done with, and its answer written.
func (u *upgrade) done() { u.underWay.Add(-1) }

// follow sees the states of connections. It stops judging one that a handler took
// over, which happens when the protocol is switched: what comes from now on is not
// HTTP. The connection given here is Caddy's wrapper of ours, which only shows in
// its address.
func follow(c net.Conn, state http.ConnState) {
	if state != http.StateHijacked && state != http.StateIdle {
		return
	}
	for a := c.RemoteAddr(); a != nil; {
		if ours, ok := a.(*addr); ok {
			ours.conn.follow(state)
			return
		}
		outer, ok := a.(interface{ Unwrap() net.Addr })
		if !ok {
			return
		}
		a = outer.Unwrap()
	}
}

func (c *conn) follow(state http.ConnState) {
	switch {
	case state == http.StateHijacked:
		c.hijacked.Store(true)
	case c.hijacked.Load():
		// A 101 that nobody took the connection over for, as `respond 101` writes
		// it. The client may take what follows for anything: nothing may.
		_ = c.Close()
	default:
		c.upgrade.done()
	}
}
