package redact

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

const requestRules = `
	redact {
		request {
			drop header X-Debug-Token
			drop query token
			block detect card private_key
			max_body 64KiB
		}
	}`

// received is what the backend got of the last request.
type received struct {
	asked  bool
	r      *http.Request
	body   string
	uri    string
	length int64
}

func record(g *gatetest.Gate) *received {
	got := new(received)
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*got = received{true, r, string(body), r.RequestURI, r.ContentLength}
		_, _ = io.WriteString(w, "ok")
	})
	return got
}

const formType = "application/x-www-form-urlencoded"

func TestRequestsLoseWhatTheyMayNotTakeAlong(t *testing.T) {
	g := run(t, requestRules)
	got := record(g)
	for _, selector := range []string{"header:X-Debug-Token", "query:token"} {
		found(t, "enforce", selector)
	}
	g.Do(t, "GET", "/a%20b?x=%41&token=s3&y=1+2&token[]=s4", client, from, "X-Debug-Token", "s1", "X_Debug_Token", "s2", "X-Debug", "stays")
	if got.uri != "/a%20b?x=%41&y=1+2" {
		t.Errorf("the backend got %s", got.uri)
	}
	if h := fmt.Sprint(got.r.Header); strings.Contains(h, "s1") || strings.Contains(h, "s2") || !strings.Contains(h, "stays") {
		t.Errorf("the backend got %s", h)
	}
	if h, q := found(t, "enforce", "header:X-Debug-Token"), found(t, "enforce", "query:token"); h < 1 || q != 2 {
		t.Errorf("counted %v headers and %v parameters", h, q)
	}
	g.Do(t, "GET", "/?token=1", client, from)
	if got.uri != "/" {
		t.Errorf("the backend got %s", got.uri)
	}
}

// FastCGI and placeholders show the request as it was sent.
func TestDroppedParametersAreNotInTheOriginalRequest(t *testing.T) {
	g := run(t, "route {\nrewrite * /b?{query}&z=1\n"+requestRules+"\nreverse_proxy {$BACKEND} {\nheader_up Test-Sent {http.request.orig_uri}|{http.request.orig_uri.query}\n}\n}")
	got := record(g)
	g.Do(t, "GET", "/a?x=1&token=s3", client, from)
	if sent := got.r.Header.Get("Test-Sent"); sent != "/a?x=1|x=1" || got.uri != "/b?x=1&z=1" {
		t.Errorf("the backend got %s and %s", got.uri, sent)
	}
}

// Servers that make variables of headers cannot tell X_Debug from X-Debug.
func TestHeadersAreDroppedUnderBothTheirNames(t *testing.T) {
	q := &Request{DropHeader: []string{"X-Debug_Token"}}
	if err := q.check(); err != nil {
		t.Fatal(err)
	}
	q.provision(func(action, selector string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{})
	})
	r := httptest.NewRequest("GET", "/", nil)
	r.Header = http.Header{"X-Debug-Token": {"1"}, "X_debug_token": {"2"}, "X-Debug-Tokens": {"3"}, "X@debug@token": {"4"}}
	q.drop(r, false)
	if len(r.Header) != 2 {
		t.Errorf("left: %v", r.Header)
	}
}

func TestRequestsAreBlocked(t *testing.T) {
	g := run(t, requestRules)
	got := record(g)
	long := strings.Repeat(" ", 30_000)
	for _, test := range []struct {
		name, target, body, reason string
		header                     []string
	}{
		{"JSON", "/", `{"a":["` + visa + `"]}`, "redact.blocked", []string{"Content-Type", jsonType}},
		{"a number", "/", `{"a":` + visa + `}`, "redact.blocked", []string{"Content-Type", jsonType}},
		{"escaped", "/", `{"a":"\u0034111111111111111"}`, "redact.blocked", []string{"Content-Type", jsonType}},
		{"far behind", "/", `{"a":"` + long + visa + `"}`, "redact.blocked", []string{"Content-Type", jsonType}},
		{"a form", "/", "a=1&b=4111+1111%201111%2D1111&c=4111+1111+1111+1111", "redact.blocked", []string{"Content-Type", formType}},
		{"a form, encoded digits", "/", "b=%34111111111111111", "redact.blocked", []string{"Content-Type", formType}},
		{"text", "/", "pay " + visa + " now", "redact.blocked", []string{"Content-Type", "text/plain"}},
		{"no type", "/", visa, "redact.blocked", nil},
		{"a form that says it is JSON", "/", "b=4111+1111+1111+1111", "redact.blocked", []string{"Content-Type", jsonType}},
		{"JSON that says it is a form", "/", `{"a":"\u0034111111111111111"}`, "redact.blocked", []string{"Content-Type", formType}},
		{"JSON that says it is an event stream", "/", `{"a":"\u0034111111111111111"}`, "redact.blocked", []string{"Content-Type", "text/event-stream"}},
		{"JSON with a NaN", "/", `{"b":NaN,"a":"\u0034111111111111111"}`, "redact.blocked", []string{"Content-Type", jsonType}},
		{"JSON with a comment", "/", `/**/{"a":"%41\u0031\u0031111111111111"}`, "redact.blocked", []string{"Content-Type", jsonType}},
		{"JSON in single quotes", "/", `{'a':'\x34111111111111111'}`, "redact.blocked", []string{"Content-Type", jsonType}},
		{"JSON in a form", "/", "payload=%7B%22a%22%3A%22%5Cu0034111111111111111%22%7D", "redact.blocked", []string{"Content-Type", formType}},
		{"JSON in a form, cut off", "/", "payload=" + visa[:15] + "%5Cu0031", "redact.blocked", []string{"Content-Type", formType}},
		{"YAML", "/", `a: "\u0034111111111111111"`, "redact.blocked", []string{"Content-Type", "application/yaml"}},
		{"JSON in the query", "/?a=%7B%22a%22%3A%22%5Cu0034111111111111111%22%7D", "", "redact.blocked", nil},
		{"compressed", "/", compress(t, `{"a":"`+visa+`"}`), "redact.blocked", []string{"Content-Type", jsonType, "Content-Encoding", "gzip"}},
		{"a private key", "/", `{"k":"-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n"}`, "redact.blocked", []string{"Content-Type", jsonType}},
		{"the query", "/?a=1&b=" + visa, "", "redact.blocked", nil},
		{"the query, encoded", "/?b=4111+1111%201111%201111&b=%34111111111111111", "", "redact.blocked", nil},

		{"an image", "/", "\x89PNG", "redact.request_type", []string{"Content-Type", "image/png"}},
		{"a file", "/", "x", "redact.request_type", []string{"Content-Type", "application/octet-stream"}},
		{"multipart", "/", "--x--", "redact.request_type", []string{"Content-Type", "multipart/form-data; boundary=x"}},
		{"a coding", "/", "x", "redact.request_coding", []string{"Content-Type", jsonType, "Content-Encoding", "br"}},
		{"gzip that is none", "/", "{}", "redact.request_coding", []string{"Content-Type", jsonType, "Content-Encoding", "gzip"}},
		{"gzip that is cut off", "/", compress(t, `{"a":1}`)[:20], "redact.request_coding", []string{"Content-Type", jsonType, "Content-Encoding", "gzip"}},
		{"a character set", "/", "{}", "redact.request_charset", []string{"Content-Type", jsonType + "; charset=utf-16"}},
		{"UTF-16 that says nothing", "/", "\x00{\x00}", "redact.request_charset", []string{"Content-Type", jsonType}},
		{"too long", "/", `"` + strings.Repeat("x", 70_000) + `"`, "redact.request_limit", []string{"Content-Type", jsonType}},
		{"too long when it is decoded", "/", compress(t, `"`+strings.Repeat("x", 70_000)+`"`), "redact.request_limit",
			[]string{"Content-Type", jsonType, "Content-Encoding", "gzip"}},
		{"too deep", "/", strings.Repeat("[", 600), "redact.request_limit", []string{"Content-Type", jsonType}},

		{"nothing to find", "/?a=1&b=4111111111111112", `{"a":4111111111111112,"b":"4111+"}`, "", []string{"Content-Type", jsonType}},
		{"nothing to find in gzip", "/", compress(t, `{"a":1}`), "", []string{"Content-Type", jsonType, "Content-Encoding", "gzip"}},
		{"escape sequences of nothing", "/", `{"a":"\u0000\\u0034","b":"\u4111111111111111"}`, "", []string{"Content-Type", jsonType}},
		{"an empty body", "/", "", "", []string{"Content-Type", jsonType}},
		{"as long as it may be", "/", `"` + strings.Repeat("x", 64<<10-2) + `"`, "", []string{"Content-Type", jsonType}},
		{"what was dropped", "/?token=" + visa, "", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			*got = received{}
			decisions(t, "deny", test.reason)
			resp := g.Send(t, "POST", test.target, test.body, append([]string{client, from}, test.header...)...)
			if test.reason == "" {
				if resp.Status != 200 || got.body != test.body || got.length != int64(len(test.body)) {
					t.Errorf("%d %s, and the backend got %d bytes, %.100q", resp.Status, resp.Body, got.length, got.body)
				}
				return
			}
			if resp.Status != 422 || got.asked || strings.Contains(resp.Body, visa) {
				t.Errorf("%d %s, asked %v", resp.Status, resp.Body, got.asked)
			}
			if n := decisions(t, "deny", test.reason); n != 1 {
				t.Errorf("%s counted %v times", test.reason, n)
			}
		})
	}
	if n := found(t, "enforce", "detect:card"); n < 10 {
		t.Errorf("counted %v numbers", n)
	}
}

// A body in chunks, with a trailer, that may pass, one that may not, and one that
// breaks off.
func TestChunkedBodies(t *testing.T) {
	g := run(t, requestRules)
	got := record(g)
	const head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\nContent-Type: application/json\r\n" +
		"Transfer-Encoding: chunked\r\nTrailer: X-After\r\n\r\n"
	if raw := g.Raw(t, head+"7\r\n{\"a\":1}\r\n0\r\nX-After: "+visa+"\r\n\r\n"); !strings.Contains(raw, " 200 ") || got.body != `{"a":1}` || len(got.r.Trailer) > 0 {
		t.Errorf("%q, and the backend got %q %v", raw, got.body, got.r.Trailer)
	}
	*got = received{}
	if raw := g.Raw(t, head+"a\r\n{\"a\":\"4111\r\ne\r\n111111111111\"}\r\n0\r\n\r\n"); !strings.Contains(raw, " 422 ") || got.asked {
		t.Errorf("%q, asked %v", raw, got.asked)
	}
	if raw := g.Raw(t, head+"a\r\n{\"a\":\"4111\r\nzz\r\n"); strings.Contains(raw, " 200 ") || got.asked {
		t.Errorf("%q, asked %v", raw, got.asked)
	}
	if raw := g.Raw(t, strings.Replace(head, "Connection: close\r\n", "Connection: close\r\nExpect: 100-continue\r\n", 1)+"2\r\n{}\r\n0\r\n\r\n"); !strings.Contains(raw, " 200 ") || got.body != "{}" {
		t.Errorf("%q, and the backend got %q", raw, got.body)
	}
}

func TestDryRunLeavesRequestsAsTheyAre(t *testing.T) {
	g := run(t, strings.Replace(requestRules, "redact {", "redact {\nmode dry_run", 1))
	got := record(g)
	for _, body := range []string{`{"a":"` + visa + `"}`, strings.Repeat(visa+" ", 10_000), "{}", strings.Repeat("x", 200_000)} {
		decisions(t, "would_deny", "redact.blocked")
		decisions(t, "allow", "")
		resp := g.Send(t, "POST", "/?token=1", body, client, from, "Content-Type", "text/plain", "X-Debug-Token", "s1")
		if resp.Status != 200 || got.body != body || got.uri != "/?token=1" || got.r.Header.Get("X-Debug-Token") != "s1" || got.length != int64(len(body)) {
			t.Errorf("%d, and the backend got %s, %d bytes", resp.Status, got.uri, got.length)
		}
		refused, allowed := decisions(t, "would_deny", "redact.blocked"), decisions(t, "allow", "")
		if strings.Contains(body, visa) && len(body) < 60_000 && (refused != 1 || allowed != 0) {
			t.Errorf("counted %v and %v", refused, allowed)
		}
	}
	if found(t, "dry_run", "query:token") == 0 {
		t.Error("what would be dropped is not counted")
	}
}

func TestUpgradesPassWhereNothingIsInspected(t *testing.T) {
	switched := func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello "+r.URL.RawQuery+"\n")
	}
	const ask = "GET /?a=1&token=2 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\nTest-Role: support\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	for directives, passes := range map[string]bool{
		"redact {\nrequest {\ndrop query token\n}\n}": true,
		requestRules: false, // nobody would see what goes over the connection
		"redact {\nrequest {\ndrop query token\n}\nresponse {\nmask keys a\n}\n}":                      false,
		"redact {\nrequest {\ndrop query token\n}\nresponse {\nmask keys a\n}\nreveal role support\n}": true,
	} {
		t.Run(directives, func(t *testing.T) {
			g := run(t, "route {\ntest_caller\n"+directives+"\nreverse_proxy {$BACKEND}\n}")
			g.Backend(switched)
			if !passes {
				wantRefused(t, g.Do(t, "GET", "/?token=2", client, from, "Connection", "Upgrade", "Upgrade", "websocket"))
				return
			}
			raw := g.Raw(t, ask)
			if !strings.Contains(raw, " 101 ") || !strings.HasSuffix(raw, "hello a=1\n") {
				t.Errorf("%q", raw)
			}
		})
	}
}

func init() {
	caddy.RegisterModule(testCaller{})
	httpcaddyfile.RegisterHandlerDirective("test_caller", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		return testCaller{}, nil
	})
}

// testCaller stands in for auth: the caller has the role, scope and id that
// headers say.
type testCaller struct{}

func (testCaller) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_caller", New: func() caddy.Module { return new(testCaller) }}
}

func (testCaller) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (testCaller) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	h := r.Header
	if role, scope, id := h.Get("Test-Role"), h.Get("Test-Scope"), h.Get("Test-Id"); role+scope+id != "" {
		guard.From(r).Principal = &principal.Principal{ID: id, Roles: []string{role}, Scopes: []string{scope}}
	}
	return next.ServeHTTP(w, r)
}

func TestTheOriginalIsShownToWhomItMay(t *testing.T) {
	const directives = `route {
		test_caller
		redact {
			response {
				drop keys password
			}
			request {
				block detect card
			}
			reveal role support admin
			reveal scope originals
			reveal principal alice
		}
		reverse_proxy {$BACKEND}
	}`
	g := run(t, directives)
	const body = `{"a":1,"password":"hunter2"}`
	g.Backend(answer(body, "Content-Type", jsonType, "Cache-Control", "public, max-age=600", "Expires", "Thu, 01 Jan 2099 00:00:00 GMT",
		"Cdn-Cache-Control", "max-age=600", "Surrogate-Control", "max-age=600", "Etag", `"1"`))
	for _, test := range []struct {
		name, header, value string
		shown               bool
	}{
		{"a role", "Test-Role", "support", true},
		{"another role", "Test-Role", "admin", true},
		{"a scope", "Test-Scope", "originals", true},
		{"an id", "Test-Id", "alice", true},
		{"no caller", "X-None", "1", false},
		{"a role with the name of a scope", "Test-Role", "originals", false},
		{"a scope with the name of a role", "Test-Scope", "support", false},
		{"an id with the name of a role", "Test-Id", "support", false},
		{"a role in capitals", "Test-Role", "Support", false},
		{"a header that says so", "X-Role", "support", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := shown(t)
			resp := g.Do(t, "GET", "/", client, from, test.header, test.value)
			if (resp.Body == body) != test.shown || strings.Contains(resp.Body, "hunter2") != test.shown {
				t.Errorf("%d %s", resp.Status, resp.Body)
			}
			h := resp.Header
			private := h.Get("Cache-Control") == "private, no-store" && h.Get("Expires")+h.Get("Cdn-Cache-Control")+h.Get("Surrogate-Control") == ""
			if private != test.shown || (h.Get("Etag") == `"1"`) != test.shown {
				t.Errorf("the header is %v", h)
			}
			if n := shown(t) - before; n != map[bool]float64{true: 1, false: 0}[test.shown] {
				t.Errorf("counted %v", n)
			}
		})
	}
	if resp := g.Send(t, "POST", "/", visa, client, from, "Test-Role", "support", "Content-Type", "text/plain"); resp.Status != 422 {
		t.Errorf("what a privileged caller may not send: %d", resp.Status)
	}
	if resp := g.Do(t, "HEAD", "/", client, from, "Test-Role", "support"); resp.Header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("HEAD: %v", resp.Header)
	}
	g.Backend(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })
	if resp := g.Do(t, "GET", "/", client, from, "Test-Role", "support", "If-None-Match", `"1"`); resp.Status != 304 || resp.Header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("%d %v", resp.Status, resp.Header)
	}
	if err := g.Reload(t, "{$ADDR} {\n"+strings.Replace(directives, "redact {", "redact {\nmode dry_run", 1)+"\n}\n"); err != nil {
		t.Fatal(err)
	}
	g.Backend(answer(body, "Content-Type", jsonType, "Cache-Control", "public"))
	if resp := g.Do(t, "GET", "/", client, from, "Test-Role", "support"); resp.Body != body || resp.Header.Get("Cache-Control") != "public" {
		t.Errorf("dry_run: %v %s", resp.Header, resp.Body)
	}
}

// shown is how often the original was shown.
func shown(t *testing.T) float64 {
	t.Helper()
	total := 0.0
	for _, m := range gather(t, "sallyport_redact_revealed_total") {
		total += m.GetCounter().GetValue()
	}
	return total
}

func TestHashesAreKeyedAndStampTheTags(t *testing.T) {
	const directives = "redact {\nresponse {\nhash path $.customer.ssn {\nkey {env.TEST_REDACT_KEY}\n}\n}\n}"
	g := run(t, "respond ok")
	tag := func(key string) (body, etag string) {
		t.Setenv("TEST_REDACT_KEY", key)
		if err := g.Reload(t, "{$ADDR} {\n"+directives+"\nreverse_proxy {$BACKEND}\n}\n"); err != nil {
			t.Fatal(err)
		}
		g.Backend(answer(`{"customer":{"ssn":"123","x":"123"},"ssn":"123"}`, "Content-Type", jsonType, "Etag", `"1"`))
		resp := g.Do(t, "GET", "/", client, from)
		return resp.Body, resp.Header.Get("Etag")
	}
	body, etag := tag("a secret of this test")
	if !strings.HasSuffix(body, `","x":"123"},"ssn":"123"}`) || len(body) != len(`{"customer":{"ssn":"","x":"123"},"ssn":"123"}`)+32 {
		t.Errorf("%s", body)
	}
	if again, same := tag("a secret of this test"); again != body || same != etag {
		t.Errorf("the same key made %s %s of %s %s", again, same, body, etag)
	}
	if other, stamp := tag("another secret of this test"); other == body || stamp == etag {
		t.Errorf("another key makes the same: %s %s", other, stamp)
	}
	t.Setenv("TEST_REDACT_KEY", "short")
	if err := g.Reload(t, "{$ADDR} {\n"+directives+"\n}\n"); err == nil || !strings.Contains(err.Error(), "fewer than 16 bytes") || strings.Contains(err.Error(), "short") {
		t.Errorf("a short key: %v", err)
	}
	if err := g.Reload(t, "{$ADDR} {\n"+strings.Replace(directives, "TEST_REDACT_KEY", "TEST_UNSET_KEY", 1)+"\n}\n"); err == nil || !strings.Contains(err.Error(), "is not set") {
		t.Errorf("no key: %v", err)
	}
}
