package validate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// orders is a request to the documented API, with the header it requires.
func orders(line, body string, headers ...string) request {
	if body != "" && len(headers) == 0 {
		headers = post
	}
	return request{line, append([]string{"X-Tenant: 7"}, headers...), body}
}

func TestOnlyWhatIsDocumentedPasses(t *testing.T) {
	g := gatetest.Run(t, site("openapi testdata/orders.yaml\nquery_unknown reject"))
	seen := record(g)
	tests := []struct {
		name    string
		request request
		code    string
		member  string
		value   any
	}{
		{"a documented path", orders("GET /v1/orders", ""), "", "", nil},
		{"an encoded letter", orders("GET /v1/order%73", ""), "", "", nil},
		{"text wins over a parameter", orders("GET /v1/orders/latest", ""), "", "", nil},
		{"a path parameter", orders("GET /v1/orders/17", ""), "", "", nil},
		{"a parameter with text around it", orders("GET /v1/files/abc.json", ""), "", "", nil},
		{"every kind of parameter", orders("GET /v1/orders?limit=100&tag=a&tag=b&ids=1,2,3&filter=%7B%22open%22:true%7D", "",
			"Cookie: a=b; session=123e4567-e89b-12d3-a456-426614174000"), "", "", nil},
		{"a parameter that carries a credential", orders("GET /v1/orders?api_key=x", ""), "", "", nil},

		{"without the server's path", orders("GET /orders", ""), "validate.path", "", nil},
		{"a path that is not documented", orders("GET /v1/secretname", ""), "validate.path", "", nil},
		{"a slash at the end", orders("GET /v1/orders/", ""), "validate.path", "", nil},
		{"other case", orders("GET /v1/Orders", ""), "validate.path", "", nil},
		{"an empty path parameter", orders("GET /v1/files/.json", ""), "validate.path", "", nil},
		{"a method that is not documented", orders("DELETE /v1/orders", ""), "validate.operation", "", nil},
		{"HEAD is not GET", orders("OPTIONS /v1/orders/latest", ""), "validate.operation", "", nil},

		{"a bad path parameter", orders("GET /v1/orders/secretname", ""), "validate.parameter_invalid", "parameter", "id"},
		{"a path parameter without its pattern", orders("GET /v1/files/ABC.json", ""), "validate.parameter_invalid", "parameter", "name"},
		{"a bad query parameter", orders("GET /v1/orders?limit=101", ""), "validate.parameter_invalid", "parameter", "limit"},
		{"a good one in front of a bad one", orders("GET /v1/orders?limit=1&limit=999", ""), "validate.parameter_repeated", "parameter", "limit"},
		{"an empty one in front of another", orders("GET /v1/orders?limit=&limit=9", ""), "validate.parameter_repeated", "parameter", "limit"},
		{"an empty integer", orders("GET /v1/orders?limit=", ""), "validate.parameter_invalid", "parameter", "limit"},
		{"a number that is not whole", orders("GET /v1/orders?limit=1.0", ""), "validate.parameter_invalid", "parameter", "limit"},
		{"an encoded name", orders("GET /v1/orders?l%69mit=0", ""), "validate.parameter_invalid", "parameter", "limit"},
		{"too many items", orders("GET /v1/orders?tag=a&tag=b&tag=c", ""), "validate.parameter_invalid", "parameter", "tag"},
		{"a bad item", orders("GET /v1/orders?tag=a&tag=abcdef", ""), "validate.parameter_invalid", "parameter", "tag"},
		{"a bad item of a list", orders("GET /v1/orders?ids=1,x", ""), "validate.parameter_invalid", "parameter", "ids"},
		{"two lists", orders("GET /v1/orders?ids=1&ids=x", ""), "validate.parameter_repeated", "parameter", "ids"},
		{"bad JSON in a parameter", orders("GET /v1/orders?filter=%7B%22open%22:true,%22open%22:1%7D", ""), "validate.parameter_invalid", "parameter", "filter"},
		{"JSON of another kind in a parameter", orders("GET /v1/orders?filter=%7B%22secretname%22:true%7D", ""), "validate.parameter_invalid", "parameter", "filter"},
		{"a bad cookie", orders("GET /v1/orders", "", "Cookie: session=1"), "validate.parameter_invalid", "parameter", "session"},
		{"a cookie twice", orders("GET /v1/orders", "", "Cookie: session=123e4567-e89b-12d3-a456-426614174000; session=1"), "validate.parameter_repeated", "parameter", "session"},
		{"a bad cookie whose name has spaces around it, which servers drop", orders("GET /v1/orders", "", "Cookie: a=b;\tsession =1"), "validate.parameter_invalid", "parameter", "session"},
		{"no header", request{"GET /v1/orders", nil, ""}, "validate.parameter_missing", "parameter", "X-Tenant"},
		{"a bad header", request{"GET /v1/orders", []string{"X-Tenant: 0"}, ""}, "validate.parameter_invalid", "parameter", "X-Tenant"},
		{"a header twice", orders("GET /v1/orders", "", "X-Tenant: 8"), "validate.parameter_repeated", "parameter", "X-Tenant"},
		{"a query parameter that is not documented", orders("GET /v1/orders?secretname=1", ""), "validate.query_unknown", "", nil},

		{"a body", orders("POST /v1/orders", `{"item":"x","count":1,"note":null,"lines":[{"sku":"ABC","price":1.01,"sub":[{"x":1}]}],"pay":{"kind":"card","last4":"1234"}}`), "", "", nil},
		{"a body of another media type", orders("POST /v1/orders", "a,b", "Content-Type: text/csv"), "", "", nil},
		{"no body", orders("POST /v1/orders", ""), "validate.body_required", "", nil},
		{"a body where none is documented", orders("GET /v1/orders", `{}`), "validate.body_unexpected", "", nil},
		{"a media type that is not documented", orders("POST /v1/orders", `<a/>`, "Content-Type: application/xml"), "validate.content_type", "", nil},
		{"no media type", orders("POST /v1/orders", `{}`, "X-A: 1"), "validate.content_type", "", nil},
		{"not JSON", orders("POST /v1/orders", `{"item":"x","count":1} x`), "validate.json_syntax", "offset", 23.0},
		{"a name twice", orders("POST /v1/orders", `{"item":"x","count":999,"count":4}`), "validate.json_duplicate_key", "", nil},
		{"a missing property", orders("POST /v1/orders", `{"item":"x"}`), "validate.body_invalid", "pointer", "/count"},
		{"a bad property", orders("POST /v1/orders", `{"item":"x","count":0}`), "validate.body_invalid", "pointer", "/count"},
		{"more than 32 bits", orders("POST /v1/orders", `{"item":"x","count":2147483648}`), "validate.body_invalid", "pointer", "/count"},
		{"an empty string", orders("POST /v1/orders", `{"item":"","count":1}`), "validate.body_invalid", "pointer", "/item"},
		{"a read-only property", orders("POST /v1/orders", `{"id":"1","item":"x","count":1}`), "validate.body_invalid", "pointer", "/id"},
		{"a property that is not documented", orders("POST /v1/orders", `{"item":"x","count":1,"secretname":1}`), "validate.body_invalid", "pointer", ""},
		{"a bad property deep inside", orders("POST /v1/orders", `{"item":"x","count":1,"lines":[{},{"sub":[{"sku":"abc"}]}]}`), "validate.body_invalid", "pointer", "/lines/1/sub/0/sku"},
		{"a bad property with the caller's name", orders("POST /v1/orders", `{"item":"x","count":1,"lines":[{"secretname":"x"}]}`), "validate.body_invalid", "pointer", "/lines/0"},
		{"cents of cents", orders("POST /v1/orders", `{"item":"x","count":1,"lines":[{"price":1.001}]}`), "validate.body_invalid", "pointer", "/lines/0/price"},
		{"null where it is not nullable", orders("POST /v1/orders", `{"item":null,"count":1}`), "validate.body_invalid", "pointer", "/item"},
		{"the wrong kind of payment", orders("POST /v1/orders", `{"item":"x","count":1,"pay":{"kind":"card","due":"2026-01-01"}}`), "validate.body_invalid", "pointer", "/pay/last4"},
		{"an unknown kind of payment", orders("POST /v1/orders", `{"item":"x","count":1,"pay":{"kind":"secretname"}}`), "validate.body_invalid", "pointer", "/pay/kind"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			*seen = got{}
			resp := send(t, g, tt.request)
			if tt.code == "" {
				if resp.Status != 200 || seen.body != tt.request.body {
					t.Errorf("got %d %s, the backend %q", resp.Status, resp.Body, seen.body)
				}
				return
			}
			doc := refusedFor(t, resp, tt.code)
			if tt.member != "" && doc[tt.member] != tt.value {
				t.Errorf("%s is %v, want %v", tt.member, doc[tt.member], tt.value)
			}
			if seen.calls > 0 || strings.Contains(resp.Body, "secretname") {
				t.Errorf("calls %d, %s", seen.calls, resp.Body)
			}
		})
	}
	if resp := send(t, g, orders("DELETE /v1/orders", "")); resp.Header.Get("Allow") != "GET, POST" {
		t.Errorf("Allow: %q", resp.Header.Get("Allow"))
	}
}

func TestABodyOfJSONInGzipIsJudgedAsDocumented(t *testing.T) {
	g := gatetest.Run(t, site("openapi testdata/orders.yaml"))
	headers := append([]string{"Content-Encoding: gzip"}, post...)
	if resp := send(t, g, orders("POST /v1/orders", gzipped(t, `{"item":"x","count":1}`), headers...)); resp.Status != 200 {
		t.Errorf("got %d %s", resp.Status, resp.Body)
	}
	refusedFor(t, send(t, g, orders("POST /v1/orders", gzipped(t, `{"item":"x","count":0}`), headers...)), "validate.body_invalid")
}

func TestUndocumentedParametersPassWhereTheyAreIgnored(t *testing.T) {
	g := gatetest.Run(t, site("openapi testdata/orders.yaml\nquery page {\ntype integer\n}"))
	if resp := send(t, g, orders("GET /v1/orders?x=1&page=1", "")); resp.Status != 200 {
		t.Errorf("got %d %s", resp.Status, resp.Body)
	}
	refusedFor(t, send(t, g, orders("GET /v1/orders?x=1&page=a", "")), "validate.query_type")
}

func TestADocumentThatCannotBeUsedIsRefusedWithItsLine(t *testing.T) {
	const head = "openapi: 3.0.3\ninfo:\n  title: x\n  version: '1'\npaths:\n  /a:\n    get:\n"
	const responses = "      responses:\n        '200':\n          description: ok\n"
	g := gatetest.Run(t, site("methods GET"))
	tests := []struct{ name, document, want string }{
		{"not YAML", "openapi: 3.0.3\n\tinfo: x\n", "api.yaml:2: "},
		{"not a document", "hello: world\n", "openapi"},
		{"another version", strings.Replace(head, "3.0.3", "'2.0'", 1) + responses, "not 3.0 or 3.1"},
		{"no responses", head + "      summary: x\n", "api.yaml:7: "},
		{"a reference that leads nowhere", head + "      parameters:\n        - $ref: '#/components/parameters/x'\n" + responses, "x"},
		{"a reference to the network", head + "      parameters:\n        - $ref: 'http://127.0.0.1:1/x.yaml#/x'\n" + responses, "disallowed external reference"},
		{"a reference to a file", head + "      parameters:\n        - $ref: '/etc/passwd'\n" + responses, "disallowed external reference"},
		{"a pattern that is not RE2", head + "      parameters:\n        - name: q\n          in: query\n          schema:\n            type: string\n            pattern: '(?=x)'\n" + responses, "api.yaml:13: pattern"},
		{"a parameter that is an object", head + "      parameters:\n        - name: q\n          in: query\n          schema:\n            type: object\n" + responses, "api.yaml:9: the parameter q is an object"},
		{"a style that is not supported", head + "      parameters:\n        - name: q\n          in: query\n          style: deepObject\n          schema:\n            type: object\n" + responses, "not supported"},
		{"two parameters in a segment", strings.Replace(head, "/a:", "/{x}-{y}:\n    parameters:\n      - {name: x, in: path, required: true, schema: {type: string}}\n      - {name: y, in: path, required: true, schema: {type: string}}", 1) + responses, "more than one parameter"},
		{"servers with variables", "servers:\n  - url: https://x/{v}\n    variables:\n      v:\n        default: a\n" + head + responses, "variables"},
		{"paths that are the same", head + responses + "  /{x}:\n    get:\n      parameters:\n        - {name: x, in: path, required: true, schema: {type: string}}\n" + responses + "  /{y}:\n    get:\n      parameters:\n        - {name: y, in: path, required: true, schema: {type: string}}\n" + responses, "api.yaml"},
		{"a schema without an end", head + "      requestBody:\n        content:\n          application/json:\n            schema:\n              $ref: '#/components/schemas/A'\n" + responses + "components:\n  schemas:\n    A:\n      allOf:\n        - $ref: '#/components/schemas/A'\n", "api.yaml"},
		{"a keyword that cannot be checked", strings.Replace(head, "3.0.3", "3.1.0", 1) + "      requestBody:\n        content:\n          application/json:\n            schema:\n              unevaluatedProperties: false\n" + responses, "unevaluatedProperties cannot be checked"},
		{"a media type twice, told apart by parameters", head + "      requestBody:\n        content:\n          application/json:\n            schema: {type: integer}\n          application/JSON; v=2:\n            schema: {type: string}\n" + responses, "api.yaml:8: "},
		{"a name twice in JSON", `{"openapi":"3.0.3","info":{"title":"x","version":"1"},` + "\n" + `"paths":{},"paths":{}}`, "api.yaml:2: "},
		{"a name twice in YAML", head + responses + "info:\n  title: y\n", "api.yaml:11: "},
		{"nothing to call", strings.Replace(head, "  /a:\n    get:\n", "  {}\n", 1), "no operation"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "api.yaml")
			if err := os.WriteFile(file, []byte(tt.document), 0o600); err != nil {
				t.Fatal(err)
			}
			err := g.Reload(t, site("openapi "+file))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}
