package validate_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	_ "github.com/sallyport-gateway/sallyport/modules/validate"
)

func TestAdapt(t *testing.T) {
	gatetest.Adapt(t, "testdata/adapt/*.caddyfiletest")
}

const (
	client = "192.0.2.1"
	isJSON = "Content-Type: application/json"
)

// site wraps the options of a validate in a site with a backend.
func site(options string) string {
	return "{$ADDR} {\n\tvalidate {\n" + options + "\n\t}\n\treverse_proxy {$BACKEND}\n}\n"
}

// request is a line "METHOD target", then header lines, an empty line and a body.
type request struct {
	line    string
	headers []string
	body    string
}

func send(t *testing.T, g *gatetest.Gate, r request) *gatetest.Response {
	t.Helper()
	method, target, _ := strings.Cut(r.line, " ")
	header := []string{"X-Forwarded-For", client}
	for _, h := range r.headers {
		name, value, _ := strings.Cut(h, ": ")
		header = append(header, name, value)
	}
	return g.Send(t, method, target, r.body, header...)
}

// refusedFor checks that an answer is the refusal with that code.
func refusedFor(t *testing.T, resp *gatetest.Response, code string) map[string]any {
	t.Helper()
	all := decision.Reasons()
	i := slices.IndexFunc(all, func(r *decision.Reason) bool { return r.Code == code })
	if i < 0 {
		t.Fatalf("there is no reason %s", code)
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(resp.Body), &doc); err != nil {
		t.Fatalf("%d with %q is no problem document: %v", resp.Status, resp.Body, err)
	}
	if resp.Status != all[i].Status || doc["title"] != all[i].Title || doc["type"] != decision.TypeURI(all[i].Title) {
		t.Errorf("got %d %s, want %s (%d)", resp.Status, resp.Body, code, all[i].Status)
	}
	return doc
}

var post = []string{isJSON}

// rules has a refusal of every rule and the twin of it that passes.
var rules = []struct {
	name, options    string
	allowed, refused request
	code             string
	member           string // of the problem document
	value            any
}{
	{"method", "methods GET POST", request{"GET /", nil, ""}, request{"DELETE /", nil, ""}, "validate.method", "", nil},
	{"HEAD is not GET", "methods GET", request{"GET /", nil, ""}, request{"HEAD /", nil, ""}, "", "", nil},
	{"size of the target", "max_uri 12", request{"GET /?x=1234567", nil, ""}, request{"GET /?x=12345678901", nil, ""}, "validate.uri_length", "", nil},
	{"size of a header line", "max_header_size 60", request{"GET /", []string{"X-A: " + strings.Repeat("a", 57)}, ""},
		request{"GET /", []string{"X-A: " + strings.Repeat("a", 58)}, ""}, "validate.header_size", "", nil},
	{"number of header lines", "max_headers 7", request{"GET /", []string{"X-A: 1"}, ""},
		request{"GET /", []string{"X-A: 1", "X-A: 2", "X-A: 3", "X-A: 4"}, ""}, "validate.header_count", "", nil},
	{"declared size of the body", "max_body 4", request{"POST /", nil, "1234"}, request{"POST /", nil, "12345"}, "validate.body_size", "", nil},

	{"content type", "content_types application/json text/*", request{"POST /", []string{"Content-Type: text/csv"}, "x"},
		request{"POST /", []string{"Content-Type: application/xml"}, "x"}, "validate.content_type", "", nil},
	{"content type in capitals, with a parameter", "content_types application/json", request{"POST /", []string{`Content-Type: Application/JSON; charset="UTF-8"`}, "x"},
		request{"POST /", []string{"Content-Type: application/jsonx"}, "x"}, "validate.content_type", "", nil},
	{"no content type on a body", "content_types application/json", request{"POST /", nil, ""}, request{"POST /", nil, "x"}, "validate.content_type", "", nil},
	{"two content types in one line", "content_types application/json", request{"POST /", post, "x"},
		request{"POST /", []string{"Content-Type: application/json, text/plain"}, "x"}, "validate.content_type", "", nil},
	{"a charset given twice", "content_types application/json", request{"POST /", post, "x"},
		request{"POST /", []string{"Content-Type: application/json; charset=utf-8; charset=utf-16"}, "x"}, "validate.content_type", "", nil},
	{"a form that is not listed", "json", request{"POST /", post, "{}"},
		request{"POST /", []string{"Content-Type: application/x-www-form-urlencoded"}, "{}"}, "validate.content_type", "", nil},
	{"JSON that is called text", "json", request{"POST /", []string{"Content-Type: application/problem+json"}, "{}"},
		request{"POST /", []string{"Content-Type: text/plain"}, "{}"}, "validate.content_type", "", nil},
	{"JSON without a content type", "json", request{"POST /", post, "{}"}, request{"POST /", nil, "{}"}, "validate.content_type", "", nil},
	{"UTF-16", "json", request{"POST /", []string{"Content-Type: application/json;charset=UTF-8"}, "{}"},
		request{"POST /", []string{"Content-Type: application/json;charset=utf-16"}, "{}"}, "validate.charset", "", nil},

	{"required parameter", "query id {\nrequired\n}", request{"GET /?id=", nil, ""}, request{"GET /?x=1", nil, ""}, "validate.query_missing", "parameter", "id"},
	{"type", "query page {\ntype integer\n}", request{"GET /?page=7", nil, ""}, request{"GET /?page=7x", nil, ""}, "validate.query_type", "parameter", "page"},
	{"range", "query page {\ntype integer\nrange 1 10\n}", request{"GET /?page=10", nil, ""}, request{"GET /?page=11", nil, ""}, "validate.query_range", "parameter", "page"},
	{"length in characters", "query q {\nmax_length 3\n}", request{"GET /?q=%C3%A9%C3%A9%C3%A9", nil, ""},
		request{"GET /?q=abcd", nil, ""}, "validate.query_length", "parameter", "q"},
	{"pattern", `query q {` + "\n" + `pattern "[a-z]+"` + "\n}", request{"GET /?q=abc", nil, ""}, request{"GET /?q=abc1", nil, ""}, "validate.query_pattern", "parameter", "q"},
	{"enum", "query sort {\nenum asc desc\n}", request{"GET /?sort=asc", nil, ""}, request{"GET /?sort=up", nil, ""}, "validate.query_enum", "parameter", "sort"},
	{"repeats", "query tag {\nrepeat 2\n}", request{"GET /?tag=a&tag=b", nil, ""}, request{"GET /?tag=a&tag=b&tag=c", nil, ""}, "validate.query_repeated", "parameter", "tag"},
	{"unknown parameter", "query a\nquery_unknown reject", request{"GET /?a=1", nil, ""}, request{"GET /?secretname=1", nil, ""}, "validate.query_unknown", "", nil},
	{"unknown parameters ignored", "query a\nquery_unknown ignore\nmax_query_parameters 2", request{"GET /?b=1&c=2", nil, ""},
		request{"GET /?a=1&b=2&c=3", nil, ""}, "validate.query_count", "", nil},
	{"a parameter that url.Query would lose", "query page {\ntype integer\n}", request{"GET /?" + strings.Repeat("a&", 998) + "page=1", nil, ""},
		request{"GET /?" + strings.Repeat("a&", 998) + "page=x", nil, ""}, "validate.query_type", "parameter", "page"},

	{"JSON", "json", request{"POST /", post, `{"a":[1,2]} `}, request{"POST /", post, `{"a":[1,2]} {}`}, "validate.json_syntax", "offset", 12.0},
	{"JSON in bytes that are no UTF-8", "json", request{"POST /", post, `{"a":"é"}`}, request{"POST /", post, "{\"a\":\"\xe9\"}"}, "validate.json_encoding", "offset", 7.0},
	{"a byte order mark", "json", request{"POST /", post, `{}`}, request{"POST /", post, "\ufeff{}"}, "validate.json_syntax", "offset", 0.0},
	{"depth", "json {\nmax_depth 2\n}", request{"POST /", post, `[[1]]`}, request{"POST /", post, `[[[1]]]`}, "validate.json_depth", "offset", 2.0},
	{"default depth", "json", request{"POST /", post, strings.Repeat("[", 32) + strings.Repeat("]", 32)},
		request{"POST /", post, strings.Repeat("[", 33) + strings.Repeat("]", 33)}, "validate.json_depth", "offset", 32.0},
	{"a name twice", "json", request{"POST /", post, `{"a":1,"b":2}`}, request{"POST /", post, `{"a":1,"\u0061":2}`}, "validate.json_duplicate_key", "offset", 14.0},
	{"names twice where they are ignored", "json {\nduplicate_keys ignore\n}", request{"POST /", post, `{"a":1,"a":2}`}, request{"POST /", post, `{`}, "validate.json_syntax", "offset", 1.0},
	{"members", "json {\nmax_keys 1\n}", request{"POST /", post, `{"a":1}`}, request{"POST /", post, `{"a":1,"b":2}`}, "validate.json_keys", "offset", 7.0},
	{"items", "json {\nmax_items 2\n}", request{"POST /", post, `[1,2]`}, request{"POST /", post, `[1,2,3]`}, "validate.json_items", "offset", 5.0},
	{"a long string", "json {\nmax_string_length 3\n}", request{"POST /", post, `"abc"`}, request{"POST /", post, `"abcd"`}, "validate.json_string", "", nil},
	{"a huge number", "json", request{"POST /", post, `1e308`}, request{"POST /", post, `1e999999`}, "validate.json_number", "offset", 8.0},
	{"a long number", "json {\nmax_number_length 3\n}", request{"POST /", post, `123`}, request{"POST /", post, `1234`}, "validate.json_number", "offset", 3.0},
	{"a body that is required", "json {\nrequired\n}", request{"GET /", nil, ""}, request{"POST /", nil, ""}, "validate.body_required", "", nil},
	{"a body on GET is looked at", "json", request{"GET /", post, "{}"}, request{"GET /", post, "{"}, "validate.json_syntax", "offset", 1.0},
	{"JSON of another name is looked at", "content_types application/merge-patch+json\njson", request{"PATCH /", []string{"Content-Type: application/merge-patch+json"}, "{}"},
		request{"PATCH /", []string{"Content-Type: application/merge-patch+json"}, "{"}, "validate.json_syntax", "offset", 1.0},

	{"unknown content coding", "json", request{"POST /", append([]string{"Content-Encoding: identity"}, post...), "{}"},
		request{"POST /", append([]string{"Content-Encoding: br"}, post...), "{}"}, "validate.content_coding", "", nil},
	{"two content codings", "max_body 1KiB", request{"POST /", nil, "{}"},
		request{"POST /", []string{"Content-Encoding: gzip, gzip"}, "x"}, "validate.content_coding", "", nil},
	{"two content codings in two lines", "max_body 1KiB", request{"POST /", nil, "{}"},
		request{"POST /", []string{"Content-Encoding: gzip", "Content-Encoding: identity, deflate"}, "x"}, "validate.content_coding", "", nil},
}

// everyRule is a site with all rules, each for a host of its own.
func everyRule(mode string) string {
	var b strings.Builder
	b.WriteString("http://:{$PORT} {\n")
	for i, tt := range rules {
		fmt.Fprintf(&b, "\t@c%d host c%d.test\n\tvalidate @c%d {\n%s\nmode %s\n\t}\n", i, i, i, tt.options, mode)
	}
	b.WriteString("\treverse_proxy {$BACKEND}\n}\n")
	return b.String()
}

func (r request) to(rule int) request {
	r.headers = append([]string{fmt.Sprintf("Host: c%d.test", rule)}, r.headers...)
	return r
}

func TestEveryRuleRefusesAndItsTwinPasses(t *testing.T) {
	g := gatetest.Run(t, everyRule("enforce"))
	for i, tt := range rules {
		t.Run(tt.name, func(t *testing.T) {
			reached := ""
			g.Backend(func(w http.ResponseWriter, r *http.Request) {
				content, _ := io.ReadAll(r.Body)
				reached = r.Method + " " + r.RequestURI + " " + string(content)
			})
			if resp := send(t, g, tt.allowed.to(i)); resp.Status != 200 || reached != tt.allowed.line+" "+tt.allowed.body {
				t.Errorf("allowed: got %d %s, the backend %.80q", resp.Status, resp.Body, reached)
			}
			reached = ""
			resp := send(t, g, tt.refused.to(i))
			if reached != "" {
				t.Errorf("refused: the backend got %.80q", reached)
			}
			if tt.code == "" { // an answer to HEAD
				if resp.Status != 405 || resp.Header.Get("Allow") != "GET" {
					t.Errorf("got %d %v", resp.Status, resp.Header)
				}
				return
			}
			doc := refusedFor(t, resp, tt.code)
			if tt.member != "" && doc[tt.member] != tt.value {
				t.Errorf("%s is %v, want %v", tt.member, doc[tt.member], tt.value)
			}
			if strings.Contains(resp.Body, "secretname") {
				t.Errorf("the caller's name is in %s", resp.Body)
			}
		})
	}
}

func TestA405NamesTheMethods(t *testing.T) {
	g := gatetest.Run(t, site("methods POST GET GET"))
	if resp := g.Do(t, "PUT", "/", "X-Forwarded-For", client); resp.Status != 405 || resp.Header.Get("Allow") != "GET, POST" {
		t.Errorf("got %d, Allow %q", resp.Status, resp.Header.Get("Allow"))
	}
}

func TestA415NamesTheCodings(t *testing.T) {
	g := gatetest.Run(t, site("max_body 1KiB"))
	resp := g.Send(t, "POST", "/", "x", "X-Forwarded-For", client, "Content-Encoding", "zstd")
	if resp.Status != 415 || resp.Header.Get("Accept-Encoding") != "gzip, deflate" {
		t.Errorf("got %d, Accept-Encoding %q", resp.Status, resp.Header.Get("Accept-Encoding"))
	}
}

func TestDryRunLetsPassWhatItWouldRefuse(t *testing.T) {
	g := gatetest.Run(t, everyRule("dry_run"))
	for i, tt := range rules {
		t.Run(tt.name, func(t *testing.T) {
			reached := ""
			g.Backend(func(w http.ResponseWriter, r *http.Request) {
				content, err := io.ReadAll(r.Body)
				if err != nil {
					t.Errorf("the backend cannot read the body: %v", err)
				}
				reached = r.Method + " " + r.RequestURI + " " + string(content)
			})
			resp := send(t, g, tt.refused.to(i))
			if resp.Status != 200 || reached != tt.refused.line+" "+tt.refused.body || resp.Header.Get("Allow") != "" {
				t.Errorf("got %d %s, the backend %.80q", resp.Status, resp.Body, reached)
			}
		})
	}
}

func TestInstancesAndMatchersAreJudgedEach(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\tvalidate {\n\t\tmethods GET POST\n\t}\n\tvalidate /orders/* {\n\t\tmethods GET\n\t}\n\treverse_proxy {$BACKEND}\n}\n")
	tests := []struct {
		line   string
		status int
	}{
		{"POST /other", 200}, {"GET /orders/1", 200}, {"POST /orders/1", 405}, {"POST /%6frders/1", 405}, {"DELETE /other", 405},
	}
	for _, tt := range tests {
		if resp := send(t, g, request{line: tt.line}); resp.Status != tt.status {
			t.Errorf("%s: got %d, want %d", tt.line, resp.Status, tt.status)
		}
	}
}

func TestARejectedReloadLeavesTheRulesInForce(t *testing.T) {
	g := gatetest.Run(t, site("methods GET"))
	if err := g.Reload(t, site("openapi /nonexistent/api.yaml")); err == nil || !strings.Contains(err.Error(), "/nonexistent/api.yaml") {
		t.Fatalf("got %v", err)
	}
	if resp := send(t, g, request{line: "POST /"}); resp.Status != 405 {
		t.Errorf("got %d, want 405", resp.Status)
	}
	if err := g.Reload(t, site("methods GET POST")); err != nil {
		t.Fatal(err)
	}
	if resp := send(t, g, request{line: "POST /"}); resp.Status != 200 {
		t.Errorf("after the reload: got %d, want 200", resp.Status)
	}
}

func TestJSONConfigurationIsCheckedToo(t *testing.T) {
	h := `{"handler":"validate","methods":["get"],"max_body":-1,"query":[{"name":"a","type":"int"}],"json":{"max_depth":9999,"duplicate_keys":"maybe"}}`
	gatetest.Run(t, site("methods GET"))
	err := caddy.Load([]byte(`{"admin":{"disabled":true},"apps":{"http":{"servers":{"x":{"listen":["127.0.0.1:0"],"trusted_proxies_strict":1,"routes":[{"handle":[`+h+`]}]}}}}}`), true)
	if err == nil {
		t.Fatal("it is accepted")
	}
	for _, want := range []string{`methods "get"`, "max_body -1", `type "int"`, "max_depth 9999", `duplicate_keys "maybe"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
