package elb

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/sallyport-gateway/sallyport/modules/internal/clientip"
	"github.com/sallyport-gateway/sallyport/modules/internal/edge"
)

const (
	// idleMargin is how much longer than the balancer a server keeps an idle
	// connection, so that it is never the one to close it under a request.
	idleMargin = 30 * time.Second
	// idleAtLeast is Caddy's own default.
	idleAtLeast = 5 * time.Minute
)

// checkServer refuses a server on which connections would not come through the
// listener, or not be understood there. It sets the idle timeout if that is not
// configured.
func checkServer(server *edge.Server, profile *tcpProfile) error {
	errs := []error{checkWrappers(server.Caddy()), checkProtocols(server.Caddy()), keepIdle(server, profile.name, profile.idle)}
	if server.Balancer() == nil && clientip.TrustsProxies(server.Caddy()) {
		errs = append(errs, errors.New("trusted_proxies of another kind than elb beside it: what they write is removed. Use trusted_proxies elb"))
	}
	return errors.Join(errs...)
}

// checkWrappers refuses an order in which bytes reach someone else before the
// header is read. The server's wrappers are being loaded and still raw.
func checkWrappers(server *caddyhttp.Server) error {
	var names []string
	for _, raw := range server.ListenerWrappersRaw {
		var module struct {
			Wrapper string `json:"wrapper"`
		}
		if err := json.Unmarshal(raw, &module); err != nil {
			return err
		}
		names = append(names, module.Wrapper)
	}
	own, tls := slices.Index(names, "elb"), slices.Index(names, "tls")
	var errs []error
	if own >= 0 && slices.Contains(names[own+1:], "elb") {
		errs = append(errs, errors.New("elb stands twice in listener_wrappers: a connection has one header"))
	}
	if slices.Contains(names, "proxy_protocol") {
		errs = append(errs, errors.New("proxy_protocol reads the header that elb reads: remove it"))
	}
	switch {
	case tls >= 0 && tls < own:
		errs = append(errs, errors.New("elb stands behind tls: the balancer's header is in front of the handshake, so put elb in front of tls"))
	case tls < 0 && len(server.TLSConnPolicies) > 0:
		errs = append(errs, errors.New("elb without tls in listener_wrappers stands behind the handshake, and the balancer's header "+
			"is in front of it: add tls in a line below elb"))
	}
	return errors.Join(errs...)
}

// checkProtocols refuses HTTP/3: its packets bypass every listener wrapper and
// the edge, and clients that are told of it meet nobody at the balancer.
func checkProtocols(server *caddyhttp.Server) error {
	if len(server.TLSConnPolicies) == 0 {
		return nil
	}
	for i := range max(1, len(server.Listen)) {
		protocols := server.Protocols
		if i < len(server.ListenProtocols) && server.ListenProtocols[i] != nil {
			protocols = server.ListenProtocols[i]
		}
		if slices.Contains(protocols, "h3") {
			return errors.New("HTTP/3 is UDP, which no balancer passes on to what is behind it: set `protocols h1 h2`")
		}
	}
	return nil
}

// keepIdle makes the server keep idle connections longer than the balancer does,
// for which it is known, or refuses a timeout that is not.
func keepIdle(server *edge.Server, balancer string, idle time.Duration) error {
	if server.KeepIdle(max(idleAtLeast, idle+idleMargin)) {
		return nil
	}
	if configured := time.Duration(server.Caddy().IdleTimeout); configured <= idle {
		return fmt.Errorf("timeouts idle %s is not longer than the %s for which %s keeps connections, so that requests meet closed ones "+
			"(502): set %s, or leave it unset", configured, idle, balancer, idle+idleMargin)
	}
	return nil
}
