package cors

import (
	"strings"
	"testing"
	"time"
)

func TestDangerousPoliciesAreRefused(t *testing.T) {
	app := []string{"https://app.example"}
	for name, c := range map[string]struct {
		config Config
		fault  string
	}{
		"no origins":              {Config{}, "allow_origins is missing"},
		"an empty list":           {Config{AllowOrigins: []string{}, AllowMethods: []string{"PUT"}}, "allow_origins is missing"},
		"the origin null":         {Config{AllowOrigins: []string{"null"}}, `allow_origins[0] "null": every sandboxed frame`},
		"a bad origin among good": {Config{AllowOrigins: []string{"https://a.example", "https://b.example/"}}, `allow_origins[1] "https://b.example/": an origin ends`},
		"an origin twice":         {Config{AllowOrigins: []string{"https://a.example", "https://b.example", "https://a.example"}}, `allow_origins[2] "https://a.example": given twice`},
		"a wildcard twice":        {Config{AllowOrigins: []string{"https://*.a.example", "https://*.a.example"}}, `given twice`},
		"every origin twice":      {Config{AllowOrigins: []string{"*", "*"}}, `given twice`},
		"every origin and one":    {Config{AllowOrigins: []string{"*", "https://a.example"}}, "allow_origins * stands alone"},
		"one origin and every":    {Config{AllowOrigins: []string{"https://a.example", "*"}}, "allow_origins * stands alone"},
		"every origin with credentials": {Config{AllowOrigins: []string{"*"}, AllowCredentials: true},
			"allow_origins * with allow_credentials"},
		"an http origin with credentials": {Config{AllowOrigins: []string{"http://a.example"}, AllowCredentials: true},
			`allow_origins "http://a.example" with allow_credentials: whoever is on the network path`},
		"an http wildcard with credentials": {Config{AllowOrigins: []string{"http://*.a.example"}, AllowCredentials: true}, "network path"},
		"an http private address with credentials": {Config{AllowOrigins: []string{"http://10.0.0.1:3000"}, AllowCredentials: true},
			"network path"},
		"a name that begins like localhost, with credentials": {Config{AllowOrigins: []string{"http://localhost.evil.example"}, AllowCredentials: true},
			"network path"},
		"a wildcard below a top-level domain with credentials": {Config{AllowOrigins: []string{"https://*.com"}, AllowCredentials: true},
			`allow_origins "https://*.com" with allow_credentials: anyone can register`},
		"a wildcard below a hoster's domain with credentials": {Config{AllowOrigins: []string{"https://*.github.io"}, AllowCredentials: true},
			"anyone can register"},
		"a wildcard over suffixes of a wildcard rule with credentials": {Config{AllowOrigins: []string{"https://*.compute.amazonaws.com"}, AllowCredentials: true},
			"anyone can register"},
		"a wildcard that is no label":   {Config{AllowOrigins: []string{"https://*example.com"}}, "a wildcard is the whole first label"},
		"CONNECT":                       {Config{AllowOrigins: app, AllowMethods: []string{"CONNECT"}}, `allow_methods[0] "CONNECT": browsers let no script`},
		"TRACE in small":                {Config{AllowOrigins: app, AllowMethods: []string{"PUT", "trace"}}, `allow_methods[1] "trace"`},
		"TRACK":                         {Config{AllowOrigins: app, AllowMethods: []string{"TRACK"}}, `"TRACK"`},
		"a method in small":             {Config{AllowOrigins: app, AllowMethods: []string{"patch"}}, `"patch": methods are case-sensitive`},
		"a method that is no token":     {Config{AllowOrigins: app, AllowMethods: []string{"PUT,PATCH"}}, "not a method"},
		"an empty method":               {Config{AllowOrigins: app, AllowMethods: []string{""}}, "not a method"},
		"a method twice":                {Config{AllowOrigins: app, AllowMethods: []string{"PUT", "PUT"}}, "given twice"},
		"every method and one":          {Config{AllowOrigins: app, AllowMethods: []string{"*", "PUT"}}, "allow_methods * stands alone"},
		"a forbidden request header":    {Config{AllowOrigins: app, AllowHeaders: []string{"Cookie"}}, `allow_headers[0] "Cookie": browsers let no script`},
		"a sec- header":                 {Config{AllowOrigins: app, AllowHeaders: []string{"Sec-Fetch-Site"}}, `"Sec-Fetch-Site"`},
		"a response header to be sent":  {Config{AllowOrigins: app, AllowHeaders: []string{"Access-Control-Allow-Origin"}}, "this is a response header"},
		"a header that is no token":     {Config{AllowOrigins: app, AllowHeaders: []string{"X A"}}, "not a header name"},
		"a header twice in two cases":   {Config{AllowOrigins: app, AllowHeaders: []string{"X-A", "x-a"}}, `allow_headers[1] "x-a": given twice`},
		"every header and one":          {Config{AllowOrigins: app, AllowHeaders: []string{"*", "X-A"}}, `allow_headers * allows "X-A" already`},
		"set-cookie shown":              {Config{AllowOrigins: app, ExposeHeaders: []string{"Set-Cookie"}}, `expose_headers[0] "Set-Cookie": browsers never show`},
		"a request header shown":        {Config{AllowOrigins: app, ExposeHeaders: []string{"Origin"}}, "this is a request header"},
		"a shown header twice":          {Config{AllowOrigins: app, ExposeHeaders: []string{"ETag", "Etag"}}, "given twice"},
		"every header shown and one":    {Config{AllowOrigins: app, ExposeHeaders: []string{"ETag", "*"}}, "expose_headers * stands alone"},
		"all shown with credentials":    {Config{AllowOrigins: app, ExposeHeaders: []string{"*"}, AllowCredentials: true}, "expose_headers * with allow_credentials"},
		"a negative max age":            {Config{AllowOrigins: app, MaxAge: -time.Second}, "max_age -1s: not between 1s and 24h0m0s"},
		"a max age above the highest":   {Config{AllowOrigins: app, MaxAge: 24*time.Hour + time.Second}, "not between"},
		"a max age of a half second":    {Config{AllowOrigins: app, MaxAge: time.Second / 2}, "not between"},
		"a max age of a second and one": {Config{AllowOrigins: app, MaxAge: time.Second + 1}, "not a whole number of seconds"},
	} {
		p, err := Compile(c.config)
		if p != nil || err == nil {
			t.Errorf("%s: is accepted", name)
			continue
		}
		if !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: the error lacks %q: %v", name, c.fault, err)
		}
	}
}

func TestAllFaultsAreReportedAtOnce(t *testing.T) {
	_, err := Compile(Config{
		AllowOrigins:     []string{"null", "http://a.example", "*", "https://*.com"},
		AllowMethods:     []string{"TRACE", "put"},
		AllowHeaders:     []string{"Cookie", "X A"},
		ExposeHeaders:    []string{"Set-Cookie", "*"},
		AllowCredentials: true,
		MaxAge:           48 * time.Hour,
	})
	if err == nil {
		t.Fatal("is accepted")
	}
	for _, fault := range []string{
		`allow_origins[0] "null"`, `allow_methods[0] "TRACE"`, `allow_methods[1] "put"`, `allow_headers[0] "Cookie"`,
		`allow_headers[1] "X A"`, `expose_headers[0] "Set-Cookie"`, "max_age 48h0m0s", "allow_origins * stands alone",
		"expose_headers * stands alone", "expose_headers * with allow_credentials", "allow_origins * with allow_credentials",
		`"http://a.example" with allow_credentials`, `"https://*.com" with allow_credentials`,
	} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("the error lacks %q:\n%v", fault, err)
		}
	}
}

func TestPoliciesThatAreOnlyWideAreAccepted(t *testing.T) {
	for name, c := range map[string]Config{
		"every origin":                        {AllowOrigins: []string{"*"}},
		"everything":                          {AllowOrigins: []string{"*"}, AllowMethods: []string{"*"}, AllowHeaders: []string{"*"}, ExposeHeaders: []string{"*"}},
		"every header and Authorization":      {AllowOrigins: []string{"*"}, AllowHeaders: []string{"*", "authorization"}},
		"http without credentials":            {AllowOrigins: []string{"http://a.example"}},
		"a public suffix without credentials": {AllowOrigins: []string{"https://*.github.io"}},
		"loopback with credentials":           {AllowOrigins: []string{"http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:3000"}, AllowCredentials: true},
		"every method and header, listed origins, credentials": {AllowOrigins: []string{"https://a.example"}, AllowMethods: []string{"*"},
			AllowHeaders: []string{"*", "Authorization"}, AllowCredentials: true},
		"an origin that a wildcard covers too": {AllowOrigins: []string{"https://*.a.example", "https://b.a.example"}},
		"a wildcard on two ports":              {AllowOrigins: []string{"https://*.a.example", "https://*.a.example:8443"}},
		"the longest max age":                  {AllowOrigins: []string{"*"}, MaxAge: 24 * time.Hour},
		"the shortest max age":                 {AllowOrigins: []string{"*"}, MaxAge: time.Second},
		"methods that need no permission":      {AllowOrigins: []string{"*"}, AllowMethods: []string{"GET", "HEAD", "POST", "OPTIONS"}},
	} {
		if _, err := Compile(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
