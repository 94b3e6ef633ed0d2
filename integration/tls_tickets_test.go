package integration

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// sessions are two gateways' settings: one storage, and session tickets that are
// shared, or not.
const sessions = `{
	admin {$ADMIN}
	auto_https off
	persist_config off
	storage file_system {$STORAGE}
	{$OPTION}
}
https://` + site + `:{$PORT} {
	bind 127.0.0.1
	tls {$CERTIFICATE} {$KEY}
	tls_policy {$LEVEL}
	respond {http.request.tls.resumed}
}
`

func TestSessionsAreResumedAtAnotherGateway(t *testing.T) {
	tests := []struct {
		name, option, level string
		version             uint16
		resumed             string
	}{
		{"TLS 1.3 with shared tickets", "sallyport {\n\t\tsession_tickets shared\n\t}", "modern", tls.VersionTLS13, "true"},
		{"TLS 1.2 with shared tickets", "sallyport {\n\t\tsession_tickets shared\n\t}", "intermediate", tls.VersionTLS12, "true"},
		{"TLS 1.3 without", "", "modern", tls.VersionTLS13, "false"},
		{"TLS 1.2 without", "", "intermediate", tls.VersionTLS12, "false"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			certificate, key := selfSigned(t, dir)
			storage := t.TempDir()
			var addrs []string
			for range 2 {
				addr := freeAddr(t)
				addrs = append(addrs, addr)
				file := write(t, dir, "Caddyfile"+port(addr), strings.Replace(sessions, "{$OPTION}", tt.option, 1))
				start(t, dir, file, map[string]string{
					"STORAGE": storage, "PORT": port(addr), "CERTIFICATE": certificate, "KEY": key, "LEVEL": tt.level,
				})
			}
			config := &tls.Config{
				ServerName: site, InsecureSkipVerify: true, MaxVersion: tt.version,
				ClientSessionCache: &oneSession{},
			}
			// The keys are read from the storage when a gateway serves already.
			waitFor(t, "both gateways to have the same keys, or one to keep its sessions", func() bool {
				ask(t, addrs[0], config)
				return ask(t, addrs[0], config) == "true" && (tt.resumed == "false" || ask(t, addrs[1], config) == "true")
			})
			config.ClientSessionCache = &oneSession{}
			if got := ask(t, addrs[0], config); got != "false" {
				t.Errorf("a new client's session is resumed: %s", got)
			}
			if got := ask(t, addrs[1], config); got != tt.resumed {
				t.Errorf("resumed at the other gateway: %s, want %s", got, tt.resumed)
			}
			if got := ask(t, addrs[0], config); tt.resumed == "true" && got != "true" {
				t.Errorf("resumed at the first again: %s", got)
			}
		})
	}
}

// oneSession keeps the last session, whatever server it is of: to a client, the
// gateways are one.
type oneSession struct {
	state *tls.ClientSessionState
}

func (o *oneSession) Get(string) (*tls.ClientSessionState, bool) { return o.state, o.state != nil }
func (o *oneSession) Put(_ string, s *tls.ClientSessionState)    { o.state = s }

// ask makes a connection and returns the answer that comes over it.
func ask(t *testing.T, addr string, config *tls.Config) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+site+"\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// In TLS 1.3 the ticket comes before the answer.
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
