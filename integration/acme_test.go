package integration

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// authority is Caddy's own ACME server, behind a gate that the test opens.
const authority = `{
	admin {$ADMIN}
	persist_config off
	auto_https disable_redirects
	skip_install_trust
}
https://` + insider + `:9443 {
	tls internal
	acme_server {
		challenges tls-alpn-01
		lifetime {$LIFETIME}
	}
}
`

// splits sends the authority, which checks who holds the name, and one of two
// clients to gw-b, and everybody else to gw-a.
const splits = `frontend in
	mode tcp
	bind ` + front + `:443
	use_backend b if { src ` + insider + ` } or { src ` + clientB + ` }
	default_backend a
backend a
	mode tcp
	server a ` + gatewayA + `:443 send-proxy-v2
backend b
	mode tcp
	server b ` + gatewayB + `:443 send-proxy-v2
`

// anIssuance is an authority that nobody reaches yet.
type anIssuance struct {
	lab  *lab
	env  map[string]string
	open func()
	a, b *gateway
	// killA ends gw-a at once.
	killA func()
}

func newIssuance(t *testing.T, lifetime string) *anIssuance {
	t.Helper()
	l := newLab(t)
	hosts := filepath.Join("/etc/netns", l.namespace("insider"), "hosts")
	write(t, filepath.Dir(hosts), "hosts", front+" "+site+"\n")
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(hosts)) })

	redis := l.command("backend", "redis-server", "--bind", origin, "--port", "6379", "--save", "", "--appendonly", "no", "--protected-mode", "no")
	redis.Dir = t.TempDir()
	run(t, redis, syscall.SIGTERM)

	data := t.TempDir()
	ca := newGateway(t, t.TempDir(), "127.0.0.1:2019", map[string]string{"LIFETIME": lifetime})
	ca.env = append(ca.env, "XDG_DATA_HOME="+data)
	ca.client = l.client(t, "insider", "")
	ca.start(t, l.command("insider", binary, "run", "--adapter", "caddyfile", "--config", write(t, ca.dir, "Caddyfile", authority)))

	// The authority's certificates are for five minutes at least, and begin one
	// minute in the past: four fifths of that are left after twelve seconds.
	i := &anIssuance{lab: l, env: map[string]string{
		"ADMIN": "127.0.0.1:2019", "SITE": site, "BALANCER": inside + "/32", "BACKEND": origin + ":8080",
		"SSL_CERT_FILE": filepath.Join(data, "caddy", "pki", "authorities", "local", "root.crt"),
		"ACME_CA":       "https://" + insider + ":8443/acme/local/directory",
		"STORAGE":       "redis://" + origin + ":6379/0", "LOCK_LEASE": "2s",
		"STORAGE_KEY":    base64.StdEncoding.EncodeToString([]byte("a storage key of 32 bytes, so so")),
		"RENEW_INTERVAL": "1s", "RENEWAL_WINDOW": "0.8",
	}}
	fleet := read(t, filepath.Join("..", "examples", "fleet", "Caddyfile"))
	i.open = gate(t, l)
	awaitHAProxy(t, l.command("balancer", haproxy(t), "-db", "-f", write(t, t.TempDir(), "haproxy.cfg",
		"defaults\n\ttimeout connect 10s\n\ttimeout client 60s\n\ttimeout server 60s\n"+splits)),
		func(ctx context.Context) (net.Conn, error) { return l.dial(ctx, "balancer", "", front+":443") })

	i.a = newGateway(t, t.TempDir(), "127.0.0.1:2019", i.env)
	i.a.client = l.client(t, "gw-a", "")
	cmd := l.command("gw-a", binary, "run", "--adapter", "caddyfile", "--config", write(t, i.a.dir, "Caddyfile", fleet))
	i.a.start(t, cmd)
	i.killA = func() { _ = cmd.Process.Kill() }
	// It has the lock when it asks the authority; gw-b comes second.
	waitFor(t, "gw-a to ask for a certificate", func() bool { return strings.Contains(i.a.log.String(), "obtaining certificate") })
	i.b = l.gateway(t, "gw-b", fleet, i.env)
	return i
}

// gate listens where the gateways look for the authority, and lets nothing pass
// until it is opened.
func gate(t *testing.T, l *lab) (open func()) {
	t.Helper()
	ln := l.listen(t, "insider", insider+":8443")
	opened := make(chan struct{})
	var passing sync.WaitGroup
	t.Cleanup(passing.Wait) // before the lab goes
	passing.Go(func() {
		context.AfterFunc(t.Context(), func() { ln.Close() })
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			passing.Go(func() { pass(t.Context(), l, conn, opened) })
		}
	})
	return sync.OnceFunc(func() { close(opened) })
}

// pass lets a connection through to the authority once the gate is opened.
func pass(ctx context.Context, l *lab, conn net.Conn, opened <-chan struct{}) {
	defer conn.Close()
	select {
	case <-opened:
	case <-ctx.Done():
		return
	}
	inner, err := l.dial(ctx, "insider", "", insider+":9443")
	if err != nil {
		return
	}
	defer inner.Close()
	end := context.AfterFunc(ctx, func() {
		conn.Close()
		inner.Close()
	})
	defer end()
	go func() { _, _ = io.Copy(inner, conn) }()
	_, _ = io.Copy(conn, inner)
}

// serial is the number of the certificate that a client is shown through the
// balancer, "" for none.
func (i *anIssuance) serial(t *testing.T, client string) string {
	t.Helper()
	conn, err := i.lab.dial(t.Context(), "client", client, front+":443")
	if err != nil {
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	secure := tls.Client(conn, &tls.Config{ServerName: site, InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		return ""
	}
	return secure.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func (i *anIssuance) count(text string) int {
	return strings.Count(i.a.log.String(), text) + strings.Count(i.b.log.String(), text)
}

func TestTwoGatewaysShareACertificate(t *testing.T) {
	i := newIssuance(t, "5m")
	i.open()
	serials := map[string]bool{}
	for range 2 { // the first one, and one that was renewed
		var serial string
		waitFor(t, "one certificate at both gateways", func() bool {
			a, b := i.serial(t, clientA), i.serial(t, clientB)
			serial = a
			return a != "" && a == b && !serials[a]
		})
		serials[serial] = true
	}
	if got := i.count(`"certificate obtained successfully"`); got != 1 {
		t.Errorf("the certificate was obtained %d times", got)
	}
	// Another renewal may be under way, so there is at most one more than was seen.
	if got := i.count(`"certificate renewed successfully"`); got < 1 || got > 2 {
		t.Errorf("the certificate was renewed %d times", got)
	}
	if strings.Contains(i.a.log.String(), "served key authentication certificate") || !strings.Contains(i.b.log.String(), "served key authentication certificate") {
		t.Error("the challenge was not answered by the gateway that did not ask")
	}
}

func TestAGatewayThatDiesWhileItAsksLeavesTheCertificateToAnother(t *testing.T) {
	i := newIssuance(t, "1h")
	i.killA()
	i.open()
	waitFor(t, "a certificate at gw-b", func() bool { return i.serial(t, clientB) != "" })
	if got := i.count(`"certificate obtained successfully"`); got != 1 {
		t.Errorf("the certificate was obtained %d times", got)
	}
}
