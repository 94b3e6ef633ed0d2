package proxyheader

import (
	"net"
	"net/netip"
)

// Addr is the address of a connection's client, as its header says it. A
// connection's RemoteAddr is what comes through TLS, HTTP/2 and the wrappers of
// others, so it carries the header too. It is not changed once it is made.
type Addr struct {
	Header
	// Peer is where the connection itself comes from: the balancer.
	Peer net.Addr

	text string
}

func newAddr(h Header, peer net.Addr) *Addr {
	a := &Addr{Header: h, Peer: peer}
	if h.Local {
		a.text = peer.String()
	} else {
		a.text = h.Client.String()
	}
	return a
}

// Network implements net.Addr.
func (*Addr) Network() string { return "tcp" }

// String implements net.Addr: the client's address and port, the balancer's
// where there is no client.
func (a *Addr) String() string { return a.text }

// Unwrap returns the address of the peer.
func (a *Addr) Unwrap() net.Addr { return a.Peer }

// PeerAddr returns the address of the peer, unmapped and without zone; it is
// invalid unless that is TCP.
func (a *Addr) PeerAddr() netip.Addr { return TCPAddr(a.Peer) }

// TCPAddr returns the IP address in a, unmapped and without zone, or the zero
// Addr if a is not the address of a TCP socket.
func TCPAddr(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

// Find returns the Addr in a, also where wrappers of listeners put an address of
// their own around it that offers Unwrap() net.Addr; nil when there is none.
func Find(a net.Addr) *Addr {
	for a != nil {
		if found, ok := a.(*Addr); ok {
			return found
		}
		wrapper, ok := a.(interface{ Unwrap() net.Addr })
		if !ok {
			return nil
		}
		a = wrapper.Unwrap()
	}
	return nil
}
