package cors

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	_ "github.com/sallyport-gateway/sallyport/modules/allowlist" // another guard
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

const (
	app     = "https://app.example.com"
	partner = "https://eu.partner.example"
	evil    = "https://evil.example"

	policy = `
	cors {
		allow_origins https://app.example.com https://*.partner.example
		allow_methods PUT DELETE
		allow_headers Authorization Content-Type
		expose_headers RateLimit Retry-After
		allow_credentials
		max_age 10m
	}`
)

// site is a gateway with the policy above and more directives.
func site(directives string) string {
	return "{$ADDR} {" + policy + "\n" + directives + "\n}\n"
}

// client is the header with which every request says who sends it.
func client(header ...string) []string {
	return append([]string{"X-Forwarded-For", "203.0.113.7"}, header...)
}

func preflight(origin, method, headers string) []string {
	h := client("Origin", origin, "Access-Control-Request-Method", method)
	if headers != "" {
		h = append(h, "Access-Control-Request-Headers", headers)
	}
	return h
}

// corsFields are the CORS fields and Vary of a response, one line each.
func corsFields(h http.Header) []string {
	var lines []string
	for name, values := range h {
		if name == "Vary" || strings.HasPrefix(name, "Access-Control-") {
			for _, v := range values {
				lines = append(lines, name+": "+v)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func expectFields(t *testing.T, what string, h http.Header, want ...string) {
	t.Helper()
	if got := corsFields(h); !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// readable are the fields of a response that the pages of origin may read.
func readable(origin string) []string {
	return []string{"Access-Control-Allow-Credentials: true", "Access-Control-Allow-Origin: " + origin,
		"Access-Control-Expose-Headers: RateLimit,Retry-After", "Vary: Origin"}
}

const preflightVary = "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers"

func TestPreflightsAreAnsweredBeforeAuthentication(t *testing.T) {
	g := gatetest.Run(t, site(`error 401`))

	resp := g.Do(t, "OPTIONS", "/orders", preflight(app, "PUT", "authorization,content-type")...)
	if resp.Status != 204 || resp.Body != "" || resp.Header.Get("Content-Type") != "" || resp.Header.Get("Content-Length") != "" {
		t.Errorf("preflight: %d %q %v", resp.Status, resp.Body, resp.Header)
	}
	expectFields(t, "preflight", resp.Header, "Access-Control-Allow-Credentials: true", "Access-Control-Allow-Headers: authorization,content-type",
		"Access-Control-Allow-Methods: PUT", "Access-Control-Allow-Origin: "+app, "Access-Control-Max-Age: 600", preflightVary)

	resp = g.Do(t, "OPTIONS", "/orders", preflight(partner, "GET", "")...)
	expectFields(t, "preflight of a subdomain", resp.Header, "Access-Control-Allow-Credentials: true", "Access-Control-Allow-Origin: "+partner,
		"Access-Control-Max-Age: 600", preflightVary)

	resp = g.Do(t, "PUT", "/orders", client("Origin", app)...)
	if resp.Status != 401 {
		t.Errorf("the request itself: %d", resp.Status)
	}
	expectFields(t, "the request itself", resp.Header, readable(app)...)
}

func TestRefusedPreflightsAreAnsweredWithoutFields(t *testing.T) {
	reached := false
	// Caddy's own limit is 16 KiB; some raise it.
	large := strings.Replace(gatetest.Globals, "servers {", "servers {\n max_header_size 2MB", 1)
	g := gatetest.Run(t, large+site(`
	header Access-Control-Allow-Origin *
	reverse_proxy {$BACKEND}`))
	g.Backend(func(http.ResponseWriter, *http.Request) { reached = true })
	for name, header := range map[string][]string{
		"an origin that is not allowed":            preflight(evil, "PUT", ""),
		"null":                                     preflight("null", "PUT", ""),
		"an allowed name as the end of another":    preflight("https://evilapp.example.com", "PUT", ""),
		"an allowed name in front of another":      preflight("https://app.example.com.evil.example", "PUT", ""),
		"the base of a wildcard":                   preflight("https://partner.example", "PUT", ""),
		"the base as the end of a label":           preflight("https://evilpartner.example", "PUT", ""),
		"capitals":                                 preflight("https://APP.example.com", "PUT", ""),
		"a trailing dot":                           preflight("https://app.example.com.", "PUT", ""),
		"the default port":                         preflight("https://app.example.com:443", "PUT", ""),
		"a user name":                              preflight("https://app.example.com@evil.example", "PUT", ""),
		"a list of origins":                        preflight(app+", "+evil, "PUT", ""),
		"an empty origin":                          preflight("", "PUT", ""),
		"a method that is not allowed":             preflight(app, "PATCH", ""),
		"a method in small":                        preflight(app, "put", ""),
		"an empty method":                          preflight(app, "", ""),
		"a header that is not allowed":             preflight(app, "PUT", "authorization,x-other"),
		"10,000 empty elements":                    preflight(app, "PUT", strings.Repeat(",", 10000)),
		"a megabyte of an allowed header":          preflight(app, "PUT", strings.Repeat("authorization,", 900_000/14)),
		"a megabyte of origin":                     preflight(app+strings.Repeat("x", 900_000), "PUT", ""),
		"a megabyte of method":                     preflight(app, "PUT"+strings.Repeat("X", 900_000), ""),
		"an allowed list, and more in line two":    append(preflight(app, "PUT", "authorization"), "Access-Control-Request-Headers", "x-other"),
		"a private network, which changes nothing": append(preflight(evil, "PUT", ""), "Access-Control-Request-Private-Network", "true"),
	} {
		resp := g.Do(t, "OPTIONS", "/", header...)
		if resp.Status != 403 || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %q", name, resp.Status, resp.Body)
		}
		expectFields(t, name, resp.Header, preflightVary)
	}
	for name, header := range map[string][]string{
		"two origins":           append(preflight(app, "PUT", ""), "Origin", evil),
		"the same origin twice": append(preflight(app, "PUT", ""), "Origin", app),
		"two methods":           append(preflight(app, "PUT", ""), "Access-Control-Request-Method", "PATCH"),
	} {
		if resp := g.Do(t, "OPTIONS", "/", header...); resp.Status != 400 || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", name, resp.Status, corsFields(resp.Header))
		}
	}
	if reached {
		t.Error("a refused preflight reached the backend")
	}
}

func TestPrivateNetworkAccessIsNotGranted(t *testing.T) {
	g := gatetest.Run(t, site(`respond ok`))
	resp := g.Do(t, "OPTIONS", "/", append(preflight(app, "GET", ""), "Access-Control-Request-Private-Network", "true")...)
	expectFields(t, "preflight", resp.Header, "Access-Control-Allow-Credentials: true", "Access-Control-Allow-Origin: "+app,
		"Access-Control-Max-Age: 600", preflightVary)
}

func TestOrdinaryRequestsPassWhateverTheirOrigin(t *testing.T) {
	g := gatetest.Run(t, site(`reverse_proxy {$BACKEND}`))
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", "GET, OPTIONS")
		w.Header().Set("X-Saw", r.Method+" "+r.Header.Get("Origin"))
		_, _ = io.WriteString(w, "ok")
	})
	for name, c := range map[string]struct {
		method string
		header []string
		fields []string
	}{
		"GET of an allowed origin":                  {"GET", client("Origin", app), readable(app)},
		"GET of a subdomain":                        {"GET", client("Origin", partner), readable(partner)},
		"HEAD of an allowed origin":                 {"HEAD", client("Origin", app), readable(app)},
		"a method that a preflight would refuse":    {"PATCH", client("Origin", app), readable(app)},
		"POST of an origin that is not allowed":     {"POST", client("Origin", evil), []string{"Vary: Origin"}},
		"GET of null":                               {"GET", client("Origin", "null"), []string{"Vary: Origin"}},
		"GET without origin":                        {"GET", client(), []string{"Vary: Origin"}},
		"OPTIONS without Access-Control-Request-…":  {"OPTIONS", client("Origin", app), readable(app)},
		"OPTIONS of an origin that is not allowed":  {"OPTIONS", client("Origin", evil), []string{"Vary: Origin"}},
		"OPTIONS without origin":                    {"OPTIONS", client("Access-Control-Request-Method", "PUT"), []string{"Vary: Origin"}},
		"GET with the fields of a preflight":        {"GET", client("Origin", app, "Access-Control-Request-Method", "PUT"), readable(app)},
		"GET of the origin in capitals":             {"GET", client("Origin", "https://APP.example.com"), []string{"Vary: Origin"}},
		"GET of a name that ends like an allowed":   {"GET", client("Origin", "https://evilapp.example.com"), []string{"Vary: Origin"}},
		"GET of a name that begins like an allowed": {"GET", client("Origin", "https://app.example.com.evil.example"), []string{"Vary: Origin"}},
	} {
		resp := g.Do(t, c.method, "/", c.header...)
		if resp.Status != 200 || !strings.HasPrefix(resp.Header.Get("X-Saw"), c.method) {
			t.Errorf("%s: %d, the backend saw %q", name, resp.Status, resp.Header.Get("X-Saw"))
		}
		expectFields(t, name, resp.Header, c.fields...)
	}
}

func TestFieldsStayOnRefusalsAndErrors(t *testing.T) {
	const failures = `
	error /401 401
	error /403 403
	error /429 429
	error /500 500
	reverse_proxy /502 127.0.0.1:1
	respond /204 204
	respond ok`
	for name, config := range map[string]string{
		"with problem documents": site(failures),
		"with handle_errors":     site(failures + "\nhandle_errors {\n respond \"sorry\"\n}"),
		"with a proxy in handle_errors, which adds fields of its own": site(failures +
			"\nhandle_errors {\n reverse_proxy {$BACKEND}\n}"),
		"with fields set by hand in handle_errors": site(failures +
			"\nhandle_errors {\n header Access-Control-Allow-Origin *\n respond \"sorry\"\n}"),
	} {
		t.Run(name, func(t *testing.T) {
			g := gatetest.Run(t, config)
			g.Backend(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Access-Control-Allow-Origin", "*")
				w.Header().Set("Access-Control-Allow-Credentials", "true")
				_, _ = io.WriteString(w, "an error page")
			})
			for _, path := range []string{"/401", "/403", "/429", "/500", "/502", "/204", "/"} {
				for _, method := range []string{"GET", "HEAD", "DELETE"} {
					expectFields(t, method+" "+path+" of an allowed origin", g.Do(t, method, path, client("Origin", app)...).Header, readable(app)...)
					expectFields(t, method+" "+path+" of another", g.Do(t, method, path, client("Origin", evil)...).Header, "Vary: Origin")
				}
			}
			expectFields(t, "a refused preflight", g.Do(t, "OPTIONS", "/", preflight(evil, "PUT", "")...).Header, preflightVary)
		})
	}
}

func TestTheBackendsFieldsAreRemovedAndItsVaryKept(t *testing.T) {
	g := gatetest.Run(t, site(`
	header /by-hand Access-Control-Allow-Origin https://by.hand.example
	encode /gzip gzip
	reverse_proxy {$BACKEND}`))
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for _, name := range []string{"Origin", "Credentials", "Methods", "Headers", "Private-Network"} {
			h.Set("Access-Control-Allow-"+name, r.Header.Get("Origin"))
		}
		h.Set("Access-Control-Expose-Headers", "X-Secret")
		h.Set("Access-Control-Max-Age", "86400")
		h.Add("Access-Control-Allow-Origin", "*")
		h["Vary"] = r.Header["X-Vary"]
		h.Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, strings.Repeat("ok", 1000))
	})
	with := func(vary string) []string { return append(readable(app), "Vary: "+vary) }
	for name, c := range map[string]struct {
		path           string
		header, fields []string
	}{
		"an allowed origin":                      {"/", client("Origin", app), readable(app)},
		"an origin that is not allowed":          {"/", client("Origin", evil), []string{"Vary: Origin"}},
		"no origin":                              {"/", client(), []string{"Vary: Origin"}},
		"the header directive in front":          {"/by-hand", client("Origin", app), readable(app)},
		"the header directive, and no origin":    {"/by-hand", client(), []string{"Vary: Origin"}},
		"a Vary of the backend's":                {"/", client("Origin", app, "X-Vary", "Accept"), sorted(with("Accept"))},
		"a Vary that names Origin":               {"/", client("Origin", app, "X-Vary", "Accept, Origin"), append(readable(app)[:3], "Vary: Accept, Origin")},
		"a Vary of the backend's, and no origin": {"/", client("X-Vary", "Accept"), []string{"Vary: Accept", "Vary: Origin"}},
		"a Vary in two lines":                    {"/", client("X-Vary", "Accept", "X-Vary", "Cookie"), []string{"Vary: Accept", "Vary: Cookie", "Vary: Origin"}},
		"a Vary that encode adds":                {"/gzip", client("Accept-Encoding", "gzip"), []string{"Vary: Accept-Encoding", "Vary: Origin"}},
	} {
		expectFields(t, name, g.Do(t, "GET", c.path, c.header...).Header, c.fields...)
	}
}

func sorted(lines []string) []string {
	slices.Sort(lines)
	return lines
}

func TestNotModifiedResponsesCarryTheFields(t *testing.T) {
	g := gatetest.Run(t, site(`reverse_proxy {$BACKEND}`))
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", evil)
		w.WriteHeader(http.StatusNotModified)
	})
	resp := g.Do(t, "GET", "/", client("Origin", app, "If-None-Match", `"x"`)...)
	if resp.Status != 304 {
		t.Errorf("status %d", resp.Status)
	}
	expectFields(t, "304", resp.Header, readable(app)...)
}

func TestWhereEveryOriginIsAllowedNothingVaries(t *testing.T) {
	g := gatetest.Run(t, `{$ADDR} {
		cors {
			allow_origins *
			expose_headers *
		}
		reverse_proxy {$BACKEND}
	}`)
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://old.example")
		w.Header().Set("Access-Control-Allow-Credentials", "true")
	})
	for name, header := range map[string][]string{"an origin": client("Origin", evil), "null": client("Origin", "null"), "no origin": client()} {
		expectFields(t, name, g.Do(t, "GET", "/", header...).Header, "Access-Control-Allow-Origin: *", "Access-Control-Expose-Headers: *")
	}
	expectFields(t, "preflight", g.Do(t, "OPTIONS", "/", preflight("null", "GET", "")...).Header, "Access-Control-Allow-Origin: *", preflightVary)
}

func TestHandlersThatWriteNothingLeaveNoFieldsOfTheirs(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n route {"+policy+"\n header Access-Control-Allow-Origin *\n }\n}")
	expectFields(t, "an allowed origin", g.Do(t, "GET", "/", client("Origin", app)...).Header, readable(app)...)
	expectFields(t, "another", g.Do(t, "GET", "/", client("Origin", evil)...).Header, "Vary: Origin")
}

func TestTheFirstPolicyThatMatchesDecidesAlone(t *testing.T) {
	g := gatetest.Run(t, `{$ADDR} {
		cors /public/* {
			allow_origins *
			allow_methods PUT
		}
		cors {
			allow_origins https://app.example.com
			allow_credentials
		}
		cors {
			allow_origins https://evil.example
			expose_headers X-Secret
		}
		handle /inner/* {
			cors {
				allow_origins *
			}
			reverse_proxy {$BACKEND}
		}
		reverse_proxy {$BACKEND}
	}`)
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://backend.example")
	})
	own := []string{"Access-Control-Allow-Credentials: true", "Access-Control-Allow-Origin: " + app, "Vary: Origin"}

	expectFields(t, "public", g.Do(t, "GET", "/public/x", client("Origin", evil)...).Header, "Access-Control-Allow-Origin: *")
	expectFields(t, "the others", g.Do(t, "GET", "/x", client("Origin", app)...).Header, own...)
	expectFields(t, "a later policy adds nothing", g.Do(t, "GET", "/x", client("Origin", evil)...).Header, "Vary: Origin")
	expectFields(t, "an inner policy adds nothing", g.Do(t, "GET", "/inner/x", client("Origin", evil)...).Header, "Vary: Origin")
	expectFields(t, "an inner policy removes nothing", g.Do(t, "GET", "/inner/x", client("Origin", app)...).Header, own...)

	if resp := g.Do(t, "OPTIONS", "/public/x", preflight(evil, "PUT", "")...); resp.Status != 204 {
		t.Errorf("public preflight: %d", resp.Status)
	}
	for _, path := range []string{"/x", "/inner/x"} {
		if resp := g.Do(t, "OPTIONS", path, preflight(evil, "GET", "")...); resp.Status != 403 {
			t.Errorf("preflight of %s: %d", path, resp.Status)
		}
	}
}

func TestInDryRunResponsesAreNotTouched(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {"+strings.Replace(policy, "max_age 10m", "mode dry_run", 1)+"\n metrics /metrics\n reverse_proxy {$BACKEND}\n}")
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://backend.example")
		w.Header().Set("X-Saw", r.Method)
	})
	const wouldDeny = `verdict="would_deny"`
	before := decisions(t, g, wouldDeny)
	for name, header := range map[string][]string{
		"a preflight that would be refused": preflight(evil, "PUT", ""),
		"a preflight that would be allowed": preflight(app, "PUT", ""),
		"an allowed origin":                 client("Origin", app),
		"another origin":                    client("Origin", evil),
		"no origin":                         client(),
	} {
		resp := g.Do(t, "OPTIONS", "/", header...)
		if resp.Status != 200 || resp.Header.Get("X-Saw") != "OPTIONS" {
			t.Errorf("%s: did not reach the backend: %d", name, resp.Status)
		}
		expectFields(t, name, resp.Header, "Access-Control-Allow-Origin: https://backend.example")
	}
	if got := decisions(t, g, wouldDeny); got != before+1 {
		t.Errorf("%v would have been refused", got-before)
	}
}

func TestAPolicyInDryRunLeavesTheNextOneInForce(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n cors {\n allow_origins https://new.example\n mode dry_run\n }"+policy+"\n respond ok\n}")
	expectFields(t, "an allowed origin", g.Do(t, "GET", "/", client("Origin", app)...).Header, readable(app)...)
	if resp := g.Do(t, "OPTIONS", "/", preflight(app, "PUT", "")...); resp.Status != 204 {
		t.Errorf("preflight: %d", resp.Status)
	}
	if resp := g.Do(t, "OPTIONS", "/", preflight("https://new.example", "PUT", "")...); resp.Status != 403 {
		t.Errorf("preflight of the new policy's origin: %d", resp.Status)
	}
}

func TestDecisionsAreCounted(t *testing.T) {
	g := gatetest.Run(t, site("metrics /metrics\nreverse_proxy {$BACKEND}"))
	for _, c := range []struct {
		labels string
		method string
		header []string
	}{
		{`reason="cors.origin_not_allowed"`, "OPTIONS", preflight(evil, "PUT", "x-other")},
		{`reason="cors.method_not_allowed"`, "OPTIONS", preflight(app, "PATCH", "x-other")},
		{`reason="cors.headers_not_allowed"`, "OPTIONS", preflight(app, "PUT", "x-other")},
	} {
		before := decisions(t, g, c.labels)
		g.Do(t, c.method, "/", c.header...)
		if got := decisions(t, g, c.labels); got != before+1 {
			t.Errorf("%s: counted %v", c.labels, got-before)
		}
	}
	before := decisions(t, g, `verdict="allow"`) // counts this request too
	g.Do(t, "OPTIONS", "/", preflight(app, "PUT", "")...)
	g.Do(t, "GET", "/", client("Origin", evil)...)
	if got := decisions(t, g, `verdict="allow"`); got != before+3 {
		t.Errorf("allowed: counted %v", got-before)
	}
}

// decisions is the number of decisions of this guard with labels.
func decisions(t *testing.T, g *gatetest.Gate, labels string) (total float64) {
	t.Helper()
	for line := range strings.Lines(g.Do(t, "GET", "/metrics", client()...).Body) {
		if strings.HasPrefix(line, "sallyport_decisions_total{") && strings.Contains(line, `guard="cors"`) && strings.Contains(line, labels) {
			var n float64
			if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' '):], &n); err != nil {
				t.Fatal(err)
			}
			total += n
		}
	}
	return total
}

func TestARejectedReloadLeavesThePolicyInForce(t *testing.T) {
	g := gatetest.Run(t, site(`respond ok`))
	if err := g.Reload(t, "{$ADDR} {\n cors {\n allow_origins *\n allow_credentials\n }\n respond ok\n}"); err == nil {
		t.Fatal("every origin with credentials is accepted")
	}
	expectFields(t, "the old origin", g.Do(t, "GET", "/", client("Origin", app)...).Header, readable(app)...)
	expectFields(t, "another", g.Do(t, "GET", "/", client("Origin", evil)...).Header, "Vary: Origin")
	if err := g.Reload(t, "{$ADDR} {\n cors {\n allow_origins "+evil+"\n }\n respond ok\n}"); err != nil {
		t.Fatal(err)
	}
	expectFields(t, "the old origin after a reload", g.Do(t, "GET", "/", client("Origin", app)...).Header, "Vary: Origin")
	expectFields(t, "the new origin after a reload", g.Do(t, "GET", "/", client("Origin", evil)...).Header,
		"Access-Control-Allow-Origin: "+evil, "Vary: Origin")
}

func TestAPolicyThatCannotSeeAllResponsesIsRefused(t *testing.T) {
	g := gatetest.Run(t, site(`respond ok`))
	const other = "\n allowlist {\n  deny 192.0.2.1\n }\n"
	for name, config := range map[string]string{
		"in handle_errors alone":   "{$ADDR} {" + other + " respond ok\n handle_errors {" + policy + "\n  respond sorry\n }\n}",
		"in a named route alone":   "&(named) {" + policy + "\n}\n{$ADDR} {" + other + " invoke named\n respond ok\n}",
		"in both of them, no site": "&(named) {" + policy + "\n}\n{$ADDR} {" + other + " invoke named\n respond ok\n handle_errors {" + policy + "\n }\n}",
	} {
		if err := g.Reload(t, config); err == nil || !strings.Contains(err.Error(), "only cors stands in a named route or an error route") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := g.Reload(t, "&(named) {"+policy+"\n}\n"+site("invoke /x named\nrespond ok")); err != nil {
		t.Errorf("in a named route and in the site: %v", err)
	}
}

func TestDangerousJSONIsRefusedWithEveryFault(t *testing.T) {
	gatetest.Run(t, site(`respond ok`))
	err := caddy.Load([]byte(`{"admin": {"disabled": true}, "apps": {"http": {"servers": {"s": {"listen": ["127.0.0.1:0"],
		"automatic_https": {"disable": true}, "routes": [{"handle": [{"handler": "cors",
			"allow_origins": ["*", "null", "http://a.example"], "allow_methods": ["trace"], "allow_credentials": true, "max_age": -1}]}]}}}}}`), true)
	if err == nil {
		t.Fatal("is accepted")
	}
	for _, fault := range []string{`allow_origins[1] "null"`, `allow_methods[0] "trace"`, "allow_origins * stands alone",
		"allow_origins * with allow_credentials", `"http://a.example" with allow_credentials`, "max_age -1ns"} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("the error lacks %q: %v", fault, err)
		}
	}
}
