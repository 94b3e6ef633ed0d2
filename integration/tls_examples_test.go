package integration

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// HAProxy verifies the gateway's certificate, and a renewed one too.
func TestAnHTTPSBalancerEncryptsAgain(t *testing.T) {
	dir, renewed, backend := t.TempDir(), t.TempDir(), newBackend(t)
	front, inner := freeAddr(t), freeAddr(t)
	certificate, key := selfSigned(t, dir)
	newCertificate, newKey := selfSigned(t, renewed)
	write(t, dir, "trusted.pem", read(t, certificate)+read(t, newCertificate))
	apiKey, _ := credentials(t, dir)
	health := freeAddr(t)
	file, err := filepath.Abs("../examples/reencrypt/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	start(t, dir, file, map[string]string{
		"SITE": "https://" + site + ":" + port(inner), "LISTEN": ":" + port(inner), "BALANCER": "127.0.0.1/32", "DENY": deniedClient,
		"BACKEND": strings.TrimPrefix(backend.URL, "http://"), "HEALTH_PORT": port(health), "KEYS": "keys.json", "PEPPER": "./pepper",
		"CERTIFICATE": certificate, "KEY": key,
	})
	startHAProxy(t, fmt.Sprintf("defaults\n\tmode http\n\ttimeout connect 10s\n\ttimeout client 60s\n\ttimeout server 60s\nfrontend in\n\tbind %s ssl crt %s\n"+
		"\toption forwardfor\n\tdefault_backend gate\nbackend gate\n\thttp-reuse never\n\tserver gate %s ssl verify required ca-file %s sni str(%s) verifyhost %s\n",
		front, filepath.Join(dir, "both.pem"), inner, filepath.Join(dir, "trusted.pem"), site, site), front)
	waitFor(t, "readiness", func() bool { return get("http://"+health+"/readyz") == nil })

	ask := func(client string, header ...string) answer {
		return send(t, clientFrom(t, client), "GET", "https://"+front+"/orders/7", append(header, "Host", site)...)
	}
	shown := func() string {
		conn, err := tls.Dial("tcp", inner, &tls.Config{ServerName: site, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return string(conn.ConnectionState().PeerCertificates[0].Raw)
	}
	for _, when := range []string{"before", "after"} {
		if got := ask("127.0.0.2", "X-Api-Key", apiKey); got.status != http.StatusOK {
			t.Errorf("%s the renewal: got %d %s", when, got.status, got.body)
		}
		if got := ask("127.0.0.2"); got.status != http.StatusUnauthorized {
			t.Errorf("%s the renewal, without a credential: got %d", when, got.status)
		}
		if got := ask(deniedClient, "X-Api-Key", apiKey); got.status != http.StatusForbidden {
			t.Errorf("%s the renewal, from a denied address: got %d", when, got.status)
		}
		if when == "before" {
			old := shown()
			write(t, dir, "key.pem", read(t, newKey))
			write(t, dir, "cert.pem", read(t, newCertificate))
			waitFor(t, "the renewed certificate", func() bool { return shown() != old })
		}
	}
}
