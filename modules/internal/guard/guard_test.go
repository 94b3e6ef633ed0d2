package guard_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	_ "github.com/sallyport-gateway/sallyport/modules/allowlist" // a guard to look at
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	_ "github.com/sallyport-gateway/sallyport/modules/problem"
)

const client = "192.0.2.7"

// deny refuses every test client that is not 192.0.2.7.
const deny = "allowlist {\n\t\tallow 192.0.2.7\n\t}\n"

func TestCanonicalCheckStandsInFrontOfEverySiteOfTheServer(t *testing.T) {
	g := gatetest.Run(t, `{$ADDR} {
	@other host other.example
	handle @other {
		respond "unguarded"
	}
	handle /guarded/* {
		`+deny+`
		respond "guarded"
	}
	handle {
		respond "free"
	}
}
http://second.example:`+"{$PORT}"+` {
	respond "second"
}
`)
	tests := []struct {
		name, target, host string
		status             int
	}{
		{"a guarded path", "/guarded/x", "", 200},
		{"a free path", "/x", "", 200},
		{"an ambiguous free path", "/x%2fy", "", 400},
		{"an ambiguous path that misses the guard's matcher", "/guarded%2fx", "", 400},
		{"an ambiguous path of a handle without a guard", "/%2e%2e/x", "other.example", 400},
		{"an ambiguous path of a site without a guard", "/%5cx", "second.example", 400},
		{"an ambiguous path of a host that no site has", "/%5cx", "nobody.example", 400},
		{"a plain path of a site without a guard", "/x", "second.example", 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := []string{"X-Forwarded-For", client}
			if tt.host != "" {
				header = append(header, "Host", tt.host)
			}
			if resp := g.Do(t, "GET", tt.target, header...); resp.Status != tt.status {
				t.Errorf("got %d %s, want %d", resp.Status, resp.Body, tt.status)
			}
		})
	}
}

func TestGuardsOnlyInNamedRoutesOrErrorRoutesAreRefused(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\trespond ok\n}\n")
	for name, config := range map[string]string{
		"named route": "&(gate) {\n\t" + deny + "}\n{$ADDR} {\n\tinvoke gate\n\trespond ok\n}\n",
		"error route": "{$ADDR} {\n\trespond ok\n\thandle_errors {\n\t\t" + deny + "\t}\n}\n",
	} {
		if err := g.Reload(t, config); err == nil || !strings.Contains(err.Error(), "put one into a site") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnUpgradeToAnythingButWebSocketDoesNotReachTheBackend(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\t"+deny+"\n\treverse_proxy {$BACKEND}\n}\n")
	var asked string
	g.Backend(func(_ http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Upgrade") + r.Header.Get("Http2-Settings")
	})
	for upgrade, want := range map[string]string{"h2c": "", "websocket": "websocket"} {
		g.Raw(t, "GET / HTTP/1.1\r\nHost: "+strings.TrimPrefix(g.URL, "http://")+"\r\nX-Forwarded-For: "+client+
			"\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: "+upgrade+"\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
		if asked != want {
			t.Errorf("%s: the backend was asked for %q", upgrade, asked)
		}
	}
}

func TestAClientThatIsNotEstablishedDoesNotTurnAGuardOff(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\t@outside not client_ip 10.0.0.0/8 127.0.0.0/8\n\tallowlist @outside {\n\t\tallow 192.0.2.7\n\t}\n\trespond ok\n}\n")
	tests := []struct {
		name, forwarded string
		status          int
	}{
		{"a client inside", "10.1.2.3", 200},
		{"a client outside", "198.51.100.1", 403},
		{"an address behind which Caddy skips one", "10.1.2.3, [2001:db8::1]:4242", 400},
		{"no address", "unknown", 400},
		{"the balancer's own", "127.0.0.1", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if resp := g.Do(t, "GET", "/", "X-Forwarded-For", tt.forwarded); resp.Status != tt.status {
				t.Errorf("got %d, want %d", resp.Status, tt.status)
			}
		})
	}
}

func TestAMatcherJudgesBothReadingsOfAnAllowedForm(t *testing.T) {
	globals := strings.Replace(gatetest.Globals, "{\n", "{\n\tsallyport {\n\t\tcanonical {\n\t\t\tallow path_parameters encoded_slash\n\t\t}\n\t}\n", 1)
	g := gatetest.Run(t, globals+"{$ADDR} {\n\tallowlist /admin/* {\n\t\tallow 192.0.2.7\n\t}\n\trespond ok\n}\n")
	tests := []struct {
		target string
		status int
	}{
		{"/public;x/users", 200},
		{"/admin/users", 403},
		{"/admin;x=1/users", 403},
		{"/;x/admin/users", 400},
		{"/admin%2fusers", 403},
	}
	for _, tt := range tests {
		if resp := g.Do(t, "GET", tt.target, "X-Forwarded-For", "198.51.100.1"); resp.Status != tt.status {
			t.Errorf("%s: got %d, want %d", tt.target, resp.Status, tt.status)
		}
	}
}

func TestAGuardInAnErrorRouteLeavesTheAnswerToTheSite(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\t"+deny+"\n\trespond ok\n\thandle_errors {\n\t\tallowlist {\n\t\t\tdeny 203.0.113.1\n\t\t}\n\t\trespond \"own {err.status_code}\"\n\t}\n}\n")
	tests := []struct{ name, target, forwarded, body string }{
		{"an ambiguous request", "/%2e%2e", client, "own 400"},
		{"a refused one", "/", "198.51.100.1", "own 403"},
		{"one that the error route refuses too", "/", "203.0.113.1", `"status":403`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if resp := g.Do(t, "GET", tt.target, "X-Forwarded-For", tt.forwarded); !strings.Contains(resp.Body, tt.body) {
				t.Errorf("got %d %s, want %s", resp.Status, resp.Body, tt.body)
			}
		})
	}
}

func TestGuardsJudgeWhatTheClientSentBehindARewrite(t *testing.T) {
	g := gatetest.Run(t, `{$ADDR} {
	route {
		uri strip_prefix /a%2fb
		rewrite * /plain
		`+deny+`
		respond ok
	}
}
`)
	if resp := g.Do(t, "GET", "/a%2fb", "X-Forwarded-For", client); resp.Status != 400 {
		t.Errorf("got %d, want 400", resp.Status)
	}
}

func TestRequestsThatNoGuardMayJudgeAreRefused(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\t"+deny+"\n\treverse_proxy {$BACKEND}\n}\n")
	var seen *http.Request
	g.Backend(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the trailer comes behind it
		seen = r
	})
	xff := "X-Forwarded-For: " + client + "\r\nHost: " + strings.TrimPrefix(g.URL, "http://") + "\r\nConnection: close\r\n"
	tests := []struct{ name, request, want string }{
		{"empty segment", "GET //admin HTTP/1.1\r\n" + xff + "\r\n", "400"},
		{"absolute form", "GET " + g.URL + "/ HTTP/1.1\r\n" + xff + "\r\n", "400"},
		{"fragment", "GET /a#b HTTP/1.1\r\n" + xff + "\r\n", "400"},
		{"backslash", "GET /a\\b HTTP/1.1\r\n" + xff + "\r\n", "400"},
		{"lower-case method", "get / HTTP/1.1\r\n" + xff + "\r\n", "400"},
		{"TRACE", "TRACE / HTTP/1.1\r\n" + xff + "\r\n", "400"},
		{"two Authorization lines", "GET / HTTP/1.1\r\n" + xff + "Authorization: a\r\nAuthorization: b\r\n\r\n", "400"},
		{"Connection names a header", "GET / HTTP/1.1\r\n" + xff + "Connection: X-User-Id\r\n\r\n", "400"},
		{"plain request", "GET / HTTP/1.1\r\n" + xff + "X-Original-URL: /admin\r\n\r\n", "200"},
		{"trailers", "POST / HTTP/1.1\r\n" + xff + "Trailer: X-User-Id\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-User-Id: root\r\n\r\n", "200"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seen = nil
			if answer := g.Raw(t, tt.request); !strings.HasPrefix(answer, "HTTP/1.1 "+tt.want) {
				t.Errorf("got %s, want %s", answer, tt.want)
			}
			if (seen != nil) != (tt.want == "200") {
				t.Errorf("the backend saw the request: %v", seen != nil)
			}
			if seen != nil && (seen.Header.Get("X-Original-Url") != "" || len(seen.Trailer) > 0) {
				t.Errorf("the backend sees another reading: %v, trailer %v", seen.Header, seen.Trailer)
			}
		})
	}
}

func TestCanonicalOptionsOfTheApp(t *testing.T) {
	globals := func(canonical string) string {
		return strings.Replace(gatetest.Globals, "{\n", "{\n\tsallyport {\n\t\tcanonical {\n\t\t\t"+canonical+"\n\t\t}\n\t}\n", 1)
	}
	site := "{$ADDR} {\n\t" + deny + "\n\trespond ok\n}\n"
	tests := []struct {
		name, canonical, target string
		status                  int
	}{
		{"an allowed form passes", "allow encoded_slash", "/a%2fb", 200},
		{"another form does not", "allow encoded_slash", "/a;b", 400},
		{"parameters", "allow path_parameters query_semicolon", "/a;b?c;d", 200},
		{"dry run", "mode dry_run", "/%2e%2e/a", 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := gatetest.Run(t, globals(tt.canonical)+site)
			if resp := g.Do(t, "GET", tt.target, "X-Forwarded-For", client); resp.Status != tt.status {
				t.Errorf("got %d, want %d", resp.Status, tt.status)
			}
		})
	}
}

func TestDecisionsAreCountedByConfiguredNames(t *testing.T) {
	g := gatetest.Run(t, `{$ADDR} {
	metrics /metrics
	`+deny+`
	handle /x {
		respond ok
	}
}
`)
	g.Do(t, "GET", "/x", "X-Forwarded-For", client)
	g.Do(t, "GET", "/x", "X-Forwarded-For", "198.51.100.1")
	g.Do(t, "GET", "/%2e", "X-Forwarded-For", client)
	g.Do(t, "GET", "/x")
	metrics := g.Do(t, "GET", "/metrics", "X-Forwarded-For", client).Body
	for _, want := range []string{
		`guard="allowlist",reason="",site="127.0.0.1",verdict="allow"`,
		`guard="allowlist",reason="allowlist.not_allowed",site="127.0.0.1",verdict="deny"`,
		`guard="allowlist",reason="client.address_unknown",site="127.0.0.1",verdict="deny"`,
		`guard="canonical",reason="request.path_dot_segment"`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(metrics, "198.51.100.1") {
		t.Error("metrics show a client")
	}
}

func TestRefusalsAreProblemDocuments(t *testing.T) {
	tests := []struct {
		name, errors, method, want string
		status                     int
	}{
		{"without handle_errors", "", "GET", `"title":"This address is not allowed to call."`, 403},
		{"with handle_errors for another status", "handle_errors 404 {\n\t\trespond \"own\"\n\t}", "GET", `"status":403`, 403},
		{"with problem in handle_errors", "handle_errors {\n\t\tproblem\n\t}", "GET", `"request_id":"`, 403},
		{"with an own body in handle_errors", "handle_errors {\n\t\trespond \"own {err.status_code}\"\n\t}", "GET", "own 403", 403},
		{"with an own body and status", "handle_errors {\n\t\trespond \"gone\" 410\n\t}", "GET", "gone", 410},
		{"HEAD has no body", "", "HEAD", "", 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := gatetest.Run(t, "{$ADDR} {\n\t"+deny+"\n\trespond ok\n\t"+tt.errors+"\n}\n")
			resp := g.Do(t, tt.method, "/", "X-Forwarded-For", "198.51.100.1")
			if resp.Status != tt.status || !strings.Contains(resp.Body, tt.want) || tt.want == "" && resp.Body != "" {
				t.Errorf("got %d %q, want %d with %q", resp.Status, resp.Body, tt.status, tt.want)
			}
			if strings.Contains(resp.Body, "allowlist") {
				t.Errorf("the caller is told the reason: %s", resp.Body)
			}
			if strings.HasPrefix(resp.Body, "{") {
				if got := resp.Header.Get("Content-Type"); got != "application/problem+json" || !json.Valid([]byte(resp.Body)) {
					t.Errorf("not a problem document: %s %s", got, resp.Body)
				}
			}
		})
	}
}

func TestOtherErrorsAreProblemDocumentsToo(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\t"+deny+"\n\thandle /down {\n\t\treverse_proxy 127.0.0.1:1\n\t}\n\thandle {\n\t\terror 418\n\t}\n}\n")
	for target, want := range map[string]string{"/down": `"status":502`, "/": `"type":"about:blank","title":"I'm a teapot"`} {
		if resp := g.Do(t, "GET", target, "X-Forwarded-For", client); !strings.Contains(resp.Body, want) || strings.Contains(resp.Body, "127.0.0.1") {
			t.Errorf("%s: got %s, want %s", target, resp.Body, want)
		}
	}
}
