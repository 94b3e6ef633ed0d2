package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	keyMalformed = "auth.key_malformed"
	keyUnknown   = "auth.key_unknown"
	keyAddress   = "auth.key_address"
	several      = "auth.several_credentials"
	noCredential = "auth.no_credential"
)

var attacksOnTheGateway = []attack{
	{id: "G1", promise: "nobody but the gateway says who calls", try: tryIdentityHeaders,
		twins: []string{"identity headers", "identity headers in error routes"}},
	{id: "G2", promise: "nor in another spelling, in a trailer, or by the Connection header", try: tryAliases,
		twins: []string{"aliases", "names in Connection", "trailers"}},
	{id: "G3", promise: "two credentials are refused, though both be good", try: trySeveral,
		twins: []string{"one credential"}},
	{id: "G4", promise: "optional is for who brings nothing: a bad credential is refused", try: tryOptional,
		twins: []string{"bad is not missing", "identity headers"}},
	{id: "G5", promise: "a path or a host in another spelling gets the same decision", try: tryPaths,
		twins: []string{"dot segments", "percent-encoding", "encoded slashes", "letters of any case"}},
	{id: "G6", promise: "a stranger does not choose the address it comes from", try: tryForwarded,
		twins: []string{"client address", "other names of the address"}},
	{id: "G7", promise: "a configuration whose keys are missing or malformed is not loaded", try: tryBrokenFiles,
		twins: []string{"key file", "API key file", "pepper"}},
	{id: "G8", promise: "a configuration that fails to load changes nothing", try: tryFailedReload, apart: true,
		twins: []string{"shares of key sets"}},
	{id: "G9", promise: "reloads leave nothing behind", try: tryReloads, apart: true,
		twins: []string{"cleanup"}},
	{id: "G10", promise: "a wrong secret is told nothing about the key", try: tryWrongSecrets,
		twins: []string{"secret first", "unknown like wrong"}},
	{id: "G11", promise: "what was cached for one token is for no other one", try: tryCacheKeys,
		twins: []string{"whole token in the cache"}},
	{id: "G12", promise: "no credential stands in a log, an error, a metric or the configuration", try: trySecrets, apart: true,
		twins: []string{"cleaning of logs"}},
	{id: "G13", promise: "who upgrades, asks for the header or in advance, or waits is judged first", try: tryOtherRequests,
		twins: []string{"upgrades", "HEAD", "preflights", "verdict before the body"}},
}

// identity is what callers like to be.
var identity = []string{"X-User-Id", "X-User", "X-User-Email", "X-Auth-User", "X-Forwarded-User", "X-Remote-User", "Remote-User", "X-Consumer-Id",
	"X-Amzn-Oidc-Data", "X-Amzn-Oidc-Identity", "X-Amzn-Mtls-Clientcert", "X-Goog-Iap-Jwt-Assertion", "Cf-Access-Jwt-Assertion", "X-Ms-Client-Principal",
	"X-Forwarded-Client-Cert", "X-Ssl-Client-S-Dn", "Client-Cert", "X-Sallyport-User", "Sallyport-Assertion", "X-Tenant"}

// claimed demands that the backend got none of these from the caller, who wrote
// "forged" into all of them.
func (a *attempt) claimed(what string, got answer) echoed {
	e := a.passes(what, got)
	for name, values := range e.Header {
		if strings.Contains(strings.Join(values, ","), "forged") {
			a.errorf("%s: the backend got %s: %q", what, name, values)
		}
	}
	for name, values := range e.Trailer {
		a.errorf("%s: the backend got the trailer %s: %q", what, name, values)
	}
	return e
}

func tryIdentityHeaders(a *attempt) {
	var forged []string
	for _, name := range identity {
		forged = append(forged, name, "forged", name, "forged again")
	}
	with := func(site, path string, more ...string) answer {
		return a.ask("GET", site, path, append(more, forged...)...)
	}
	good := []string{"Authorization", "Bearer " + rsaA.token(nil)}
	a.claimed("past auth", with("around.test", "/public"))
	a.claimed("past auth, with a token", with("around.test", "/public", good...))
	a.claimed("with a token", with("around.test", "/private/x", good...))
	refused := a.claimed("refused, in the error routes", with("around.test", "/private/x"))
	if refused.Header.Get("X-Route") != "error" {
		a.errorf("that was not in the error routes")
	}
	a.claimed("refused for its token, in the error routes", with("around.test", "/private/x", "Authorization", "Bearer x"))
	refused = a.claimed("refused before any guard, in the error routes", with("around.test", "/public//x"))
	if refused.Header.Get("X-Route") != "error" {
		a.errorf("that was not in the error routes")
	}
	e := a.claimed("a token without the claim", with("api.test", "/", good...))
	if who := e.Header["X-User-Id"]; !slices.Equal(who, []string{"alice"}) {
		a.errorf("the backend got the caller %q", who)
	}
}

func tryAliases(a *attempt) {
	good := "Bearer " + rsaA.token(nil)
	names := []string{"x-user-id", "X-USER-ID", "X_User_Id", "x_user_id", "X.User.Id", "X-User_Id", "X_User-Id", "X.User-Id", "X_User.Id",
		"REMOTE_USER", "Remote.User", "X_Amzn_Oidc_Data", "X-Sallyport_User", "SALLYPORT_ASSERTION", "X_Tenant", "X.Tenant"}
	for _, name := range names {
		for _, path := range []string{"/public", "/private/x"} {
			a.claimed(path+" with "+name, a.ask("GET", "around.test", path, "Authorization", good, name, "forged", name, "forged again"))
		}
	}
	// Caddy drops names with '_' and '.', unless it is told that they are expected.
	expected := map[string][]string{}
	for _, name := range names {
		for _, sign := range []string{"underscore _", "dot ."} {
			if option, c, _ := strings.Cut(sign, " "); strings.Contains(name, c) {
				expected[option] = append(expected[option], name)
			}
		}
	}
	url, _ := a.issuers.publish(publicKeys(rsaA))
	a.check(a.loadWith("\tservers {\n\t\texpected_underscore_headers "+strings.Join(expected["underscore"], " ")+" X_Harmless\n\t\texpected_dot_headers "+
		strings.Join(expected["dot"], " ")+"\n\t}\n", strings.Replace(spareSite(url), "auth {", "auth /private/* {\nidentity_headers X-Tenant", 1)))
	for _, name := range names {
		a.claimed("expected, with "+name, a.ask("GET", "spare.test", "/", name, "forged"))
	}
	if e := a.passes("a harmless one", a.ask("GET", "spare.test", "/", "X_Harmless", "yes")); e.Header.Get("X_Harmless") != "yes" {
		a.errorf("the backend got %v", e.Header)
	}
	for _, name := range []string{"X-User-Id", "Authorization", "X-Forwarded-For", "keep-alive, X-User-Id", "X_User_Id", "close, x-user-id"} {
		got := a.ask("GET", "api.test", "/", "Authorization", good, "Connection", name)
		if got.status != http.StatusBadRequest {
			a.errorf("Connection: %s: got %d %s", name, got.status, got.body)
		}
	}
	for _, name := range []string{"X-User-Id", "Authorization", "X-Amzn-Oidc-Data", "X-Anything"} {
		got := a.raw("api.test", "POST / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nAuthorization: "+good+"\r\nTransfer-Encoding: chunked\r\nTrailer: "+name+
			"\r\n\r\n2\r\nhi\r\n0\r\n"+name+": forged\r\n\r\n")
		status, body := parts(got)
		e := a.claimed("the trailer "+name, answer{status: status, body: body})
		if e.Body != "hi" {
			a.errorf("the body arrived as %q", e.Body)
		}
	}
}

// parts are the status and the body of an answer as it was sent.
func parts(raw string) (status int, body string) {
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(raw)), nil)
	if err != nil {
		return 0, raw
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func trySeveral(a *attempt) {
	good := func() string { return rsaA.token(nil) }
	places := map[string]func(token string) (target string, header []string){
		"header":  func(t string) (string, []string) { return "/", []string{"Authorization", "Bearer " + t} },
		"session": func(t string) (string, []string) { return "/", []string{"X-Session", t} },
		"cookie":  func(t string) (string, []string) { return "/", []string{"Cookie", "session=" + t} },
		"query":   func(t string) (string, []string) { return "/?access_token=" + t, nil },
		"key":     func(string) (string, []string) { return "/", []string{"X-Api-Key", a.keys["acme"]} },
	}
	for name, place := range places {
		target, header := place(good())
		a.passes("a good one in the "+name, a.ask("GET", "places.test", target, header...))
		for other, second := range places {
			if other == name {
				continue
			}
			for _, worth := range []string{good(), stranger.token(nil), "x", ""} {
				t2, h2 := second(worth)
				got := a.ask("GET", "places.test", target+strings.TrimPrefix(t2, "/"), append(slices.Clone(header), h2...)...)
				a.refusedWith("a good one in the "+name+" and one in the "+other, got, http.StatusBadRequest, challengeSeveral, several, "")
			}
		}
	}
	for name, try := range map[string]func() answer{
		"cookies": func() answer {
			return a.ask("GET", "places.test", "/", "Cookie", "session="+good()+"; session="+good())
		},
		"cookie lines": func() answer {
			return a.ask("GET", "places.test", "/", "Cookie", "session="+good(), "Cookie", "session=x")
		},
		"parameters":             func() answer { return a.ask("GET", "places.test", "/?access_token="+good()+"&access_token=x") },
		"spellings of a name":    func() answer { return a.ask("GET", "places.test", "/?access_token="+good()+"&access%5Ftoken=x") },
		"parameters as an array": func() answer { return a.ask("GET", "places.test", "/?access_token="+good()+"&access_token[]=x") },
		"lines of a header":      func() answer { return a.ask("GET", "places.test", "/", "X-Session", good(), "X-Session", "x") },
		"keys":                   func() answer { return a.ask("GET", "places.test", "/", "X-Api-Key", a.keys["acme"], "X-Api-Key", "x") },
	} {
		a.refusedWith("two "+name, try(), http.StatusBadRequest, challengeSeveral, several, "")
	}
	if got := a.ask("GET", "places.test", "/", "Authorization", "Bearer "+good(), "Authorization", "Bearer "+good()); got.status != http.StatusBadRequest {
		a.errorf("two Authorization lines: got %d", got.status)
	}
}

func tryOptional(a *attempt) {
	e := a.claimed("nobody", a.ask("GET", "optional.test", "/", "X-User-Id", "forged", "X-User-Roles", "forged", "X-Auth-User", "forged"))
	if who := e.Header.Get("X-User-Id"); who != "" {
		a.errorf("nobody is %q", who)
	}
	a.claimed("another scheme is no credential of ours", a.ask("GET", "optional.test", "/", "Authorization", "Basic "+b64([]byte("a:b")), "X-User-Id", "forged"))
	if e := a.passes("somebody", a.bearer("optional.test", rsaA.token(nil))); e.Header.Get("X-User-Id") != "alice" {
		a.errorf("alice is %q", e.Header.Get("X-User-Id"))
	}
	for name, token := range map[string]string{
		"forged": stranger.as("a-rsa", "RS256").token(nil), "expired": rsaA.token(changes{"exp": 1}), "of another issuer": rsaA.token(changes{"iss": "https://other.test"}),
		"for another audience": rsaA.token(changes{"aud": "x"}), "no token": "x", "nothing": "", "unsigned": b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(rsaA.claims(nil))) + ".",
	} {
		a.refused(name, a.bearer("optional.test", token), "", "")
	}
	several := a.ask("GET", "optional.test", "/?access_token=x", "Authorization", "Bearer "+rsaA.token(nil))
	a.refusedWith("two", several, http.StatusBadRequest, challengeSeveral, "auth.several_credentials", "")
}

func tryPaths(a *attempt) {
	token := "Bearer " + rsaA.token(changes{"roles": []string{"user"}})
	line := func(target, host string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nAuthorization: " + token + "\r\n\r\n"
	}
	kept := func(what, raw string) {
		status, body := parts(raw)
		if json.Unmarshal([]byte(body), new(echoed)) == nil && status == http.StatusOK {
			a.errorf("%s came through: %s", what, body)
		}
	}
	for _, path := range []string{"/admin", "/admin/", "/admin/users", "/Admin/users", "/ADMIN/users", "/%61dmin/users", "/%41dmin/users", "/adm%69n/users",
		"//admin/users", "/x/../admin/users", "/./admin/users", "/x/%2e%2e/admin/users", "/x/..%2fadmin/users", "/admin;x=1/users", "/admin%3bx/users",
		"/;/admin/users", "/admin%2fusers", "/admin%2Fusers", "/admin%5cusers", `/admin\users`, `/x\..\admin\users`, "/admin%00/users", "/admin%0a/users",
		"/%2561dmin/users", "/%u0061dmin/users", "/adm\u0131n/users", "/admin%c0%afusers", "/admin\tusers", "/admin?/../x", "/admin/users#x",
		"http://rules.test/admin/users", "http://api.test/admin/users", "admin/users", "*", "/pki/ca/prod", "/pki/ca/PROD/key", "/pki/ca/./prod", "/pki//ca/prod"} {
		kept(path, a.raw("rules.test", line(path, "HOST")))
	}
	for _, host := range []string{"RULES.test", "Rules.Test", "rules.test.", "rules.test:80", "rules.test:" + port(a.addr), "user@rules.test", "rules.test, api.test", "rules.test\t"} {
		kept("the host "+host, a.raw("rules.test", line("/admin/users", host)))
	}
	for path, role := range map[string]string{"/pki/ca/prod2": "user", "/pki/ca/product": "user", "/administration": "user", "/admin/users": "admin"} {
		a.passes(path, a.ask("GET", "rules.test", path, "Authorization", "Bearer "+rsaA.token(changes{"roles": []string{role}})))
	}
	a.manyHosts()
}

// manyHosts has a site with so many names that Caddy looks for them in another way.
func (a *attempt) manyHosts() {
	url, path := a.issuers.publish(publicKeys(rsaA))
	var names []string
	for i := range 120 {
		names = append(names, fmt.Sprintf("http://spare%d.test:PORT", i))
	}
	a.check(a.load(strings.Replace(spareSite(url), "http://spare.test:PORT", strings.Join(names, ", "), 1) +
		"http://spare0.test:PORT/open {\n\treverse_proxy BACKEND\n}\n"))
	a.until("a fetch", func() bool { return a.issuers.asked(path) > 0 })
	for _, host := range []string{"spare7.test", "SPARE7.TEST", "Spare119.Test"} {
		if got := a.ask("GET", "spare7.test", "/", "Host", host); got.status != http.StatusUnauthorized {
			a.errorf("the host %s of many: got %d %s", host, got.status, got.body)
		}
	}
}

func tryForwarded(a *attempt) {
	const office = "192.0.2.7"
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Original-Forwarded-For",
		"X-Forwarded-For, X-Real-Ip"} {
		header := []string{"X-Api-Key", a.keys["office"]}
		for one := range strings.SplitSeq(name, ", ") {
			value := office
			if one == "Forwarded" {
				value = "for=" + office
			}
			header = append(header, one, value, one, value)
		}
		a.refusedWith(name, a.ask("GET", "keys.test", "/", header...), http.StatusUnauthorized, challengeKey, keyAddress, "")
	}
	e := a.passes("forwarded headers", a.ask("GET", "keys.test", "/", "X-Api-Key", a.keys["acme"], "X-Forwarded-For", office, "X-Real-Ip", office, "Forwarded", "for="+office,
		"True-Client-Ip", office, "X-Client-Ip", office, "X-Forwarded-Host", "forged.test", "X-Forwarded-Proto", "https", "X-Original-Url", "/forged", "X-Rewrite-Url", "/forged"))
	for name, values := range e.Header {
		if text := strings.Join(values, ","); strings.Contains(text, office) || strings.Contains(text, "forged") {
			a.errorf("the backend got %s: %s", name, text)
		}
	}
	if from, proto := e.Header.Get("X-Forwarded-For"), e.Header.Get("X-Forwarded-Proto"); from != a.from || proto != "http" {
		a.errorf("the backend was told %s over %s", from, proto)
	}
}

func tryOtherRequests(a *attempt) {
	good := "Authorization: Bearer " + rsaA.token(nil) + "\r\n"
	const socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	status := func(request string) (line string) {
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(a.from)}}).Dial("tcp", a.addr)
		a.check(err)
		defer conn.Close()
		a.check(conn.SetDeadline(time.Now().Add(patience)))
		_, err = io.WriteString(conn, request)
		a.check(err)
		line, err = bufio.NewReader(conn).ReadString('\n')
		a.check(err)
		return strings.TrimSpace(line)
	}
	for what, want := range map[string][2]string{
		"an upgrade without a token":      {"GET /socket HTTP/1.1\r\nHost: api.test\r\n" + socket + "\r\n", "HTTP/1.1 401 Unauthorized"},
		"an upgrade with a bad token":     {"GET /socket HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer x\r\n" + socket + "\r\n", "HTTP/1.1 401 Unauthorized"},
		"an upgrade with a good token":    {"GET /socket HTTP/1.1\r\nHost: api.test\r\n" + good + socket + "\r\n", "HTTP/1.1 101 Switching Protocols"},
		"a stream of events":              {"GET /events HTTP/1.1\r\nHost: api.test\r\nAccept: text/event-stream\r\n\r\n", "HTTP/1.1 401 Unauthorized"},
		"HEAD":                            {"HEAD / HTTP/1.1\r\nHost: api.test\r\n\r\n", "HTTP/1.1 401 Unauthorized"},
		"HEAD with a token":               {"HEAD / HTTP/1.1\r\nHost: api.test\r\n" + good + "\r\n", "HTTP/1.1 200 OK"},
		"OPTIONS":                         {"OPTIONS / HTTP/1.1\r\nHost: api.test\r\n\r\n", "HTTP/1.1 401 Unauthorized"},
		"a preflight where nobody asked":  {"OPTIONS / HTTP/1.1\r\nHost: api.test\r\nOrigin: https://app.test\r\nAccess-Control-Request-Method: DELETE\r\n\r\n", "HTTP/1.1 401 Unauthorized"},
		"a preflight that cors answers":   {"OPTIONS / HTTP/1.1\r\nHost: cors.test\r\nOrigin: https://app.test\r\nAccess-Control-Request-Method: DELETE\r\n\r\n", "HTTP/1.1 204 No Content"},
		"a preflight of a stranger":       {"OPTIONS / HTTP/1.1\r\nHost: cors.test\r\nOrigin: https://evil.test\r\nAccess-Control-Request-Method: DELETE\r\n\r\n", "HTTP/1.1 403 Forbidden"},
		"what looks like a preflight":     {"OPTIONS / HTTP/1.1\r\nHost: cors.test\r\nOrigin: https://app.test\r\n\r\n", "HTTP/1.1 401 Unauthorized"},
		"a request behind a preflight":    {"DELETE / HTTP/1.1\r\nHost: cors.test\r\nOrigin: https://app.test\r\nAccess-Control-Request-Method: DELETE\r\n\r\n", "HTTP/1.1 401 Unauthorized"},
		"who waits, without a token":      {"POST / HTTP/1.1\r\nHost: api.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 401 Unauthorized"},
		"who waits, with a token":         {"POST / HTTP/1.1\r\nHost: api.test\r\n" + good + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 100 Continue"},
		"a method nobody heard of":        {"BREW / HTTP/1.1\r\nHost: api.test\r\n\r\n", "HTTP/1.1 401 Unauthorized"},
		"a request with an absolute form": {"GET http://api.test/ HTTP/1.1\r\nHost: around.test\r\n\r\n", "HTTP/1.1 401 Unauthorized"},
	} {
		if got := status(want[0]); got != want[1] && !(what == "a request with an absolute form" && strings.HasPrefix(got, "HTTP/1.1 4")) {
			a.errorf("%s: got %q, want %q", what, got, want[1])
		}
	}
	if got := a.ask("HEAD", "api.test", "/"); got.body != "" || got.header.Get("Www-Authenticate") != challengeBare {
		a.errorf("HEAD without a token: got %q with %v", got.body, got.header)
	}
	got := a.ask("GET", "api.test", "/")
	a.refusedWith("no credential", got, http.StatusUnauthorized, challengeBare, noCredential, "")
}
