package auth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	authorization := source{inAuthorization, "Authorization"}
	header := source{inHeader, "X-Token"}
	cookie := source{inCookie, "token"}
	query := source{inQuery, "access_token"}
	tests := []struct {
		name   string
		source source
		header []string
		query  string
		want   string
		n      int
	}{
		{"no header", authorization, nil, "", "", 0},
		{"a bearer token", authorization, []string{"Authorization", "Bearer a.b.c"}, "", "a.b.c", 1},
		{"the scheme in another case", authorization, []string{"Authorization", "bEARER a.b.c"}, "", "a.b.c", 1},
		{"several spaces", authorization, []string{"Authorization", "Bearer   a.b.c"}, "", "a.b.c", 1},
		{"another scheme is not ours", authorization, []string{"Authorization", "Basic YTpi"}, "", "", 0},
		{"a scheme that begins like ours is not ours", authorization, []string{"Authorization", "BearerX a.b.c"}, "", "", 0},
		{"a bare token is no bearer token", authorization, []string{"Authorization", "a.b.c"}, "", "", 0},
		{"the scheme alone is an empty credential", authorization, []string{"Authorization", "Bearer"}, "", "", 1},
		{"a tab in place of the space is taken for the scheme", authorization, []string{"Authorization", "Bearer\ta.b.c"}, "", "a.b.c", 1},
		{"two schemes in one line are a list", authorization, []string{"Authorization", "Bearer a.b.c, Bearer d.e.f"}, "", "a.b.c, Bearer d.e.f", 2},
		{"two tokens are a list", authorization, []string{"Authorization", "Bearer a.b.c d.e.f"}, "", "a.b.c d.e.f", 2},
		{"a comma makes a list", authorization, []string{"Authorization", "Bearer a.b.c,"}, "", "a.b.c,", 2},
		{"two lines", authorization, []string{"Authorization", "Bearer a", "Authorization", "Bearer b"}, "", "b", 2},
		{"two lines, one of another scheme", authorization, []string{"Authorization", "Basic a", "Authorization", "Bearer b"}, "", "b", 1},

		{"a header", header, []string{"X-Token", "a.b.c"}, "", "a.b.c", 1},
		{"a header with a scheme is a list", header, []string{"X-Token", "Bearer a.b.c"}, "", "Bearer a.b.c", 2},
		{"an empty header is a credential", header, []string{"X-Token", ""}, "", "", 1},
		{"a header twice", header, []string{"X-Token", "a", "X-Token", "a"}, "", "a", 2},

		{"no cookie", cookie, []string{"Cookie", "a=1"}, "", "", 0},
		{"a cookie", cookie, []string{"Cookie", "a=1; token=x; b=2"}, "", "x", 1},
		{"a cookie without spaces", cookie, []string{"Cookie", "a=1;token=x;b=2"}, "", "x", 1},
		{"a cookie in a second line, as HTTP/2 sends it", cookie, []string{"Cookie", "a=1", "Cookie", "token=x"}, "", "x", 1},
		{"a cookie twice", cookie, []string{"Cookie", "token=x; token=y"}, "", "y", 2},
		{"a cookie twice in two lines", cookie, []string{"Cookie", "token=x", "Cookie", "token=x"}, "", "x", 2},
		{"names of cookies are exact", cookie, []string{"Cookie", "Token=x; token2=y; xtoken=z"}, "", "", 0},
		{"a name that some readers trim is ambiguous", cookie, []string{"Cookie", "token =x"}, "", "x", 2},
		{"also with a vertical tab", cookie, []string{"Cookie", "a=1; \vtoken=x"}, "", "x", 2},
		{"also with a no-break space", cookie, []string{"Cookie", "token=y; \u00a0token=x"}, "", "x", 3},
		{"a name that PHP reads as an array is ambiguous", cookie, []string{"Cookie", "token[a]=x"}, "", "x", 2},
		{"a cookie without value", cookie, []string{"Cookie", "token"}, "", "", 1},
		{"a value with an equals sign", cookie, []string{"Cookie", "token=x=y"}, "", "x=y", 1},

		{"no query", query, nil, "", "", 0},
		{"a parameter", query, nil, "a=1&access_token=x&b=2", "x", 1},
		{"a parameter alone", query, nil, "access_token=x", "x", 1},
		{"an empty parameter", query, nil, "access_token", "", 1},
		{"a parameter twice", query, nil, "access_token=x&access_token=y", "y", 2},
		{"a parameter twice, once encoded", query, nil, "access_token=x&access%5Ftoken=y", "y", 2},
		{"an encoded name is the same name", query, nil, "%61ccess_toke%6E=x", "x", 1},
		{"a semicolon separates", query, nil, "a=1;access_token=x;b", "x", 1},
		{"names are exact", query, nil, "Access_Token=x&access_token2=y&xaccess_token=z&access-token=a", "", 0},
		{"a name that PHP reads as the same is ambiguous", query, nil, "access.token=x", "x", 2},
		{"also with a space", query, nil, "access+token=x&access%20token=y", "y", 4},
		{"also as an array", query, nil, "access_token%5B%5D=x", "x", 2},
		{"also as an array with a long index", query, nil, "access_token[" + strings.Repeat("a", 200) + "]=x", "x", 2},
		{"also with white space around it", query, nil, "%09access_token+=x", "x", 2},
		{"bad percent-encoding is another name", query, nil, "access_token%=x&access%5token=y&%zz=z", "", 0},
		{"a value is not decoded", query, nil, "access_token=%61", "%61", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := &http.Request{Header: http.Header{}, URL: &url.URL{RawQuery: test.query}}
			for i := 0; i < len(test.header); i += 2 {
				r.Header.Add(test.header[i], test.header[i+1])
			}
			if got, n := test.source.find(r, nil); got != test.want || n != test.n {
				t.Errorf("got %q, %d, want %q, %d", got, n, test.want, test.n)
			}
		})
	}
}

func TestStripCookie(t *testing.T) {
	s := source{inCookie, "token"}
	for before, want := range map[string]string{
		"token=x":                     "",
		"a=1; token=x":                "a=1",
		"token=x; a=1":                "a=1",
		"a=1; token=x; b=2":           "a=1; b=2",
		`a="1 2";token=x;b==`:         `a="1 2";b==`,
		"a=1; token2=y; token=x":      "a=1; token2=y",
		"a=1|token=x":                 "a=1",
		"token=x|a=1; b=2":            "a=1; b=2",
		"a=1|b=2; token=x|c=3":        "a=1|b=2|c=3",
		"a=%74oken; Token=z; token=x": "a=%74oken; Token=z",
	} {
		h := http.Header{"Cookie": strings.Split(before, "|"), "X": {"y"}}
		s.strip(h, "")
		if got := strings.Join(h["Cookie"], "|"); got != want {
			t.Errorf("%q: got %q, want %q", before, got, want)
		}
		if _, ok := h["Cookie"]; ok && want == "" {
			t.Errorf("%q: an empty header is left", before)
		}
	}
}

func TestStripQuery(t *testing.T) {
	s := source{inQuery, "access_token"}
	for before, want := range map[string]string{
		"access_token=x":                       "",
		"access_token":                         "",
		"a=1&access_token=x":                   "a=1",
		"access_token=x&a=1":                   "a=1",
		"a=1&access_token=x&b=2":               "a=1&b=2",
		"a=1&access_token=x&":                  "a=1&",
		"&access_token=x":                      "",
		"a=1&&access_token=x&&b":               "a=1&&&b",
		"a=%2f&b=%2F+%20~&%61ccess_token=x&c=": "a=%2f&b=%2F+%20~&c=",
		"b[]=1&b[]=2&access_token=x&a&a=":      "b[]=1&b[]=2&a&a=",
		"a=access_token=x":                     "a=access_token=x",
		"a=1;access_token=x;b=2":               "a=1;b=2",
	} {
		if got := s.strip(nil, before); got != want {
			t.Errorf("%q: got %q, want %q", before, got, want)
		}
	}
}

// What is left of a query is what was there, in order, without the credential.
func FuzzQuery(f *testing.F) {
	f.Add("a=1&access_token=x&b=2")
	f.Add("access%5ftoken=x;access_token&")
	f.Add("&&;;access_token=&%61=%")
	s := source{inQuery, "access_token"}
	f.Fuzz(func(t *testing.T, raw string) {
		r := &http.Request{URL: &url.URL{RawQuery: raw}}
		_, n := s.find(r, nil)
		if u, err := url.ParseQuery(strings.ReplaceAll(raw, ";", "&")); err == nil && len(u["access_token"]) > n {
			t.Fatalf("found %d, url.ParseQuery %d", n, len(u["access_token"]))
		}
		rest := s.strip(nil, raw)
		if _, left := s.find(&http.Request{URL: &url.URL{RawQuery: rest}}, nil); left != 0 {
			t.Fatalf("%d left in %q", left, rest)
		}
		if n == 0 && rest != raw {
			t.Fatalf("changed to %q without a credential in it", rest)
		}
		pairs := func(q string) []string {
			var kept []string
			for _, pair := range strings.FieldsFunc(q, func(r rune) bool { return r == '&' || r == ';' }) {
				if _, same := s.parameter(pair); same == 0 {
					kept = append(kept, pair)
				}
			}
			return kept
		}
		if got, want := strings.Join(pairs(rest), "&"), strings.Join(pairs(raw), "&"); got != want {
			t.Fatalf("%q: left %q, want %q", raw, got, want)
		}
	})
}
