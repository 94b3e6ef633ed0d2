package cors

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// What browsers make of responses, by the cases that the web platform's own
// tests cover: the model has to be right before it can judge anything.
func TestTheModelOfABrowserJudgesOriginsAsBrowsersDo(t *testing.T) {
	const origin = "https://app.example:8443"
	for name, c := range map[string]struct {
		lines             []string
		plain, credential bool
	}{
		"the wildcard":                      {[]string{"*"}, true, false},
		"the wildcard in white space":       {[]string{"\t * "}, true, false},
		"the origin":                        {[]string{origin}, true, true},
		"the origin behind spaces":          {[]string{"   " + origin}, true, true},
		"the origin in tabs":                {[]string{"\t" + origin + "\t\t"}, true, true},
		"nothing":                           {nil, false, false},
		"an empty line":                     {[]string{""}, false, false},
		"two wildcards":                     {[]string{"**"}, false, false},
		"an escaped wildcard":               {[]string{`\*`}, false, false},
		"a quoted wildcard":                 {[]string{`"*"`}, false, false},
		"a wildcard host":                   {[]string{"https://*"}, false, false},
		"a wildcard subdomain":              {[]string{"https://*.example:8443"}, false, false},
		"a wildcard port":                   {[]string{"https://app.example:*"}, false, false},
		"the origin in capitals":            {[]string{strings.ToUpper(origin)}, false, false},
		"the scheme in capitals":            {[]string{"HTTPS://app.example:8443"}, false, false},
		"the host with one capital":         {[]string{"https://App.example:8443"}, false, false},
		"a trailing slash":                  {[]string{origin + "/"}, false, false},
		"a path":                            {[]string{origin + "/cors/"}, false, false},
		"a query":                           {[]string{origin + "?"}, false, false},
		"a fragment":                        {[]string{origin + "#"}, false, false},
		"without port":                      {[]string{"https://app.example"}, false, false},
		"with a cut port":                   {[]string{"https://app.example:844"}, false, false},
		"without scheme":                    {[]string{"app.example:8443"}, false, false},
		"without scheme, with slashes":      {[]string{"//app.example:8443"}, false, false},
		"with one slash":                    {[]string{"https:/app.example:8443"}, false, false},
		"without slashes":                   {[]string{"https:app.example:8443"}, false, false},
		"of another scheme":                 {[]string{"http://app.example:8443"}, false, false},
		"a subdomain of it":                 {[]string{"https://www.app.example:8443"}, false, false},
		"its parent":                        {[]string{"https://example:8443"}, false, false},
		"null":                              {[]string{"null"}, false, false},
		"a comma behind":                    {[]string{origin + ","}, false, false},
		"a list of two":                     {[]string{origin + ", https://b.example"}, false, false},
		"a list of itself":                  {[]string{origin + "," + origin}, false, false},
		"a list with the wildcard":          {[]string{"*, " + origin}, false, false},
		"a list by spaces":                  {[]string{origin + " https://b.example"}, false, false},
		"two lines of the same":             {[]string{origin, origin}, false, false},
		"two lines of the wildcard":         {[]string{"*", "*"}, false, false},
		"a line of it and one of another":   {[]string{origin, "https://b.example"}, false, false},
		"a line of it and an empty one":     {[]string{origin, ""}, false, false},
		"a line of it and one of nothing":   {[]string{"", origin}, false, false},
		"the origin in angle brackets":      {[]string{"<" + origin + ">"}, false, false},
		"the origin in quotes":              {[]string{`"` + origin + `"`}, false, false},
		"the origin with a semicolon":       {[]string{origin + ";"}, false, false},
		"the origin in percent-encoding":    {[]string{"https%3A//app.example:8443"}, false, false},
		"the name of the header once more":  {[]string{"Access-Control-Allow-Origin: " + origin}, false, false},
		"the word origin":                   {[]string{"origin"}, false, false},
		"the origin with credentials in it": {[]string{"https://user@app.example:8443"}, false, false},
	} {
		h := http.Header{"Access-Control-Allow-Credentials": {"true"}}
		if c.lines != nil {
			h["Access-Control-Allow-Origin"] = c.lines
		}
		if got := (browser{origin: origin}).check(h); got != c.plain {
			t.Errorf("%s: without credentials: %v", name, got)
		}
		if got := (browser{origin: origin, credentials: true}).check(h); got != c.credential {
			t.Errorf("%s: with credentials: %v", name, got)
		}
	}
	for value, want := range map[string]bool{"true": true, "True": false, "TRUE": false, "1": false, "yes": false, "": false, "true,true": false} {
		h := http.Header{"Access-Control-Allow-Origin": {origin}, "Access-Control-Allow-Credentials": {value}}
		if got := (browser{origin: origin, credentials: true}).check(h); got != want {
			t.Errorf("credentials %q: %v", value, got)
		}
	}
}

func TestTheModelOfABrowserJudgesPreflightsAsBrowsersDo(t *testing.T) {
	const origin = "https://app.example"
	for name, c := range map[string]struct {
		method           string
		headers          []string
		allowed, exposed string // Access-Control-Allow-Methods, -Headers
		plain, withCreds bool
	}{
		"a listed method":                         {"PUT", nil, "PUT", "", true, true},
		"a method among others":                   {"PUT", nil, "GET, PUT ,DELETE", "", true, true},
		"a method that is not listed":             {"PUT", nil, "DELETE", "", false, false},
		"a method in another case":                {"patch", nil, "PATCH", "", false, false},
		"a method listed in another case":         {"PATCH", nil, "patch", "", false, false},
		"any method":                              {"SUPER", nil, "*", "", true, false},
		"the method named *":                      {"*", nil, "*", "", true, true},
		"a method that needs no permission":       {"POST", nil, "", "", true, true},
		"OPTIONS needs permission":                {"OPTIONS", nil, "", "", false, false},
		"a listed header":                         {"GET", []string{"x-test"}, "", "x-test", true, true},
		"a header in another case":                {"GET", []string{"x-test"}, "", "X-TEST", true, true},
		"a header that is not listed":             {"GET", []string{"x-test", "x-b"}, "", "x-test", false, false},
		"any header":                              {"GET", []string{"x-test"}, "", "*", true, false},
		"any header is not authorization":         {"GET", []string{"authorization"}, "", "*", false, false},
		"any header and authorization":            {"GET", []string{"x-test", "authorization"}, "", "*, authorization", true, false},
		"the header named *":                      {"GET", []string{"*"}, "", "*", true, true},
		"a list that does not parse":              {"PUT", nil, "PUT, (", "", false, false},
		"a header list that does not parse":       {"GET", []string{"x-test"}, "", "x-test, [", false, false},
		"any method and any header":               {"SUPER", []string{"x-test"}, "*", "*", true, false},
		"any method but a header that is missing": {"SUPER", []string{"x-test"}, "*", "x", false, false},
	} {
		h := http.Header{"Access-Control-Allow-Origin": {origin}, "Access-Control-Allow-Credentials": {"true"},
			"Access-Control-Allow-Methods": {c.allowed}, "Access-Control-Allow-Headers": {c.exposed}}
		if got := (browser{origin: origin}).preflight(204, h, c.method, c.headers); got != c.plain {
			t.Errorf("%s: without credentials: %v", name, got)
		}
		if got := (browser{origin: origin, credentials: true}).preflight(204, h, c.method, c.headers); got != c.withCreds {
			t.Errorf("%s: with credentials: %v", name, got)
		}
	}
	for status, want := range map[int]bool{200: true, 204: true, 299: true, 301: false, 302: false, 400: false, 401: false, 403: false, 500: false, 199: false} {
		h := http.Header{"Access-Control-Allow-Origin": {"*"}}
		if got := (browser{origin: origin}).preflight(status, h, "GET", nil); got != want {
			t.Errorf("status %d: %v", status, got)
		}
	}
}

// declared is what a policy says about a request, read from its configuration
// as its author would.
type declared struct{ origin, method, headers, credentials bool }

func declaredBy(c Config, origin, method string, headers []string) declared {
	fold := func(list []string, s string) bool {
		return slices.ContainsFunc(list, func(v string) bool { return strings.EqualFold(v, s) })
	}
	d := declared{headers: true, credentials: c.AllowCredentials}
	d.origin = slices.Contains(c.AllowOrigins, "*") || origin != "null" && naiveContains(c.AllowOrigins, origin)
	d.method = slices.Contains([]string{"GET", "HEAD", "POST"}, method) || slices.Contains(c.AllowMethods, "*") ||
		slices.Contains(c.AllowMethods, method)
	for _, name := range headers {
		star := slices.Contains(c.AllowHeaders, "*") && !strings.EqualFold(name, "authorization")
		d.headers = d.headers && (fold(c.AllowHeaders, name) || star)
	}
	return d
}

// policies are configurations of every kind.
func policies() map[string]Config {
	return map[string]Config{
		"one origin": {AllowOrigins: []string{"https://app.example"}},
		"one origin with credentials and everything": {AllowOrigins: []string{"https://app.example"}, AllowMethods: []string{"PUT", "DELETE"},
			AllowHeaders: []string{"Authorization", "Content-Type"}, ExposeHeaders: []string{"RateLimit", "Retry-After"},
			AllowCredentials: true, MaxAge: 10 * time.Minute},
		"wildcard and exact origins": {AllowOrigins: []string{"https://*.partner.example", "http://localhost:5173"}, AllowMethods: []string{"PATCH"},
			AllowHeaders: []string{"X-A"}, ExposeHeaders: []string{"*"}},
		"every origin":                              {AllowOrigins: []string{"*"}, ExposeHeaders: []string{"ETag"}},
		"everything":                                {AllowOrigins: []string{"*"}, AllowMethods: []string{"*"}, AllowHeaders: []string{"*", "Authorization"}, ExposeHeaders: []string{"*"}, MaxAge: time.Hour},
		"every header but Authorization":            {AllowOrigins: []string{"*"}, AllowHeaders: []string{"*"}},
		"every method and header, with credentials": {AllowOrigins: []string{"https://app.example", "https://*.partner.example"}, AllowMethods: []string{"*"}, AllowHeaders: []string{"*"}, AllowCredentials: true},
	}
}

// TestABrowserConcludesWhatThePolicyDeclares plays every request against every
// policy through the model of a browser.
func TestABrowserConcludesWhatThePolicyDeclares(t *testing.T) {
	origins := []string{"https://app.example", "https://a.partner.example", "https://partner.example", "https://evilpartner.example",
		"http://localhost:5173", "http://app.example", "https://app.example.evil.com", "null"}
	methods := []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "patch", "OPTIONS", "CHICKEN"}
	headers := [][]string{nil, {"content-type"}, {"authorization"}, {"authorization", "content-type"}, {"x-a"}, {"x-a", "x-b"}}
	for name, c := range policies() {
		policy := compile(t, c)
		for _, origin := range origins {
			for _, method := range methods {
				for _, names := range headers {
					for _, credentials := range []bool{false, true} {
						b := browser{origin, credentials}
						want := declaredBy(c, origin, method, names)
						allowed := want.origin && want.method && want.headers && (want.credentials || !credentials)
						if got := fetch(policy, b, method, names); got != allowed {
							t.Errorf("%s: %s %s with %q, credentials %v: the browser says %v", name, origin, method, names, credentials, got)
						}
					}
				}
			}
		}
	}
}

func compile(t testing.TB, c Config) *Policy {
	t.Helper()
	p, err := Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fetch sends a request as b would, preflight first, and reports whether the
// page gets to read the response.
func fetch(p *Policy, b browser, method string, names []string) bool {
	if !slices.Contains([]string{"GET", "HEAD", "POST"}, method) || len(names) > 0 {
		request := http.Header{"Origin": {b.origin}, "Access-Control-Request-Method": {method}}
		if len(names) > 0 {
			request["Access-Control-Request-Headers"] = []string{strings.Join(names, ",")}
		}
		status, response := 403, http.Header{}
		if p.Preflight(request) == Allowed {
			status = 204
			p.Answer(response, request)
		}
		if !b.preflight(status, response, method, names) {
			return false
		}
	}
	return b.check(stamped(p, b.origin))
}

// stamped is the header of a response to a request of origin, "" for none.
func stamped(p *Policy, origin string) http.Header {
	request, response := http.Header{}, http.Header{}
	if origin != "" {
		request["Origin"] = []string{origin}
	}
	f := fields{policy: p, origin: p.AllowedOrigin(request)}
	f.stamp(response)
	return response
}

func TestExposedHeadersAreShownAndOthersAreNot(t *testing.T) {
	for name, c := range policies() {
		h := stamped(compile(t, c), "https://a.partner.example")
		if _, ok := h["Access-Control-Allow-Origin"]; !ok {
			if len(h["Access-Control-Expose-Headers"]) > 0 {
				t.Errorf("%s: exposes headers to an origin that it does not allow", name)
			}
			continue
		}
		for _, header := range []string{"RateLimit", "Retry-After", "ETag", "X-Other", "Set-Cookie"} {
			want := header != "Set-Cookie" && (slices.Contains(c.ExposeHeaders, "*") || slices.Contains(c.ExposeHeaders, header))
			if got := (browser{origin: "https://a.partner.example"}).exposes(h, header); got != want {
				t.Errorf("%s: %s is shown: %v", name, header, got)
			}
		}
	}
}

func TestPreflightsAreToldApartFromOrdinaryOptions(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		header http.Header
		want   bool
	}{
		"a preflight":                        {"OPTIONS", http.Header{"Origin": {"https://a.example"}, "Access-Control-Request-Method": {"PUT"}}, true},
		"a preflight with an empty method":   {"OPTIONS", http.Header{"Origin": {"https://a.example"}, "Access-Control-Request-Method": {""}}, true},
		"a preflight with an empty origin":   {"OPTIONS", http.Header{"Origin": {""}, "Access-Control-Request-Method": {"PUT"}}, true},
		"OPTIONS without the method":         {"OPTIONS", http.Header{"Origin": {"https://a.example"}}, false},
		"OPTIONS without the origin":         {"OPTIONS", http.Header{"Access-Control-Request-Method": {"PUT"}}, false},
		"another method with the same lines": {"GET", http.Header{"Origin": {"https://a.example"}, "Access-Control-Request-Method": {"PUT"}}, false},
		"options in small":                   {"options", http.Header{"Origin": {"https://a.example"}, "Access-Control-Request-Method": {"PUT"}}, false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Method, r.Header = c.method, c.header
		if got := IsPreflight(r); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPreflightsAreRefusedForTheFirstThingThatIsNotAllowed(t *testing.T) {
	const app = "https://app.example"
	listed := compile(t, Config{AllowOrigins: []string{app, "https://*.partner.example"}, AllowMethods: []string{"PUT"}, AllowHeaders: []string{"X-A"}})
	everyone := compile(t, Config{AllowOrigins: []string{"*"}, AllowMethods: []string{"PUT"}})
	for name, c := range map[string]struct {
		policy                   *Policy
		origins, methods, header []string
		want                     Verdict
	}{
		"all is allowed":                       {listed, []string{app}, []string{"PUT"}, []string{"x-a"}, Allowed},
		"no headers are asked for":             {listed, []string{app}, []string{"PUT"}, nil, Allowed},
		"a subdomain":                          {listed, []string{"https://x.partner.example"}, []string{"PUT"}, nil, Allowed},
		"the origin is not":                    {listed, []string{"https://evil.example"}, []string{"DELETE"}, []string{"x-b"}, OriginNotAllowed},
		"the method is not":                    {listed, []string{app}, []string{"DELETE"}, []string{"x-b"}, MethodNotAllowed},
		"a header is not":                      {listed, []string{app}, []string{"PUT"}, []string{"x-b"}, HeadersNotAllowed},
		"the origin is null":                   {listed, []string{"null"}, []string{"PUT"}, nil, OriginNotAllowed},
		"the origin is empty":                  {listed, []string{""}, []string{"PUT"}, nil, OriginNotAllowed},
		"two lines of the same allowed origin": {listed, []string{app, app}, []string{"PUT"}, nil, OriginNotAllowed},
		"an allowed origin and another":        {listed, []string{app, "https://evil.example"}, []string{"PUT"}, nil, OriginNotAllowed},
		"two lines where all are allowed":      {everyone, []string{app, app}, []string{"PUT"}, nil, OriginNotAllowed},
		"null where all are allowed":           {everyone, []string{"null"}, []string{"PUT"}, nil, Allowed},
		"two methods":                          {listed, []string{app}, []string{"PUT", "PUT"}, nil, MethodNotAllowed},
		"an allowed method and another":        {listed, []string{app}, []string{"GET", "DELETE"}, nil, MethodNotAllowed},
		"an empty method":                      {listed, []string{app}, []string{""}, nil, MethodNotAllowed},
		"TRACE":                                {listed, []string{app}, []string{"TRACE"}, nil, MethodNotAllowed},
	} {
		h := http.Header{"Origin": c.origins, "Access-Control-Request-Method": c.methods}
		if c.header != nil {
			h["Access-Control-Request-Headers"] = c.header
		}
		if got := c.policy.Preflight(h); got != c.want {
			t.Errorf("%s: verdict %d, want %d", name, got, c.want)
		}
	}
}

func TestResponsesAreForOneOrigin(t *testing.T) {
	const app = "https://app.example"
	listed, everyone := compile(t, Config{AllowOrigins: []string{app}}), compile(t, Config{AllowOrigins: []string{"*"}})
	for name, c := range map[string]struct {
		lines            []string
		listed, everyone string
	}{
		"the allowed origin":                  {[]string{app}, app, "*"},
		"another":                             {[]string{"https://evil.example"}, "", "*"},
		"none":                                {nil, "", "*"},
		"an empty one":                        {[]string{""}, "", "*"},
		"the allowed origin and another":      {[]string{app, "https://evil.example"}, "", "*"},
		"another and the allowed origin":      {[]string{"https://evil.example", app}, "", "*"},
		"the allowed origin in two lines":     {[]string{app, app}, "", "*"},
		"the allowed origin and an empty one": {[]string{app, ""}, "", "*"},
	} {
		h := http.Header{"Origin": c.lines}
		if got := listed.AllowedOrigin(h); got != c.listed {
			t.Errorf("%s: %q", name, got)
		}
		if got := everyone.AllowedOrigin(h); got != c.everyone {
			t.Errorf("%s, where all are allowed: %q", name, got)
		}
	}
}

func TestAnswersNameOnlyWhatWasAskedFor(t *testing.T) {
	const vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
	full := policies()["one origin with credentials and everything"]
	for name, c := range map[string]struct {
		config           Config
		request, want    http.Header
		alreadyOnTheWire http.Header
	}{
		"a method that needs no permission is not named": {full,
			http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"POST"}},
			http.Header{"Access-Control-Allow-Origin": {"https://app.example"}, "Access-Control-Allow-Credentials": {"true"},
				"Access-Control-Max-Age": {"600"}, "Vary": {vary}}, nil},
		"the method and the headers are": {full,
			http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"PUT"}, "Access-Control-Request-Headers": {"authorization"}},
			http.Header{"Access-Control-Allow-Origin": {"https://app.example"}, "Access-Control-Allow-Credentials": {"true"},
				"Access-Control-Allow-Methods": {"PUT"}, "Access-Control-Allow-Headers": {"authorization"},
				"Access-Control-Max-Age": {"600"}, "Vary": {vary}}, nil},
		"several lines become one": {full,
			http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"PUT"}, "Access-Control-Request-Headers": {"authorization", "content-type"}},
			http.Header{"Access-Control-Allow-Origin": {"https://app.example"}, "Access-Control-Allow-Credentials": {"true"},
				"Access-Control-Allow-Methods": {"PUT"}, "Access-Control-Allow-Headers": {"authorization,content-type"},
				"Access-Control-Max-Age": {"600"}, "Vary": {vary}}, nil},
		"every origin is a star, no max age is none": {Config{AllowOrigins: []string{"*"}},
			http.Header{"Origin": {"https://x.example"}, "Access-Control-Request-Method": {"GET"}},
			http.Header{"Access-Control-Allow-Origin": {"*"}, "Vary": {vary}}, nil},
		"what stood there is replaced, and Vary kept": {Config{AllowOrigins: []string{"*"}},
			http.Header{"Origin": {"https://x.example"}, "Access-Control-Request-Method": {"GET"}},
			http.Header{"Access-Control-Allow-Origin": {"*"}, "Vary": {"Accept-Encoding", vary}, "X-Other": {"kept"}},
			http.Header{"Access-Control-Allow-Origin": {"https://old.example"}, "Access-Control-Allow-Private-Network": {"true"}, "Access-Control-Expose-Headers": {"X-Old"},
				"Vary": {"Accept-Encoding"}, "X-Other": {"kept"}}},
	} {
		got := c.alreadyOnTheWire
		if got == nil {
			got = http.Header{}
		}
		compile(t, c.config).Answer(got, c.request)
		if !maps.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("%s:\n got %v\nwant %v", name, got, c.want)
		}
	}
}

func TestAnswersDoNotShareMemoryWithTheRequest(t *testing.T) {
	p := compile(t, Config{AllowOrigins: []string{"https://app.example"}, AllowMethods: []string{"PUT"}, AllowHeaders: []string{"X-A"}})
	request := http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"PUT"}, "Access-Control-Request-Headers": {"x-a"}}
	response := http.Header{}
	p.Answer(response, request)
	before := fmt.Sprint(response)
	for _, lines := range request {
		lines[0] = "changed"
	}
	if after := fmt.Sprint(response); after != before {
		t.Errorf("the answer changed with the request: %s", after)
	}
	for _, lines := range response {
		if cap(lines) != len(lines) {
			t.Error("appending to one field could write into another")
		}
	}
}

// FuzzABrowserConcludesWhatThePolicyDeclares varies what the table above holds
// fixed: the request's own bytes.
func FuzzABrowserConcludesWhatThePolicyDeclares(f *testing.F) {
	configs := slices.Collect(maps.Values(policies()))
	slices.SortFunc(configs, func(a, b Config) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	for i := range configs {
		f.Add(i, "https://a.partner.example", "PUT", "authorization,x-a", i%2 == 0)
		f.Add(i, "null", "patch", "*", false)
	}
	f.Fuzz(func(t *testing.T, i int, origin, method, list string, credentials bool) {
		c := configs[uint(i)%uint(len(configs))]
		var names []string
		for name := range strings.SplitSeq(strings.ToLower(list), ",") {
			if name = strings.Trim(name, " \t"); name != "" {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		names = slices.Compact(names)
		for _, name := range names {
			if !isToken(name) {
				return // no browser sends it
			}
		}
		if !isToken(method) || len(method) > maxMethod || strings.ContainsAny(origin, ", \t\r\n") || origin == "*" ||
			slices.Contains(forbiddenMethods, strings.ToUpper(method)) || len(list) > 100 {
			return
		}
		want := declaredBy(c, origin, method, names)
		allowed := want.origin && want.method && want.headers && (want.credentials || !credentials)
		if got := fetch(compile(t, c), browser{origin, credentials}, method, names); got != allowed {
			t.Fatalf("%+v: %q %q with %q, credentials %v: the browser says %v", c, origin, method, names, credentials, got)
		}
	})
}
