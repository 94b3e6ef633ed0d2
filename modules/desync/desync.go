package desync

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/desync/framing"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
)

func init() {
	caddy.RegisterModule(new(Wrapper))
}

// The modes.
const (
	modeMonitor   = "monitor"
	modeDefensive = "defensive"
	modeStrictest = "strictest"
)

var requests = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: metric.Namespace,
	Subsystem: "desync",
	Name:      "requests_total",
	Help: "HTTP/1 requests by what their framing led to: forwarded, closed (forwarded alone on a connection that then closes), " +
		"refused, or monitored (mode monitor let pass what another mode would not).",
}, []string{"server", "verdict", "reason"})

// Wrapper judges the framing of HTTP/1 requests before net/http reads, and
// repairs, them. HTTP/2 and upgraded connections pass untouched.
type Wrapper struct {
	// Mode says what becomes of requests whose framing is not compliant:
	// "monitor" counts them, "defensive" forwards ambiguous ones alone on a
	// connection that then closes and refuses severe ones, "strictest" refuses all
	// of them. Default: "defensive".
	Mode string `json:"mode,omitempty"`

	logger  *zap.Logger
	server  string
	usual   prometheus.Counter // compliant requests
	monitor bool
	limit   framing.Class
}

// CaddyModule returns the Caddy module information.
func (*Wrapper) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.listeners.desync",
		New: func() caddy.Module { return new(Wrapper) },
	}
}

// Provision implements caddy.Provisioner.
func (w *Wrapper) Provision(ctx caddy.Context) error {
	// The edge is needed, whatever else stands on the server: without it, the rest
	// of a body that is cut is served as a request, which nobody judged.
	server, err := edge.Of(ctx)
	if err != nil {
		return fmt.Errorf("desync: %w", err)
	}
	if err := errors.Join(w.compile(), checkPlace(server.Caddy())); err != nil {
		return err
	}
	w.logger = ctx.Logger()
	w.server = server.Name()
	w.usual = requests.WithLabelValues(w.server, forwarded, framing.None.String())
	server.Caddy().RegisterConnState(follow)
	return metric.Register(ctx, requests)
}

// compile reads the mode.
func (w *Wrapper) compile() error {
	switch w.Mode {
	case modeMonitor:
		w.monitor, w.limit = true, framing.Severe
	case "", modeDefensive:
		w.limit = framing.Severe
	case modeStrictest:
		w.limit = framing.Acceptable
	default:
		return fmt.Errorf("desync: mode %q: not one of %s, %s, %s", w.Mode, modeMonitor, modeDefensive, modeStrictest)
	}
	return nil
}

// checkPlace refuses a server on which the wrapper would see ciphertext, or each
// request twice. Listener wrappers are provisioned while their JSON is still
// there, and after automatic HTTPS made the connection policies.
func checkPlace(server *caddyhttp.Server) error {
	var count, first int
	tlsAt := -1
	for i, raw := range server.ListenerWrappersRaw {
		var module struct {
			Wrapper string `json:"wrapper"`
		}
		if err := json.Unmarshal(raw, &module); err != nil {
			return err
		}
		switch module.Wrapper {
		case "tls":
			tlsAt = i
		case "desync":
			if count++; count == 1 {
				first = i
			}
		}
	}
	var errs []error
	if count > 1 {
		errs = append(errs, errors.New("desync stands twice among the server's listener wrappers"))
	}
	if first < tlsAt && len(server.TLSConnPolicies) > 0 {
		errs = append(errs, errors.New("desync has to stand after tls among the server's listener wrappers: in front of it there is only ciphertext"))
	}
	return errors.Join(errs...)
}

// WrapListener implements caddy.ListenerWrapper.
func (w *Wrapper) WrapListener(inner net.Listener) net.Listener {
	return &listener{Listener: inner, wrapper: w}
}

// listener wraps what it accepts. Accept's error after Close is the inner
// listener's, which net/http needs to stop.
type listener struct {
	net.Listener
	wrapper *Wrapper
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := newConn(inner, l.wrapper)
	// Caddy tells by this method whether a connection is TLS, and warns of one
	// that has it without, or has it not with TLS.
	if _, ok := inner.(connectionStater); ok {
		return &tlsConn{c}, nil
	}
	return c, nil
}

type connectionStater interface {
	ConnectionState() tls.ConnectionState
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Wrapper)(nil)
	_ caddy.ListenerWrapper = (*Wrapper)(nil)
)
