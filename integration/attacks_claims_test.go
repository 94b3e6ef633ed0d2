package integration

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

var attacksOnClaims = []attack{
	{id: "C1", promise: "a token has to say when it expires, as a number", try: tryExpiries,
		twins: []string{"exp there", "dates are numbers", "dates in range", "expired"}},
	{id: "C2", promise: "a date that no clock can hold does not become one in the past", try: tryOverflow,
		twins: []string{"dates in range"}},
	{id: "C3", promise: "a token from the future is refused", try: tryFuture,
		twins: []string{"early claims"}},
	{id: "C4", promise: "an audience is one of those expected, byte for byte", try: tryAudiences,
		twins: []string{"audience", "audience as it is", "audience of strings"}},
	{id: "C5", promise: "an issuer does not sign for another one", try: tryOtherIssuer,
		twins: []string{"issuer's keys+issuer of the keys"}},
	{id: "C6", promise: "a token of another kind is no access token", try: tryOtherKinds,
		twins: []string{"type in the header", "claims of the type"}},
	{id: "C7", promise: "a claim's name has one spelling", try: tryClaimNames,
		twins: []string{"names as they are"}},
	{id: "C8", promise: "a number stays the number it was", try: tryLongNumbers,
		twins: []string{"numbers as written"}},
	{id: "C9", promise: "a role is never taken apart, nor a scope but at spaces", try: tryLists,
		twins: []string{"whole roles", "scopes between spaces"}},
	{id: "C10", promise: "a claim does not break out of a header or of a line in the log", try: tryLineBreaks,
		twins: []string{"plain subjects", "short subjects"}},
	{id: "C11", promise: "a claim of an unexpected type is refused", try: tryTypes,
		twins: []string{"type of sub", "type of scopes", "type of roles", "type of tier", "lists of strings"}},
}

func tryExpiries(a *attempt) {
	a.refused("no exp", a.bearer("api.test", rsaA.token(changes{"exp": nil})), tokenClaims, "")
	for _, exp := range []string{"null", `"9999999999"`, `"9e9"`, `""`, "true", "[9999999999]", "{}", "-1", "-9999999999", "1e30", "-1e30", "1e400",
		"253402300800", "9223372036854775808", "18446744073709551616"} {
		a.refused("exp "+exp, a.bearer("api.test", rsaA.token(changes{"exp": verbatim(exp)})), tokenClaims, "")
	}
	for _, exp := range []string{"0", "1", "1e9", "1.5", "-0"} {
		a.refused("exp "+exp, a.bearer("api.test", rsaA.token(changes{"exp": verbatim(exp)})), tokenExpired, "")
	}
	now := time.Now()
	a.refused("expired by more than the leeway", a.bearer("api.test", rsaA.token(changes{"exp": now.Add(-time.Minute).Unix()})), tokenExpired, "")
	a.passes("expired by less than the leeway", a.bearer("api.test", rsaA.token(changes{"exp": now.Add(-5 * time.Second).Unix()})))
	a.passes("a fraction of a second", a.bearer("api.test", rsaA.token(changes{"exp": float64(now.Unix()) + 600.5})))
}

func tryOverflow(a *attempt) {
	for _, name := range []string{"nbf", "iat"} {
		for _, date := range []string{"1e30", "1e19", "9223372036854775808", "-1", "-1e30", `"0"`, "null", "1e400"} {
			a.refused(name+" "+date, a.bearer("api.test", rsaA.token(changes{name: verbatim(date)})), tokenClaims, "")
		}
	}
}

func tryFuture(a *attempt) {
	now := time.Now()
	for _, name := range []string{"iat", "nbf"} {
		a.refused(name+" in ten minutes", a.bearer("api.test", rsaA.token(changes{name: now.Add(10 * time.Minute).Unix()})), tokenNotYet, "")
		a.passes(name+" within the leeway", a.bearer("api.test", rsaA.token(changes{name: now.Add(5 * time.Second).Unix()})))
	}
}

func tryAudiences(a *attempt) {
	const aud = "https://api.test"
	for name, value := range map[string]any{
		"none": nil, "null": verbatim("null"), "an empty list": []string{}, "empty": "", "a list with an empty one": []string{""}, "a number": 7, "an object": changes{aud: true},
		"a list in a list": [][]string{{aud}}, "a list of objects": []any{changes{"aud": aud}}, "a good one beside a number": []any{aud, 7},
		"a good one beside null": []any{nil, aud}, "a prefix": aud[:len(aud)-1], "a longer one": aud + "ing", "in front of another": aud + ".evil.test",
		"inside another": "https://evil.test/?" + aud, "with a slash": aud + "/", "in capitals": strings.ToUpper(aud), "with a space": " " + aud,
		"two in a string": aud + " https://other.test", "with commas": aud + ",x", "with a NUL": aud + "\x00", "without the scheme": "api.test",
		"http": "http://api.test", "with a port": aud + ":443", "a star": "*",
	} {
		a.refused(name, a.bearer("api.test", rsaA.token(changes{"aud": value})), tokenAudience, "")
	}
	a.passes("one of a list", a.bearer("api.test", rsaA.token(changes{"aud": []string{"https://other.test", aud}})))
}

func tryOtherIssuer(a *attempt) {
	for _, kid := range []any{"b-rsa", "a-rsa", nil} {
		token := rsaB.tokenWith(changes{"kid": kid}, changes{"iss": "https://a.test"})
		got := a.bearer("api.test", token)
		if kid == "b-rsa" {
			a.refused("A's name, B's key and its kid", got, tokenKey, "")
			continue
		}
		a.refused("A's name, B's key", got, tokenSignature, "")
	}
	ec := ecB.tokenWith(changes{"kid": "a-ec"}, changes{"iss": "https://a.test"})
	a.refused("an EC key", a.bearer("api.test", ec), tokenSignature, "")
	for name, iss := range map[string]any{
		"none": nil, "null": verbatim("null"), "a list": []string{"https://a.test"}, "with a slash": "https://a.test/", "in capitals": "HTTPS://A.TEST",
		"a longer one": "https://a.test.evil.test", "http": "http://a.test", "with a NUL": "https://a.test\x00", "empty": "",
	} {
		a.refused("iss: "+name, a.bearer("api.test", rsaA.token(changes{"iss": iss})), tokenIssuer, "")
	}
	a.passes("each for itself", a.bearer("api.test", rsaB.token(nil)))
}

func tryOtherKinds(a *attempt) {
	access := changes{"client_id": "app", "scope": "orders:read"}
	with := func(more changes) changes {
		c := maps.Clone(access)
		maps.Copy(c, more)
		return c
	}
	logout := changes{"http://schemas.openid.net/event/backchannel-logout": changes{}}
	at := changes{"typ": "at+jwt"}
	// Where access tokens are asked for, nothing else is one.
	for name, token := range map[string]string{
		"an ID token":                       rsaA.tokenWith(changes{"typ": "JWT"}, changes{"nonce": "n", "azp": "app"}),
		"an ID token with all claims":       rsaA.tokenWith(changes{"typ": "JWT"}, access),
		"a token without a type":            rsaA.tokenWith(changes{"typ": nil}, access),
		"a logout token":                    rsaA.tokenWith(changes{"typ": "logout+jwt"}, with(changes{"events": logout})),
		"a DPoP proof":                      rsaA.tokenWith(changes{"typ": "dpop+jwt", "jwk": rsaA.jwk(nil)}, with(changes{"htm": "GET", "htu": "https://api.test/"})),
		"a client assertion":                rsaA.tokenWith(changes{"typ": "client-authentication+jwt"}, access),
		"a request object":                  rsaA.tokenWith(changes{"typ": "oauth-authz-req+jwt"}, access),
		"this suite's own assertion":        rsaA.tokenWith(changes{"typ": "sallyport+jwt"}, access),
		"at+jwt without client_id":          rsaA.tokenWith(at, with(changes{"client_id": nil})),
		"at+jwt without jti":                rsaA.tokenWith(at, with(changes{"jti": nil})),
		"at+jwt without iat":                rsaA.tokenWith(at, with(changes{"iat": nil})),
		"at+jwt with the events of another": rsaA.tokenWith(at, with(changes{"events": logout})),
	} {
		a.refused(name, a.bearer("profile.test", token), "", "")
	}
	for _, typ := range []string{"at+jwt", "application/at+jwt", "AT+JWT"} {
		a.passes(typ, a.bearer("profile.test", rsaA.tokenWith(changes{"typ": typ}, access)))
	}
	// Where any is taken, what says that it is something else is not.
	for _, typ := range []string{"logout+jwt", "dpop+jwt", "client-authentication+jwt", "secevent+jwt", "application/dpop+jwt", "DPOP+JWT"} {
		a.refused(typ, a.bearer("api.test", rsaA.tokenWith(changes{"typ": typ}, access)), tokenHeader, "")
	}
	a.refused("a logout token that does not say so", a.bearer("api.test", rsaA.token(changes{"events": logout})), "", "")
}

func tryClaimNames(a *attempt) {
	token := rsaA.compact(rsaA.header(nil), strings.Replace(rsaA.claims(nil), "{",
		`{"SUB":"admin","Sub":"admin","ſub":"admin","ISS":"https://b.test","Exp":1,"AUD":"x","Roles":["admin"],"SCOPE":"orders:write","scopes":"orders:write",`, 1))
	got := a.passes("other spellings", a.bearer("api.test", token))
	if who := got.Header.Get("X-User-Id"); who != "alice" {
		a.errorf("the caller is %q", who)
	}
	if more := got.Header.Get("X-User-Roles") + got.Header.Get("X-User-Scopes"); more != "" {
		a.errorf("the caller may %q", more)
	}
	a.refused("only the other spelling", a.bearer("api.test", rsaA.compact(rsaA.header(nil),
		strings.Replace(rsaA.claims(nil), `"exp"`, `"EXP"`, 1))), tokenClaims, "")
	// Header parameters as well.
	a.refused("Alg", a.bearer("api.test", rsaA.compact(`{"Alg":"RS256","kid":"a-rsa"}`, rsaA.claims(nil))), tokenMalformed, "")
}

func tryLongNumbers(a *attempt) {
	for _, number := range []string{"9007199254740993", "9007199254740992", "12345678901234567890123", "1.0", "1e2"} {
		got := a.passes(number, a.bearer("api.test", rsaA.token(changes{"tenant": verbatim(number)})))
		if tenant := got.Header.Get("X-User-Tenant"); tenant != number {
			a.errorf("the tenant %s became %s", number, tenant)
		}
	}
	a.refused("a number as the caller's name", a.bearer("api.test", rsaA.token(changes{"sub": verbatim("9007199254740993")})), tokenClaims, "")
}

func tryLists(a *attempt) {
	forbidden := func(what, path string, c changes) {
		got := a.ask("GET", "rules.test", path, "Authorization", "Bearer "+rsaA.token(c))
		if got.status != http.StatusForbidden {
			a.errorf("%s: got %d %s", what, got.status, got.body)
		}
	}
	for _, role := range []string{"user,admin", "user admin", "admin,", " admin", "Admin", `["admin"]`, "admin\x00", "admin\n", "user;admin", "аdmin"} {
		forbidden("a list with the role "+role, "/admin/users", changes{"roles": []string{role}})
		forbidden("the role "+role, "/admin/users", changes{"roles": role})
	}
	for _, scope := range []string{"orders:read\torders:write", "orders:read\u00a0orders:write", "orders:read,orders:write", "orders:read\norders:write",
		"orders:write\u2003", "orders:writes", "Orders:Write", "orders:*", "\"orders:write\""} {
		forbidden("the scope "+scope, "/orders/7", changes{"scope": scope})
		forbidden("a list with the scope "+scope, "/orders/7", changes{"scope": []string{scope}})
	}
	forbidden("scopes in one string of a list", "/orders/7", changes{"scope": []string{"orders:read orders:write"}})
	for path, c := range map[string]changes{
		"/admin/users": {"roles": []string{"user", "admin"}}, "/orders/7": {"scope": "orders:read orders:write"},
	} {
		a.passes(path, a.ask("GET", "rules.test", path, "Authorization", "Bearer "+rsaA.token(c)))
	}
	got := a.passes("a role with a comma", a.bearer("api.test", rsaA.token(changes{"roles": []string{"user,admin"}})))
	if roles := got.Header.Get("X-User-Roles"); roles != `["user,admin"]` {
		a.errorf("the backend is told of the roles %s", roles)
	}
}

// breaks end a line, or a string, somewhere.
var breaks = map[string]string{"CR LF": "\r\n", "LF": "\n", "CR": "\r", "NUL": "\x00", "escape": "\x1b[2J", "delete": "\x7f", "next line": "\u0085"}

func tryLineBreaks(a *attempt) {
	const forged = "X-Forged: 1"
	for _, name := range slices.Sorted(maps.Keys(breaks)) {
		text := "alice" + breaks[name] + forged
		a.refused("a subject with "+name, a.bearer("api.test", rsaA.token(changes{"sub": text})), tokenClaims, "")
		a.refused("a tier with "+name, a.bearer("api.test", rsaA.token(changes{"tier": text})), tokenClaims, "")
		// A claim that is only passed on.
		got := a.bearer("api.test", rsaA.token(changes{"email": text}))
		e := a.passes("a claim with "+name, got)
		for header, values := range e.Header {
			if header == "X-Forged" || strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") {
				a.errorf("a claim with %s: the backend got %q %q", name, header, values)
			}
		}
		if email := e.Header.Get("X-User-Email"); email != "" {
			a.errorf("a claim with %s: the backend got the address %q", name, email)
		}
	}
	a.refused("a subject of 10 KB", a.bearer("api.test", rsaA.token(changes{"sub": strings.Repeat("a", 10<<10)})), tokenClaims, "")
	a.refused("a subject of nothing", a.bearer("api.test", rsaA.token(changes{"sub": ""})), tokenClaims, "")
	a.refused("no subject", a.bearer("api.test", rsaA.token(changes{"sub": nil})), tokenClaims, "")
	for line := range strings.Lines(a.gateway.log.String()) {
		if strings.HasPrefix(line, forged) || strings.ContainsAny(line, "\x00\x1b\r") {
			a.errorf("a line of the log is %q", line)
		}
	}
}

func tryTypes(a *attempt) {
	for name, c := range map[string]changes{
		"sub: number": {"sub": 7}, "sub: list": {"sub": []string{"alice"}}, "sub: object": {"sub": changes{"id": "alice"}}, "sub: true": {"sub": true},
		"sub: null": {"sub": verbatim("null")}, "scope: number": {"scope": 7}, "scope: object": {"scope": changes{"orders:write": true}},
		"scope: true": {"scope": true}, "scope: list of numbers": {"scope": []int{7}}, "scope: list of lists": {"scope": [][]string{{"orders:write"}}},
		"roles: number": {"roles": 7}, "roles: object": {"roles": changes{"admin": true}}, "roles: list with null": {"roles": []any{"admin", nil}},
		"tier: number": {"tier": 7}, "tier: list": {"tier": []string{"gold"}}, "tier: object": {"tier": changes{}},
	} {
		a.refused(name, a.bearer("api.test", rsaA.token(c)), tokenClaims, "")
	}
	// What is only passed on may be of any type.
	for want, value := range map[string]any{"7": 7, `["a","b"]`: []string{"a", "b"}, `{"a":1}`: changes{"a": 1}, "true": true, "": verbatim("null")} {
		got := a.passes("email: "+want, a.bearer("api.test", rsaA.token(changes{"email": value})))
		if email := got.Header.Get("X-User-Email"); email != want {
			a.errorf("the backend got %q, want %q", email, want)
		}
	}
}
