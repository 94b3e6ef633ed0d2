package canonical

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// request is what net/http hands to a server for a target and header lines.
func request(method, target string, header ...string) *http.Request {
	r := &http.Request{Method: method, RequestURI: target, Host: "api.example.com", Header: http.Header{}}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func TestParseRefusesWhatHasTwoReadings(t *testing.T) {
	tests := []struct {
		name    string
		r       *http.Request
		refusal *Refusal
	}{
		{"encoded dot segments", request("GET", "/public/%2e%2e/admin"), ErrPathDots},
		{"half encoded dot segments", request("GET", "/public/.%2E/admin"), ErrPathDots},
		{"plain dot segments", request("GET", "/public/../admin"), ErrPathDots},
		{"single dot segment", request("GET", "/./admin"), ErrPathDots},
		{"dot segment at the end", request("GET", "/admin/.."), ErrPathDots},
		{"encoded slash", request("GET", "/public%2fadmin"), ErrPathSlash},
		{"encoded slash in capitals", request("GET", "/public%2Fadmin"), ErrPathSlash},
		{"encoded backslash", request("GET", "/public%5cadmin"), ErrPathSlash},
		{"backslash", request("GET", `/public\admin`), ErrPathSlash},
		{"encoded NUL", request("GET", "/admin%00"), ErrPathEncoding},
		{"encoded line break", request("GET", "/admin%0d%0a"), ErrPathEncoding},
		{"encoded DEL", request("GET", "/admin%7f"), ErrPathEncoding},
		{"overlong slash", request("GET", "/public%c0%afadmin"), ErrPathEncoding},
		{"overlong dot", request("GET", "/%c0%ae%c0%ae/admin"), ErrPathEncoding},
		{"invalid UTF-8", request("GET", "/%ff"), ErrPathEncoding},
		{"surrogate", request("GET", "/%ed%a0%80"), ErrPathEncoding},
		{"raw byte above ASCII", request("GET", "/\xff"), ErrPathEncoding},
		{"raw UTF-8", request("GET", "/ä"), ErrPathEncoding},
		{"raw control byte", request("GET", "/a\x01"), ErrPathEncoding},
		{"double encoding", request("GET", "/%252e%252e/admin"), ErrPathEncoding},
		{"double encoding with encoded digits", request("GET", "/%25%32%65"), ErrPathEncoding},
		{"double encoding with one encoded digit", request("GET", "/%252%65"), ErrPathEncoding},
		{"percent-u encoding behind one layer", request("GET", "/%25u002e"), ErrPathEncoding},
		{"percent-u encoding", request("GET", "/%u002e"), ErrPathEncoding},
		{"bad percent-encoding", request("GET", "/%zz"), ErrPathEncoding},
		{"cut percent-encoding", request("GET", "/%2"), ErrPathEncoding},
		{"fragment in the target", request("GET", "/a#b"), ErrPathEncoding},
		{"parameter", request("GET", "/admin;x=1/users"), ErrPathParameter},
		{"encoded parameter", request("GET", "/admin%3bx=1/users"), ErrPathParameter},
		{"dot segment with a parameter", request("GET", "/public/..;/admin"), ErrPathParameter},
		{"empty segment", request("GET", "//admin"), ErrPathEmpty},
		{"empty segment inside", request("GET", "/a//b"), ErrPathEmpty},
		{"absolute form", request("GET", "http://other.example/admin"), ErrTargetForm},
		{"asterisk form", request("OPTIONS", "*"), ErrTargetForm},
		{"empty target", request("GET", ""), ErrTargetForm},
		{"query without path", request("GET", "?a=1"), ErrTargetForm},
		{"lower-case method", request("get", "/"), ErrMethod},
		{"CONNECT", request("CONNECT", "/"), ErrMethod},
		{"TRACE", request("TRACE", "/"), ErrMethod},
		{"odd method", request("FOO!$", "/"), ErrMethod},
		{"no method", request("", "/"), ErrMethod},
		{"bad percent-encoding in the query", request("GET", "/?a=%zz"), ErrQueryEncoding},
		{"cut percent-encoding in the query", request("GET", "/?a=%2"), ErrQueryEncoding},
		{"NUL in the query", request("GET", "/?a=%00"), ErrQueryEncoding},
		{"invalid UTF-8 in the query", request("GET", "/?a=%ff"), ErrQueryEncoding},
		{"overlong UTF-8 in the query", request("GET", "/?a=%c0%af"), ErrQueryEncoding},
		{"raw byte above ASCII in the query", request("GET", "/?a=\xe4"), ErrQueryEncoding},
		{"space in the query", request("GET", "/?a= b"), ErrQueryEncoding},
		{"fragment in the query", request("GET", "/?a=1#&token=S"), ErrQueryEncoding},
		{"semicolon in the query", request("GET", "/?a=1;admin=1"), ErrQuerySemicolon},
		{"more pairs than a reader may count", request("GET", "/?"+strings.Repeat("a&", maxQueryPairs)), ErrQueryPairs},
		{"two Authorization lines", request("GET", "/", "Authorization", "a", "Authorization", "b"), ErrHeaderRepeated},
		{"two Content-Type lines", request("GET", "/", "Content-Type", "a", "Content-Type", "b"), ErrHeaderRepeated},
		{"two Origin lines", request("GET", "/", "Origin", "a", "Origin", "b"), ErrHeaderRepeated},
		{"Connection names Authorization", request("GET", "/", "Connection", "Authorization"), ErrConnection},
		{"Connection names a header behind others", request("GET", "/", "Connection", "keep-alive, X-User-Id"), ErrConnection},
		{"Connection names a header in a second line", request("GET", "/", "Connection", "close", "Connection", "x-forwarded-for"), ErrConnection},
		{"method override", request("POST", "/", "X-HTTP-Method-Override", "DELETE"), ErrMethodOverride},
		{"method override, other name", request("POST", "/", "X-Method-Override", "DELETE"), ErrMethodOverride},
		{"method override in the query", request("POST", "/?a=1&_method=DELETE"), ErrMethodOverride},
		{"method override in the query, encoded", request("POST", "/?%5Fmeth%6Fd=DELETE"), ErrMethodOverride},
		{"method override in the query, other case", request("POST", "/?_METHOD"), ErrMethodOverride},
		{"a parameter of that name where nobody reads it", request("GET", "/?_method=DELETE"), nil},
		{"a parameter whose name only contains it", request("POST", "/?x_method=DELETE&_methods=1"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, refusal := Parse(tt.r, Options{})
			if refusal != tt.refusal {
				t.Errorf("got %v (%+v), want %v", refusal, got, tt.refusal)
			}
		})
	}
}

func TestParseReadsHosts(t *testing.T) {
	tests := []struct{ authority, host string }{
		{"api.example.com", "api.example.com"},
		{"API.Example.COM", "api.example.com"},
		{"api.example.com:8080", "api.example.com"},
		{"api.example.com.", "api.example.com"},
		{"api.example.com.:443", "api.example.com"},
		{"10.0.0.1:80", "10.0.0.1"},
		{"[2001:DB8::1]:8443", "[2001:db8::1]"},
		{"[::1]", "[::1]"},
		{"under_score", "under_score"},
		{"", ""},
		{".", ""},
		{"..", ""},
		{"a..b", ""},
		{".example.com", ""},
		{"user@example.com", ""},
		{"a,b", ""},
		{"a/b", ""},
		{"a b", ""},
		{"a%2fb", ""},
		{"exämple", ""},
		{"example.com:x", ""},
		{"example.com:123456", ""},
		{"[::1", ""},
		{"[::g]", ""},
		{"[::1]x", ""},
	}
	for _, tt := range tests {
		t.Run(tt.authority, func(t *testing.T) {
			r := request("GET", "/")
			r.Host = tt.authority
			got, refusal := Parse(r, Options{})
			if got.Host != tt.host || (refusal == ErrHost) != (tt.host == "") {
				t.Errorf("got %q, %v; want %q", got.Host, refusal, tt.host)
			}
		})
	}
}

func TestParseDecodesPathsOnce(t *testing.T) {
	tests := []struct {
		name, target, path, query string
		options                   Options
	}{
		{"plain path", "/orders/7", "/orders/7", "", Options{}},
		{"root", "/", "/", "", Options{}},
		{"trailing slash is kept", "/orders/", "/orders/", "", Options{}},
		{"query is left as sent", "/a?x=%20&y", "/a", "x=%20&y", Options{}},
		{"empty query", "/a?", "/a", "", Options{}},
		{"encoded letters are letters", "/%61dmin", "/admin", "", Options{}},
		{"encoded UTF-8", "/caf%C3%A9", "/café", "", Options{}},
		{"encoded percent sign alone", "/100%25", "/100%", "", Options{}},
		{"encoded percent sign before text", "/100%25-off", "/100%-off", "", Options{}},
		{"encoded question mark stays in the path", "/a%3Fb?c", "/a?b", "c", Options{}},
		{"dots inside a segment", "/a..b/.well-known/...", "/a..b/.well-known/...", "", Options{}},
		{"parameters are cut when allowed", "/admin;x=1/users;y", "/admin/users", "", Options{PathParameters: true}},
		{"encoded parameters are cut when allowed", "/admin%3Bx=1/users", "/admin/users", "", Options{PathParameters: true}},
		{"encoded slash stays one segment when allowed", "/files/a%2fb", "/files/a%2Fb", "", Options{EncodedSlash: true}},
		{"empty segments are one slash when allowed", "//a///b//", "/a/b/", "", Options{EmptySegments: true}},
		{"semicolon in the query when allowed", "/?a;b", "/", "a;b", Options{QuerySemicolon: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, refusal := Parse(request("GET", tt.target), tt.options)
			if refusal != nil || got.Path != tt.path || got.RawQuery != tt.query {
				t.Errorf("got %q ? %q, %v; want %q ? %q", got.Path, got.RawQuery, refusal, tt.path, tt.query)
			}
		})
	}
}

func TestOptionsAllowOnlyWhatTheyName(t *testing.T) {
	all := Options{PathParameters: true, EncodedSlash: true, EmptySegments: true, QuerySemicolon: true, MethodOverride: true}
	tests := []struct {
		name, target string
		refusal      *Refusal
	}{
		{"dot segment behind a parameter", "/public/..;x/admin", ErrPathDots},
		{"dot segment behind an encoded parameter", "/public/..%3bx/admin", ErrPathDots},
		{"dot segment behind an encoded slash", "/public/..%2fadmin", ErrPathDots},
		{"dot segment in front of an encoded slash", "/public%2f../admin", ErrPathDots},
		{"double-encoded slash", "/public%252fadmin", ErrPathEncoding},
		{"backslash", "/public%5cadmin", ErrPathSlash},
		{"empty segment that a parameter leaves is one slash", "/;x/admin", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, refusal := Parse(request("GET", tt.target), all); refusal != tt.refusal {
				t.Errorf("got %v, want %v", refusal, tt.refusal)
			}
		})
	}
	r := request("POST", "/", "X-HTTP-Method-Override", "DELETE")
	if _, refusal := Parse(r, all); refusal != nil {
		t.Errorf("an allowed method override is refused: %v", refusal)
	}
	if _, refusal := Parse(request("GET", "/", "Connection", "Upgrade, HTTP2-Settings,TE , close"), Options{}); refusal != nil {
		t.Errorf("an ordinary Connection header is refused: %v", refusal)
	}
}

func TestCleanRemovesSecondReadings(t *testing.T) {
	tests := []struct {
		name, header, value string
		kept                bool
	}{
		{"another path", "X-Original-URL", "/admin", false},
		{"another path, other name", "X-Rewrite-URL", "/admin", false},
		{"another client", "X-Real-IP", "10.0.0.1", false},
		{"another client, RFC 7239", "Forwarded", "for=10.0.0.1", false},
		{"the header that the client was read from", "True-Client-IP", "10.0.0.1", true},
		{"an upgrade to h2c", "Upgrade", "h2c", false},
		{"an upgrade to h2c among others", "Upgrade", "websocket, h2c", false},
		{"an upgrade to anything else", "Upgrade", "tcp", false},
		{"an upgrade to WebSocket", "Upgrade", "WebSocket", true},
		{"anything else", "X-Other", "kept", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request("GET", "/", tt.header, tt.value)
			Clean(r, []string{"true-client-ip"})
			if (r.Header.Get(tt.header) != "") != tt.kept {
				t.Errorf("left: %v", r.Header)
			}
		})
	}
	r := request("GET", "/", "Upgrade", "websocket", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAAQAAP__")
	r.Trailer = http.Header{"X-User-Id": nil}
	Clean(r, nil)
	if len(r.Header) != 0 || r.Trailer != nil {
		t.Errorf("left: %v, trailer %v", r.Header, r.Trailer)
	}
}

func TestPlainRequestAllocatesNothing(t *testing.T) {
	r := request("GET", "/orders/7?page=2", "Authorization", "Bearer x", "Connection", "keep-alive")
	if n := testing.AllocsPerRun(100, func() { _, _ = Parse(r, Options{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzParse holds what a backend may do against what guards judge: an accepted
// path has no dot segment, no backslash and no slash more than it shows, also
// after a second decoding, and Go's own reading agrees with ours.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"/a/b?c=d", "/%2e%2e", "/a%2fb", "/;x", "/%25%32%65", "/%c0%af", "//", "/caf%C3%A9", "/a?b;c", "/%25u002e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		got, refusal := Parse(request("GET", target), Options{})
		if refusal != nil {
			return
		}
		if again, err := url.PathUnescape(got.Path); err == nil && again != got.Path {
			t.Errorf("%q decodes twice, to %q", got.Path, again)
		}
		for segment := range strings.SplitSeq(got.Path[1:], "/") {
			if segment == "." || segment == ".." || strings.ContainsAny(segment, "\\;\x00") {
				t.Errorf("segment %q of %q", segment, got.Path)
			}
		}
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatalf("accepted %q, which net/http refuses: %v", target, err)
		}
		if u.Path != got.Path || u.RawQuery != got.RawQuery {
			t.Errorf("net/http reads %q ? %q, we read %q ? %q", u.Path, u.RawQuery, got.Path, got.RawQuery)
		}
		if _, err := url.ParseQuery(got.RawQuery); err != nil {
			t.Errorf("accepted query %q, of which url.Query drops a pair: %v", got.RawQuery, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	r := request("GET", "/orders/7?page=2&q=x%20y", "Authorization", "Bearer x", "Connection", "keep-alive")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Parse(r, Options{})
	}
}
