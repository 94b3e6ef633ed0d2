package allowlist

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

func TestAdapt(t *testing.T) {
	gatetest.Adapt(t, "testdata/adapt/*.caddyfiletest")
}

// site wraps an allowlist in a site with a backend.
func site(block string) string {
	return "{$ADDR} {\n\tallowlist " + block + "\n\treverse_proxy {$BACKEND}\n}\n"
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list.txt")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestClientsAreJudgedByTheirAddress(t *testing.T) {
	file := write(t, "# partners\n203.0.113.0/28 # office\n\n2001:db8:f::/48\r\n")
	g := gatetest.Run(t, site(`{
		allow 192.0.2.0/24 2001:db8::/48
		allow file `+file+`
		deny 192.0.2.66 2001:db8::bad
		deny 203.0.113.8/32
	}`))
	tests := []struct {
		name, forwarded string
		status          int
	}{
		{"address in an allowed prefix", "192.0.2.7", 200},
		{"IPv6 address in an allowed prefix", "2001:db8::7", 200},
		{"address allowed by a file", "203.0.113.1", 200},
		{"IPv6 address allowed by a file", "2001:db8:f::1", 200},
		{"denied address inside an allowed prefix", "192.0.2.66", 403},
		{"denied IPv6 address inside an allowed prefix", "2001:db8::bad", 403},
		{"denied address allowed by a file", "203.0.113.8", 403},
		{"ipv4-mapped form of an allowed address", "::ffff:192.0.2.7", 200},
		{"ipv4-mapped form of a denied address", "::ffff:192.0.2.66", 403},
		{"ipv4-mapped form in hex of a denied address", "::ffff:c000:242", 403},
		{"zone does not hide a denied address", "2001:db8::bad%eth0", 403},
		{"address outside every prefix", "198.51.100.1", 403},
		{"allowed address written in front by the caller", "192.0.2.7, 198.51.100.1", 403},
		{"junk behind an allowed address", "192.0.2.7, junk", 400},
		{"empty entry behind an allowed address", "192.0.2.7,", 400},
		{"no address at all", "unknown", 400},
		{"empty header", "", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := g.Do(t, "GET", "/", "X-Forwarded-For", tt.forwarded)
			if resp.Status != tt.status {
				t.Errorf("got %d, want %d", resp.Status, tt.status)
			}
			if resp.Status != 200 && strings.Contains(resp.Body, "192.0.2") {
				t.Errorf("the refusal shows the list: %s", resp.Body)
			}
		})
	}
	t.Run("no header from the balancer", func(t *testing.T) {
		if resp := g.Do(t, "GET", "/"); resp.Status != 400 {
			t.Errorf("got %d, want 400", resp.Status)
		}
	})
}

func TestTheBalancersOwnAddressOnTheListAllowsNobody(t *testing.T) {
	g := gatetest.Run(t, site("{\n\t\tallow 127.0.0.1\n\t}"))
	if resp := g.Do(t, "GET", "/"); resp.Status != 400 {
		t.Errorf("without a client: got %d, want 400", resp.Status)
	}
	if resp := g.Do(t, "GET", "/", "X-Forwarded-For", "junk"); resp.Status != 400 {
		t.Errorf("with a bad header: got %d, want 400", resp.Status)
	}
}

func TestDenyAloneLetsOthersPass(t *testing.T) {
	g := gatetest.Run(t, site("{\n\t\tdeny 192.0.2.0/24\n\t}"))
	for forwarded, status := range map[string]int{"192.0.2.1": 403, "198.51.100.1": 200} {
		if resp := g.Do(t, "GET", "/", "X-Forwarded-For", forwarded); resp.Status != status {
			t.Errorf("%s: got %d, want %d", forwarded, resp.Status, status)
		}
	}
}

func TestAnEmptyAllowFileRefusesEveryone(t *testing.T) {
	g := gatetest.Run(t, site("{\n\t\tallow file "+write(t, "# nobody yet\n")+"\n\t}"))
	if resp := g.Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.1"); resp.Status != 403 {
		t.Errorf("got %d, want 403", resp.Status)
	}
}

func TestDryRunLetsPassWhatItWouldRefuse(t *testing.T) {
	g := gatetest.Run(t, site("{\n\t\tdeny 192.0.2.0/24\n\t\tmode dry_run\n\t}"))
	if resp := g.Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.1"); resp.Status != 200 {
		t.Errorf("got %d, want 200", resp.Status)
	}
}

func TestMatcherIsJudgedInTheGuard(t *testing.T) {
	g := gatetest.Run(t, site("/admin/* {\n\t\tallow 192.0.2.0/24\n\t}"))
	tests := []struct {
		name, path string
		status     int
	}{
		{"a path outside is not judged", "/public", 200},
		{"a path inside is judged", "/admin/users", 403},
		{"an encoded letter does not hide it", "/%61dmin/users", 403},
		{"other case does not hide it", "/ADMIN/users", 403},
		{"an encoded backslash is refused before the matcher", "/admin%5cusers", 400},
		{"a parameter is refused before the matcher", "/admin;x=1/users", 400},
		{"a dot segment is refused before the matcher", "/public/%2e%2e/admin/users", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if resp := g.Do(t, "GET", tt.path, "X-Forwarded-For", "198.51.100.1"); resp.Status != tt.status {
				t.Errorf("got %d, want %d", resp.Status, tt.status)
			}
		})
	}
}

func TestFilesAreReadAgainAtAReload(t *testing.T) {
	file := write(t, "192.0.2.0/24\n")
	config := site("{\n\t\tallow file " + file + "\n\t}")
	g := gatetest.Run(t, config)
	status := func() int { return g.Do(t, "GET", "/", "X-Forwarded-For", "198.51.100.1").Status }

	if got := status(); got != 403 {
		t.Fatalf("before: got %d, want 403", got)
	}
	if err := os.WriteFile(file, []byte("198.51.100.0/24\nnot an address\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Reload(t, config); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "line 2") {
		t.Fatalf("a bad line is not refused with file and line: %v", err)
	}
	if got := status(); got != 403 {
		t.Errorf("a rejected reload changed the list: got %d, want 403", got)
	}
	if err := os.WriteFile(file, []byte("198.51.100.0/24\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Reload(t, config); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != 200 {
		t.Errorf("after the reload: got %d, want 200", got)
	}
}

func TestBadConfigurationIsRefusedAtLoad(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\trespond ok\n}\n")
	tests := []struct{ name, config, want string }{
		{"missing file", site("{\n\t\tallow file /nonexistent/list.txt\n\t}"), "/nonexistent/list.txt"},
		{
			"trusted proxies without strict",
			"{\n\tadmin off\n\tauto_https off\n\tservers {\n\t\ttrusted_proxies static 127.0.0.1\n\t}\n}\n" + site("{\n\t\tdeny 192.0.2.1\n\t}"),
			"trusted_proxies_strict",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := g.Reload(t, tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}
