package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/sallyport-gateway/sallyport/modules/internal/secret"
)

const (
	// connectTimeout is for a connection, its TLS and its login. It is not the
	// timeout of commands: 20 ms is long for a command and short for a handshake.
	connectTimeout = 5 * time.Second
	// pingInterval finds connections whose other end is gone.
	pingInterval = 10 * time.Second
	// buffers hold a command or an answer; larger ones pass them by.
	buffers = 1 << 15
	// ring is the binary logarithm of how many commands wait on a connection.
	ring = 9
	// topologyInterval bounds for how long a missed message of a sentinel leaves
	// the client with a server that is no master any more.
	topologyInterval = 5 * time.Second
)

// option translates the configuration.
func (c *Config) option(r *compiled, timeout time.Duration) (valkey.ClientOption, error) {
	o := valkey.ClientOption{
		ClientName:    "sallyport",
		ClientSetInfo: valkey.DisableClientSetInfo,
		SelectDB:      r.endpoints[0].database,
		Dialer:        net.Dialer{Timeout: connectTimeout, KeepAlive: pingInterval},
		// An unresponsive connection is given up after this; commands have their own timeout.
		ConnWriteTimeout:    max(2*timeout, time.Second),
		RingScaleEachConn:   ring,
		ReadBufferEachConn:  buffers,
		WriteBufferEachConn: buffers,
		PipelineMultiplex:   -1,
		DisableCache:        true,
		DisableRetry:        true, // callers know what may be repeated
		AlwaysPipelining:    true, // else a command does not notice that its context is cancelled
		ForceSingleClient:   !c.cluster() && c.Sentinel == nil,
	}
	for _, e := range r.endpoints {
		o.InitAddress = append(o.InitAddress, e.addr)
	}
	o.DialCtxFn = c.dialer(r)
	login := func() (valkey.AuthCredentials, error) { return login(r.username, r.password) }
	if c.Sentinel == nil {
		o.AuthCredentialsFn = func(valkey.AuthCredentialsContext) (valkey.AuthCredentials, error) { return login() }
		return o, nil
	}
	// The function would be asked for the sentinels' credentials as well, without
	// being told.
	server, err := login()
	if err != nil {
		return o, err
	}
	sentinels := r.endpoints[0]
	theirs, err := resolveLogin(sentinels.username, sentinels.password)
	o.Username, o.Password = server.Username, server.Password
	o.Sentinel = valkey.SentinelOption{
		MasterSet: c.Sentinel.Master, Username: theirs.Username, Password: theirs.Password, ClientName: o.ClientName,
		Dialer: o.Dialer, TopologyRefreshInterval: topologyInterval,
	}
	return o, err
}

// boundTo returns dial with the connections cut at the end, also while they are
// being opened: valkey-go would wait for a server that does not answer. Their
// answers are checked; pushes are those of sentinels.
func boundTo(end context.Context, pushes bool, dial dialFunc) dialFunc {
	return func(ctx context.Context, addr string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		defer context.AfterFunc(end, cancel)()
		conn, err := dial(ctx, addr, d, t)
		if err != nil {
			return nil, err
		}
		conn = checked(conn, pushes)
		return &boundConn{Conn: conn, unbind: context.AfterFunc(end, func() { conn.Close() })}, nil
	}
}

type dialFunc = func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error)

type boundConn struct {
	net.Conn
	unbind func() bool
}

// Close implements net.Conn.
func (c *boundConn) Close() error {
	c.unbind()
	return c.Conn.Close()
}

// dialer returns the function that opens a connection. Certificates are read each
// time, so that mounted ones can be replaced.
func (c *Config) dialer(r *compiled) dialFunc {
	return func(ctx context.Context, addr string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
		if strings.HasPrefix(addr, "/") {
			return d.DialContext(ctx, "unix", addr)
		}
		if !r.tls {
			return d.DialContext(ctx, "tcp", addr)
		}
		config, err := c.tlsConfig()
		if err != nil {
			return nil, err
		}
		return (&tls.Dialer{NetDialer: d, Config: config}).DialContext(ctx, "tcp", addr)
	}
}

// tlsConfig reads the files that it names.
func (c *Config) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.InsecureSkipVerify}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s has no certificate in PEM", c.CA)
		}
	}
	if c.ClientCertificate != "" {
		pair, err := tls.LoadX509KeyPair(c.ClientCertificate, c.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("client_certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func login(username, password string) (valkey.AuthCredentials, error) {
	l, err := resolveLogin(username, password)
	if err != nil {
		return l, fmt.Errorf("credentials of the store: %w", err)
	}
	return l, nil
}

// resolveLogin reads what the placeholders name.
func resolveLogin(username, password string) (l valkey.AuthCredentials, err error) {
	if password == "" {
		return l, nil
	}
	if l.Password, err = secret.Resolve(password); err != nil {
		return valkey.AuthCredentials{}, err
	}
	if l.Username = username; strings.HasPrefix(username, "{") {
		l.Username, err = secret.Resolve(username)
	}
	return l, err
}
