package securityheaders

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func compile(t *testing.T, c Config) *Policy {
	t.Helper()
	p, err := Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stamped is what a policy makes of header lines given as name, value, …
func stamped(p *Policy, secure bool, lines ...string) http.Header {
	header := make(http.Header)
	for i := 0; i+1 < len(lines); i += 2 {
		header.Add(lines[i], lines[i+1])
	}
	p.Stamp(header, secure, make([]string, p.Lines()))
	return header
}

func TestPresets(t *testing.T) {
	api := map[string]string{
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff",
		"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
		"X-Permitted-Cross-Domain-Policies": "none", "Cache-Control": "no-store",
	}
	html := maps.Clone(api)
	html["Content-Security-Policy"] = "default-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'"
	html["Cross-Origin-Opener-Policy"], html["Cross-Origin-Embedder-Policy"] = "same-origin", "require-corp"
	html["Permissions-Policy"] = noFeature
	for preset, plain := range map[string]map[string]string{presetAPI: api, presetHTML: html} {
		secure := maps.Clone(plain)
		secure["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
		if preset == presetHTML {
			secure["Content-Security-Policy"] += "; upgrade-insecure-requests"
		}
		for _, tt := range []struct {
			name   string
			secure bool
			want   map[string]string
		}{{"http", false, plain}, {"https", true, secure}} {
			t.Run(preset+" "+tt.name, func(t *testing.T) {
				got := make(map[string]string)
				for name, lines := range stamped(compile(t, Config{Preset: preset}), tt.secure) {
					got[name] = strings.Join(lines, " | ")
				}
				if !maps.Equal(got, tt.want) {
					t.Errorf("got  %v\nwant %v", got, tt.want)
				}
			})
		}
	}
}

func TestWhatABackendSaysAndThePolicyMakesOfIt(t *testing.T) {
	field := func(name, value string) []Field { return []Field{{name, value}} }
	tests := []struct {
		name       string
		config     Config
		backend    []string
		header     string
		want       string
		wantSecure string
	}{
		{"a weaker value is replaced", Config{Preset: presetAPI}, []string{"X-Frame-Options", "ALLOWALL"}, "X-Frame-Options", "DENY", "DENY"},
		{"several values become one", Config{Preset: presetAPI}, []string{"X-Frame-Options", "ALLOWALL", "X-Frame-Options", "DENY"}, "X-Frame-Options", "DENY", "DENY"},
		{"a default leaves the backend's", Config{Preset: presetAPI}, []string{"Cache-Control", "max-age=60"}, "Cache-Control", "max-age=60", "max-age=60"},
		{"a page's own policy stays with html", Config{Preset: presetHTML}, []string{csp, "default-src 'self' cdn.example"}, csp, "default-src 'self' cdn.example", "default-src 'self' cdn.example"},
		{"a page's own policy does not with api", Config{Preset: presetAPI}, []string{csp, "default-src *"}, csp, "default-src 'none'; frame-ancestors 'none'", "default-src 'none'; frame-ancestors 'none'"},
		{"a backend's HSTS over http is removed", Config{Preset: presetAPI}, []string{hsts, "max-age=1"}, hsts, "", "max-age=63072000; includeSubDomains"},
		{"an HSTS that is set is for https only, too", Config{Preset: presetNone, Set: field("strict-transport-security", "max-age=1")}, nil, hsts, "", "max-age=1"},
		{"an HSTS by default leaves the backend's over https", Config{Preset: presetNone, Default: field(hsts, "max-age=1")}, []string{hsts, "max-age=2"}, hsts, "max-age=2", "max-age=2"},
		{"CORP follows a public CORS policy", Config{Preset: presetAPI}, []string{"Access-Control-Allow-Origin", "*"}, corp, "cross-origin", "cross-origin"},
		{"CORP stays with one origin", Config{Preset: presetAPI}, []string{"Access-Control-Allow-Origin", "https://a.example"}, corp, "same-origin", "same-origin"},
		{"CORP stays with two values, which browsers refuse", Config{Preset: presetAPI}, []string{"Access-Control-Allow-Origin", "*", "Access-Control-Allow-Origin", "*"}, corp, "same-origin", "same-origin"},
		{"CORP that is set does not follow CORS", Config{Preset: presetAPI, Set: field(corp, "same-site")}, []string{"Access-Control-Allow-Origin", "*"}, corp, "same-site", "same-site"},
		{"set goes over the preset", Config{Preset: presetAPI, Set: field("referrer-policy", "origin")}, []string{"Referrer-Policy", "unsafe-url"}, "Referrer-Policy", "origin", "origin"},
		{"default goes over the preset", Config{Preset: presetAPI, Default: field("X-Frame-Options", "SAMEORIGIN")}, []string{"X-Frame-Options", "ALLOWALL"}, "X-Frame-Options", "ALLOWALL", "ALLOWALL"},
		{"remove goes over the preset", Config{Preset: presetAPI, Remove: []string{"x-frame-options"}}, []string{"X-Frame-Options", "DENY"}, "X-Frame-Options", "", ""},
		{"remove by a prefix", Config{Preset: presetNone, Remove: []string{"x-internal-*"}}, []string{"X-Internal-Host", "db1"}, "X-Internal-Host", "", ""},
		{"what remove does not name stays", Config{Preset: presetNone, Remove: []string{"x-internal-*"}}, []string{"X-Internals", "a"}, "X-Internals", "a", "a"},
		{"set keeps what the preset removes", Config{Preset: presetAPI, Set: field("Server", "gate")}, []string{"Server", "nginx"}, "Server", "gate", "gate"},
		{"default keeps the backend's of what the preset removes by prefix", Config{Preset: presetAPI, Default: field("X-Envoy-Mode", "a")}, []string{"X-Envoy-Mode", "b"}, "X-Envoy-Mode", "b", "b"},
		{"none leaves Server", Config{Preset: presetNone, Set: field("X-A", "b")}, []string{"Server", "nginx"}, "Server", "nginx", "nginx"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := compile(t, tt.config)
			for secure, want := range map[bool]string{false: tt.want, true: tt.wantSecure} {
				if got := strings.Join(stamped(p, secure, tt.backend...).Values(tt.header), " | "); got != want {
					t.Errorf("https %v: got %q, want %q", secure, got, want)
				}
			}
		})
	}
}

func TestWhatGivesTheServiceAwayIsRemoved(t *testing.T) {
	// OWASP's list of 2024-07-19, and members of families that it does not have.
	owasp := strings.Fields(`$wsep Host-Header K-Proxy-Request Liferay-Portal OracleCommerceCloud-Version Pega-Host Powered-By Product
		Server SourceMap X-AspNet-Version X-AspNetMvc-Version X-Atmosphere-error X-Atmosphere-first-request X-Atmosphere-tracking-id
		X-B3-ParentSpanId X-B3-Sampled X-B3-SpanId X-B3-TraceId X-BEServer X-CF-Powered-By X-CMS X-CalculatedBETarget X-Cocoon-Version
		X-Content-Encoded-By X-DiagInfo X-Envoy-Attempt-Count X-Envoy-External-Address X-Envoy-Internal X-Envoy-Original-Dst-Host
		X-Envoy-Upstream-Service-Time X-FEServer X-Framework X-Generated-By X-Generator X-Jitsi-Release X-Kubernetes-PF-FlowSchema-UI
		X-Kubernetes-PF-PriorityLevel-UID X-LiteSpeed-Cache X-LiteSpeed-Purge X-LiteSpeed-Tag X-LiteSpeed-Vary X-Litespeed-Cache-Control
		X-Mod-Pagespeed X-Nextjs-Cache X-Nextjs-Matched-Path X-Nextjs-Page X-Nextjs-Redirect X-OWA-Version X-Old-Content-Length
		X-OneAgent-JS-Injection X-Page-Speed X-Php-Version X-Powered-By X-Powered-By-Plesk X-Powered-CMS X-Redirect-By X-Server-Powered-By
		X-SourceFiles X-SourceMap X-Turbo-Charged-By X-Umbraco-Version X-Varnish-Backend X-Varnish-Server X-dtAgentId X-dtHealthCheck
		X-dtInjectedServlet X-ruxit-JS-Agent Via X-Kong-Proxy-Latency X-Datadog-Trace-Id X-Varnish X-Runtime X-XSS-Protection`)
	for _, preset := range []string{presetAPI, presetHTML} {
		p := compile(t, Config{Preset: preset})
		for _, name := range owasp {
			if got := stamped(p, true, name, "x", "X-Own", "kept"); got.Get(name) != "" || got.Get("X-Own") != "kept" {
				t.Errorf("%s: %s is left, or too much is gone: %v", preset, name, got)
			}
		}
	}
}

func TestStampingTwiceComesToTheSame(t *testing.T) {
	p := compile(t, Config{Preset: presetHTML})
	slots := make([]string, p.Lines())
	header := http.Header{"Access-Control-Allow-Origin": {"*"}}
	p.Stamp(header, true, slots)
	first := header.Clone()
	// What stands in front may become known only now: the backend's answer was not public.
	delete(header, "Access-Control-Allow-Origin")
	p.Stamp(header, true, slots)
	if got := header.Get(corp); got != "same-origin" {
		t.Errorf("CORP %q of a response that is not public any more", got)
	}
	header.Set("Access-Control-Allow-Origin", "*")
	p.Stamp(header, true, slots)
	if !maps.EqualFunc(header, first, slices.Equal) {
		t.Errorf("got %v, want %v", header, first)
	}
}

func TestResponsesShareNoMemory(t *testing.T) {
	p := compile(t, Config{Preset: presetAPI})
	one, two := stamped(p, true), stamped(p, true)
	for name := range one {
		one[name][0] = "edited"
		if appended := append(one[name], "more"); len(appended) != 2 {
			t.Fatal("no place")
		}
	}
	for name, lines := range two {
		if len(lines) != 1 || lines[0] == "edited" || lines[0] == "more" {
			t.Errorf("%s of another response became %q", name, lines)
		}
	}
	if three := stamped(p, true); three.Get(csp) != "default-src 'none'; frame-ancestors 'none'" {
		t.Errorf("the policy became %q", three.Get(csp))
	}
}

func TestEveryBadOptionIsNamed(t *testing.T) {
	field := func(name, value string) []Field { return []Field{{name, value}} }
	tests := []struct {
		name   string
		config Config
		errs   []string
	}{
		{"an unknown preset", Config{Preset: "strict"}, []string{`preset "strict"`}},
		{"nothing to do", Config{Preset: presetNone}, []string{"does nothing"}},
		{"no header name", Config{Preset: presetAPI, Set: field("X A", "b")}, []string{"set X A: not a header name"}},
		{"no header name to remove", Config{Preset: presetAPI, Remove: []string{"*"}}, []string{"remove *: not a header name"}},
		{"a star in the middle, which is a legal name and hardly meant", Config{Preset: presetAPI, Remove: []string{"X-*-A "}}, []string{"remove X-*-A : not a header name"}},
		{"an empty value", Config{Preset: presetAPI, Set: field("X-A", "")}, []string{"set X-A: the value is empty"}},
		{"a value that splits the response", Config{Preset: presetAPI, Default: field("X-A", "b\r\nSet-Cookie: c")}, []string{"default X-A: the value has characters"}},
		{"a placeholder, which would be sent as it is", Config{Preset: presetAPI, Set: field("X-A", "{http.request.uuid}")}, []string{"placeholders are not expanded"}},
		{"framing", Config{Preset: presetAPI, Set: field("content-length", "1")}, []string{"it frames the body"}},
		{"a header of cors", Config{Preset: presetAPI, Remove: []string{"access-control-allow-origin"}}, []string{"it is cors's"}},
		{"a challenge", Config{Preset: presetAPI, Set: field("WWW-Authenticate", "Basic")}, []string{"auth writes it"}},
		{"set and default", Config{Preset: presetAPI, Set: field("X-A", "b"), Default: field("x-a", "c")}, []string{"default x-a: the header is in set already"}},
		{"set and remove", Config{Preset: presetAPI, Set: field("X-A", "b"), Remove: []string{"x-a"}}, []string{"remove x-a: the header is in set already"}},
		{"twice", Config{Preset: presetAPI, Remove: []string{"X-A", "x-a"}}, []string{"remove x-a: the header is in remove already"}},
		{"all at once", Config{Preset: "x", Set: field("a b", "c"), Remove: []string{"Date"}}, []string{`preset "x"`, "set a b", "remove Date"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Compile(tt.config)
			if err == nil {
				t.Fatal("it is accepted")
			}
			for _, want := range tt.errs {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
		})
	}
	if _, err := Compile(Config{Preset: presetNone, Set: field("Report-To", `{"group":"a","max_age":1}`)}); err != nil {
		t.Errorf("JSON in a value: %v", err)
	}
}

func BenchmarkStamp(b *testing.B) {
	p, err := Compile(Config{Preset: presetAPI})
	if err != nil {
		b.Fatal(err)
	}
	header := make(http.Header, 16)
	slots := make([]string, p.Lines())
	b.ReportAllocs()
	for b.Loop() {
		header["Server"], header["Content-Type"], header["Content-Length"] = slots[:1], slots[:1], slots[:1]
		p.Stamp(header, true, slots)
	}
}
