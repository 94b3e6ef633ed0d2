package elb

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/gaissmai/bart"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/elb/proxyheader"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
)

// Why a connection is closed whose header is in order, and the words it is
// counted under; proxyheader has the others.
var (
	errNotAllowed = errors.New("not_allowed")
	errForged     = errors.New("forged")
	errCrowded    = errors.New("crowded")
)

// refusals are the errors that connections are closed with after they were
// accepted.
var refusals = []error{
	proxyheader.ErrProbe, proxyheader.ErrMissing, proxyheader.ErrMalformed, proxyheader.ErrOversized,
	proxyheader.ErrRepeated, proxyheader.ErrTimeout, errNotAllowed, errForged, errCrowded,
}

var connections = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: metric.Namespace,
	Subsystem: "elb",
	Name:      "connections_total",
	Help: "Connections through a TCP balancer by server and result: accepted, local (the balancer's health checks), probe (closed " +
		"before a byte), and why others were closed: untrusted_peer, missing, malformed, oversized, repeated, timeout, " +
		"not_allowed, forged, crowded.",
}, []string{"server", "result"})

// connectionCounts are the counters of one server.
type connectionCounts struct {
	accepted, local, untrusted prometheus.Counter
	refused                    map[error]prometheus.Counter
}

func newConnectionCounts(server string) connectionCounts {
	c := connectionCounts{
		accepted:  connections.WithLabelValues(server, "accepted"),
		local:     connections.WithLabelValues(server, "local"),
		untrusted: connections.WithLabelValues(server, "untrusted_peer"),
		refused:   make(map[error]prometheus.Counter, len(refusals)),
	}
	for _, err := range refusals {
		c.refused[err] = connections.WithLabelValues(server, err.Error())
	}
	return c
}

// listenerGate decides about connections from the balancer, by their headers. It
// implements proxyheader.Gate.
type listenerGate struct {
	// ids are what connections have to bear one of, each behind the name of its
	// rule. nil: nothing.
	ids       map[string]struct{}
	preserved bool
	crowd     edge.Crowd
	// cdn are the addresses of a balancer in front of this one. They are not one
	// client's; nil: there is none.
	cdn    *bart.Lite
	count  connectionCounts
	logger *zap.Logger
}

// Admit implements proxyheader.Gate.
func (g *listenerGate) Admit(a *proxyheader.Addr) error {
	if !a.Local {
		if g.ids != nil && !g.bearsID(a) {
			return errNotAllowed
		}
		// Whoever reaches the server past the balancer can write any header. Where
		// the balancer keeps the client's address on the connection, the address
		// in the header says nothing new, and one that does is a lie. So is an
		// endpoint: connections through one come from the balancer's address.
		if g.preserved && (a.Client.Addr() != a.PeerAddr() || a.VPCEndpoint != "" || a.HasPSCConnection || a.HasLink) {
			return errForged
		}
	}
	if client, counts := g.counted(a); counts && !g.crowd.Enter(client) {
		return errCrowded
	}
	return nil
}

// Leave implements proxyheader.Gate.
func (g *listenerGate) Leave(a *proxyheader.Addr) {
	if client, counts := g.counted(a); counts {
		g.crowd.Leave(client)
	}
}

// counted returns the address for which a connection counts. The balancer's own
// connections do not, unless anybody's can be called that.
func (g *listenerGate) counted(a *proxyheader.Addr) (netip.Addr, bool) {
	peer := a.PeerAddr()
	if g.preserved {
		return peer, true
	}
	client := a.Client.Addr()
	return client, !a.Local && client != peer && (g.cdn == nil || !g.cdn.Contains(client))
}

func (g *listenerGate) bearsID(a *proxyheader.Addr) bool {
	has := func(rule, id string) bool {
		_, ok := g.ids[rule+id]
		return ok
	}
	return a.VPCEndpoint != "" && has(ruleVPCE, a.VPCEndpoint) ||
		a.HasPSCConnection && has(rulePSC, strconv.FormatUint(a.PSCConnection, 10)) ||
		a.HasLink && has(ruleLink, strconv.FormatUint(uint64(a.Link), 10))
}

// Settled implements proxyheader.Gate.
func (g *listenerGate) Settled(a *proxyheader.Addr, peer net.Addr, why error) {
	switch {
	case why != nil:
		g.count.refused[why].Inc()
		if c := g.logger.Check(zap.DebugLevel, "connection closed"); c != nil {
			c.Write(zap.Stringer("peer", peer), zap.String("result", why.Error()))
		}
	case a.Local:
		g.count.local.Inc()
	default:
		g.count.accepted.Inc()
	}
}

// balancedListener accepts connections from the balancer.
type balancedListener struct {
	net.Listener
	from    *bart.Lite
	rules   proxyheader.Rules
	timeout time.Duration
	gate    *listenerGate
}

// Accept implements net.Listener. It reads nothing from a connection: one that
// sends nothing would stop all others.
func (l *balancedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if !l.from.Contains(proxyheader.TCPAddr(conn.RemoteAddr())) {
			l.turnAway(conn)
			continue
		}
		return proxyheader.NewConn(conn, l.rules, time.Now().Add(l.timeout), l.gate), nil
	}
}

// turnAway closes a connection from elsewhere. A reset leaves nothing behind,
// and does not wait for what is on its way.
func (l *balancedListener) turnAway(conn net.Conn) {
	l.gate.count.untrusted.Inc()
	if c := l.gate.logger.Check(zap.DebugLevel, "connection closed"); c != nil {
		c.Write(zap.Stringer("peer", conn.RemoteAddr()), zap.String("result", "untrusted_peer"))
	}
	if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// Interface guards
var _ proxyheader.Gate = (*listenerGate)(nil)
