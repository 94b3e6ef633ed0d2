package guard_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/sallyport-gateway/sallyport/modules/auth"
	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
	_ "github.com/sallyport-gateway/sallyport/modules/cors"
	"github.com/sallyport-gateway/sallyport/modules/internal/event"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	_ "github.com/sallyport-gateway/sallyport/modules/ratelimiter"
	_ "github.com/sallyport-gateway/sallyport/modules/redact"
)

// eventsTo are the globals with the events option.
func eventsTo(option string) string {
	return strings.Replace(gatetest.Globals, "{\n", "{\n\tsallyport {\n\t\tevents "+option+"\n\t}\n", 1)
}

// line is an event as it is written.
type line map[string]any

// readEvents waits until there are n events in a file, and returns them.
func readEvents(t *testing.T, path string, n int) []line {
	t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(content), "\n") >= n {
			var events []line
			for text := range strings.Lines(string(content)) {
				var e line
				if err := json.Unmarshal([]byte(text), &e); err != nil {
					t.Fatalf("%v: %q", err, text)
				}
				events = append(events, e)
			}
			return events
		}
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %d events, of which %d came", n, strings.Count(string(content), "\n"))
		case <-tick.C:
		}
	}
}

func TestEveryRefusalIsAnEvent(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.json")
	if err := os.WriteFile(filepath.Join(dir, "pepper"), []byte("a pepper of enough bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	key, _, err := apikey.Create(filepath.Join(dir, "keys.json"), []byte("a pepper of enough bytes"), apikey.Record{Owner: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	g := gatetest.Run(t, eventsTo("file "+path)+strings.ReplaceAll(`{$ADDR} {
	allowlist {
		deny 192.0.2.66
	}
	allowlist {
		deny 192.0.2.77
		mode dry_run
	}
	cors {
		allow_origins https://app.example.com
	}
	rate_limiter {
		zone tight {
			key client_ip
			rate 100/h
			burst 1
		}
	}
	auth {
		api_key {
			keys_file DIR/keys.json
			pepper {file.DIR/pepper}
		}
	}
	access_rules {
		rule orders {
			path /orders/* /once /text
			require method api_key
		}
	}
	quota {
		zone one {
			key principal
			rate 3/h
			burst 3
		}
	}
	redact {
		response {
			drop keys password
		}
	}
	reverse_proxy {$BACKEND}
}
`, "DIR", dir))
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/text" {
			_, _ = io.WriteString(w, "{no json")
			return
		}
		_, _ = io.WriteString(w, "{}")
	})
	server := g.URL[len("http://"):]
	withKey := []string{"X-Api-Key", key}
	tests := []struct {
		name, method, target, client string
		header                       []string
		want                         line // "" says that the field is not there
	}{
		{"canonical", "GET", "/a/%2e%2e/b", "192.0.2.1", nil,
			line{"guard": "canonical", "reason": "request.path_dot_segment", "status": 400.0, "site": server, "client": "192.0.2.1", "path": "/a/%2e%2e/b", "principal": ""}},
		{"client", "GET", "/", "unknown", nil,
			line{"guard": "allowlist", "reason": "client.address_unknown", "status": 400.0, "site": "127.0.0.1", "client": ""}},
		{"allowlist", "DELETE", "/orders/7", "192.0.2.66", nil,
			line{"guard": "allowlist", "reason": "allowlist.denied", "status": 403.0, "client": "192.0.2.66", "method": "DELETE", "path": "/orders/7"}},
		{"cors", "OPTIONS", "/", "192.0.2.2", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "GET"},
			line{"guard": "cors", "reason": "cors.origin_not_allowed", "status": 403.0}},
		{"dry run, and auth", "GET", "/", "192.0.2.77", nil, line{"guard": "allowlist", "verdict": "would_deny", "reason": "allowlist.denied"}},
		{"", "", "", "", nil, line{"guard": "auth", "verdict": "deny", "reason": "auth.no_credential", "status": 401.0, "principal": ""}},
		{"rate limit", "GET", "/", "192.0.2.77", nil, line{"guard": "allowlist", "verdict": "would_deny"}},
		{"", "", "", "", nil, line{"guard": "rate_limiter", "reason": "rate.limited", "status": 429.0}},
		{"access rules", "GET", "/admin", "192.0.2.3", withKey,
			line{"guard": "access_rules", "reason": "access.not_allowed", "status": 403.0, "principal": "acme"}},
		{"redact", "GET", "/text", "192.0.2.4", withKey, line{"guard": "redact", "reason": "redact.not_json", "status": 502.0, "principal": "acme"}},
		{"allowed", "GET", "/once", "192.0.2.5", withKey, nil},
		{"allowed again", "GET", "/once", "192.0.2.6", withKey, nil},
		{"quota", "GET", "/orders/1", "192.0.2.7", withKey,
			line{"guard": "quota", "reason": "quota.exhausted", "status": 429.0, "principal": "acme", "verdict": "deny"}},
	}
	n := 0
	decisions := make(map[any]bool)
	for _, tt := range tests {
		var answer *gatetest.Response
		if tt.method != "" {
			answer = g.Do(t, tt.method, tt.target, append([]string{"X-Forwarded-For", tt.client}, tt.header...)...)
		}
		if tt.want == nil {
			if answer.Status != 200 {
				t.Errorf("%s: got %d", tt.name, answer.Status)
			}
			continue
		}
		n++
		got := readEvents(t, path, n)[n-1]
		for field, want := range tt.want {
			if got[field] != want && !(want == "" && got[field] == nil) {
				t.Errorf("%s: %s is %v, want %v in %v", tt.name, field, got[field], want, got)
			}
		}
		id, _ := got["decision"].(string)
		if len(id) != 32 || decisions[id] || got["schema"] != "sallyport.event.v1" || got["request_id"] == nil || got["gateway"] == nil {
			t.Errorf("%s: %v", tt.name, got)
		}
		decisions[id] = true
		if answer != nil && got["verdict"] == "deny" && !strings.Contains(answer.Body, got["request_id"].(string)) {
			t.Errorf("%s: the caller is given another id: %s", tt.name, answer.Body)
		}
	}
	if got := readEvents(t, path, n); len(got) != n {
		t.Errorf("%d events, want %d", len(got), n)
	}
}

func TestAnEventHasNoSecretAndIsOneLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.json")
	g := gatetest.Run(t, eventsTo("file "+path)+"{$ADDR} {\n\t"+deny+"\n\trespond ok\n}\n")
	targets := []string{
		"/a?access_token=topsecret",
		"/reset/token=topsecret/x",
		"/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0b3BzZWNyZXQifQ.dG9wc2VjcmV0dG9wc2VjcmV0dG9wc2VjcmV0",
		"/a%0d%0a%7b%22verdict%22:%22allow%22%7d",
		"/%1b%5b2J%c2%9b",
		"/%22,%22verdict%22:%22allow",
	}
	for _, target := range targets {
		g.Do(t, "GET", target, "X-Forwarded-For", "198.51.100.1", "Authorization", "Bearer topsecret", "Cookie", "sid=topsecret",
			"User-Agent", "topsecret", "X-Request-Id", "topsecret")
	}
	events := readEvents(t, path, len(targets))
	for i, e := range events {
		if e["verdict"] != "deny" || e["method"] != "GET" || e["path"] == nil {
			t.Errorf("%s: %v", targets[i], e)
		}
	}
	content, _ := os.ReadFile(path)
	for _, secret := range []string{"topsecret", "eyJzdWIi", "?"} {
		if strings.Contains(string(content), secret) {
			t.Errorf("%q stands in\n%s", secret, content)
		}
	}
	if len(events) != len(targets) {
		t.Errorf("%d lines for %d requests", len(events), len(targets))
	}
}

func TestAnEventSaysWhatTheClientSentBehindARewrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.json")
	g := gatetest.Run(t, eventsTo("file "+path)+"{$ADDR} {\n\troute {\n\t\tmethod DELETE\n\t\trewrite * /plain\n\t\t"+deny+"\t}\n}\n")
	g.Do(t, "GET", "/sent", "X-Forwarded-For", "198.51.100.1")
	if e := readEvents(t, path, 1)[0]; e["path"] != "/sent" || e["method"] != "GET" {
		t.Errorf("got %v", e)
	}
}

func TestEventsAreOffUnlessAskedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.json")
	site := "{$ADDR} {\n\t" + deny + "\n\trespond ok\n}\n"
	g := gatetest.Run(t, eventsTo("file "+path)+site)
	refused := func() {
		t.Helper()
		if resp := g.Do(t, "GET", "/", "X-Forwarded-For", "198.51.100.1"); resp.Status != 403 {
			t.Errorf("got %d", resp.Status)
		}
	}
	refused()
	for _, globals := range []string{eventsTo("off"), gatetest.Globals} {
		if err := g.Reload(t, globals+site); err != nil {
			t.Fatal(err)
		}
		refused()
	}
	if events := readEvents(t, path, 1); len(events) != 1 {
		t.Errorf("%d events", len(events))
	}
	if isHeld(t, path) {
		t.Error("a configuration that was replaced has kept its output")
	}
}

// isHeld reports whether a configuration has a share of the output to a file: one
// that nobody else has is opened anew.
func isHeld(t *testing.T, path string) bool {
	t.Helper()
	var opened [2]*event.Sink
	for i := range opened {
		l, err := event.Config{Output: event.File, Path: path}.Open()
		if err != nil {
			t.Fatal(err)
		}
		opened[i] = l.Value()
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
	}
	return opened[0] == opened[1]
}

// TestReloadsLoseNoEvent: refusals go on while configurations come, are rejected,
// and go.
func TestReloadsLoseNoEvent(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.json")
	site := "{$ADDR} {\n\t" + deny + "\n\trespond ok\n}\n"
	g := gatetest.Run(t, eventsTo("file "+path)+site)
	var stop sync.WaitGroup
	done := make(chan struct{})
	refused := 0
	stop.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if resp := g.Do(t, "GET", "/", "X-Forwarded-For", "198.51.100.1"); resp.Status == 403 {
				refused++
			} else {
				t.Errorf("got %d %s", resp.Status, resp.Body)
			}
		}
	})
	for i, config := range []string{
		eventsTo("file "+filepath.Join(dir, ".", "events.json")) + site,
		eventsTo("file "+filepath.Join(dir, "none", "events.json")) + site, // no such directory
		eventsTo("file "+path) + "{$ADDR} {\n\tallowlist {\n\t\tallow file " + dir + "/missing\n\t}\n}\n",
		eventsTo("file "+filepath.Join(dir, "other.json")) + "{$ADDR} {\n\tallowlist {\n\t\tallow file " + dir + "/missing\n\t}\n}\n",
		eventsTo("file "+path) + site,
	} {
		err := g.Reload(t, config)
		if rejected := i >= 1 && i <= 3; rejected != (err != nil) {
			t.Errorf("configuration %d: %v", i, err)
		}
	}
	close(done)
	stop.Wait()
	if !isHeld(t, path) || isHeld(t, filepath.Join(dir, "other.json")) {
		t.Error("the configuration in force has lost its output, or a rejected one has kept its own")
	}
	requests := make(map[any]bool)
	for _, e := range readEvents(t, path, refused) {
		requests[e["request_id"]] = true
	}
	// A request that was repeated because its connection ended had been refused too.
	if len(requests) < refused || refused == 0 {
		t.Errorf("%d refusals, and events of %d", refused, len(requests))
	}
}
