package redact

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	dto "github.com/prometheus/client_model/go"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

const (
	visa   = "4111111111111111"
	client = "X-Forwarded-For"
	from   = "192.0.2.1"
)

const rules = `
	redact {
		response {
			drop keys password secret
			mask keys api_key
			mask detect card {
				keep_last 4
			}
			replace detect email jwt cloud_keys "[removed]"
		}
	}`

func run(t *testing.T, directives string) *gatetest.Gate {
	t.Helper()
	return gatetest.Run(t, "{$ADDR} {\n"+directives+"\n\treverse_proxy {$BACKEND}\n}\n")
}

// answer makes a backend that answers with a body and header fields, given as
// name, value, …
func answer(body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		if status := w.Header().Get("Test-Status"); status != "" {
			w.Header().Del("Test-Status")
			code, _ := strconv.Atoi(status)
			w.WriteHeader(code)
		}
		_, _ = io.WriteString(w, body)
	}
}

const jsonType = "application/json"

func compress(t testing.TB, body string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBodiesAreRedacted(t *testing.T) {
	g := run(t, rules)
	const in = `{"id":1,"password":"hunter2","card":"` + visa + `","mail":"alice@example.com","apiKey":"k"}`
	const out = `{"id":1,"card":"********1111","mail":"[removed]","apiKey":"********"}`
	large := strings.Repeat(`{"secret":"s","a":"`+visa+`"}`+"\n", 20_000)
	largeOut := strings.Repeat(`{"a":"********1111"}`+"\n", 20_000)
	for _, test := range []struct {
		name    string
		backend http.HandlerFunc
		want    string
		length  bool // a Content-Length is due
	}{
		{"JSON", answer(in, "Content-Type", jsonType), out, true},
		{"JSON with parameters and another type", answer(in, "Content-Type", "Application/Problem+JSON ; charset=UTF-8"), out, true},
		{"JSON that says it is text", answer(in, "Content-Type", "text/plain"), out, true},
		{"JSON without a type", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, in)
		}, out, true},
		{"an error of the backend", answer(in, "Content-Type", jsonType, "Test-Status", "500"), out, true},
		{"text", answer("call alice@example.com", "Content-Type", "text/plain"), "call [removed]", true},
		{"HTML", answer("<p>"+visa+"</p>", "Content-Type", "text/html; charset=iso-8859-1"), "<p>********1111</p>", true},
		{"SVG", answer("<svg>"+visa+"</svg>", "Content-Type", "image/svg+xml"), "<svg>********1111</svg>", true},
		{"an image passes as it is", answer("\x89PNG "+visa, "Content-Type", "image/png"), "\x89PNG " + visa, true},
		{"JSON that says it is an image", answer(" \r\n"+in, "Content-Type", "image/png"), " \r\n" + out, true},
		{"compressed JSON that says it is a font", answer(compress(t, in), "Content-Type", "font/woff", "Content-Encoding", "gzip"), out, true},
		{"a script around JSON", answer("f("+in+")", "Content-Type", "text/javascript"),
			`f({"id":1,"password":"********","card":"********1111","mail":"[removed]","apiKey":"********"})`, true},
		{"much JSON", answer(large, "Content-Type", "application/x-ndjson"), largeOut, false},
		{"an empty body", answer("", "Content-Type", "application/octet-stream", "Content-Length", "0"), "", true},
		{"compressed JSON", answer(compress(t, in), "Content-Type", jsonType, "Content-Encoding", "gzip"), out, true},
		{"compressed under its old name", answer(compress(t, in), "Content-Type", jsonType, "Content-Encoding", "X-GZIP"), out, true},
		{"compressed twice", answer(compress(t, compress(t, in)), "Content-Type", jsonType, "Content-Encoding", "gzip, gzip"), out, true},
		{"compressed twice, in two fields", answer(compress(t, compress(t, in)), "Content-Type", jsonType,
			"Content-Encoding", "gzip", "Content-Encoding", "identity,gzip"), out, true},
		{"much compressed JSON", answer(compress(t, large), "Content-Type", "application/jsonl", "Content-Encoding", "gzip"), largeOut, false},
		{"a large flushed body", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", jsonType)
			for i := 0; i < len(in); i += 7 {
				_, _ = io.WriteString(w, in[i:min(i+7, len(in))])
				w.(http.Flusher).Flush()
			}
		}, out, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			g.Backend(test.backend)
			resp := g.Do(t, "GET", "/", client, from, "Accept-Encoding", "gzip")
			if resp.Body != test.want {
				t.Errorf("body %.200q, want %.200q", resp.Body, test.want)
			}
			length := resp.Header.Get("Content-Length")
			if test.length && length != strconv.Itoa(len(test.want)) {
				t.Errorf("Content-Length %q for %d bytes", length, len(test.want))
			}
			if e := resp.Header.Get("Content-Encoding"); e != "" {
				t.Errorf("Content-Encoding %q on a body that has none", e)
			}
			for name := range resp.Header {
				if name == "Last-Modified" || name == "Accept-Ranges" {
					t.Errorf("%s was left", name)
				}
			}
		})
	}
}

func TestWhatCannotBeInspectedIsRefused(t *testing.T) {
	g := run(t, rules)
	const in = `{"password":"hunter2"}`
	bomb := compress(t, strings.Repeat("0", 4<<20))
	for _, test := range []struct {
		name, body, reason string
		header             []string
	}{
		{"an unknown coding", in, "redact.coding", []string{"Content-Type", jsonType, "Content-Encoding", "br"}},
		{"an unknown coding inside a known one", in, "redact.coding", []string{"Content-Type", jsonType, "Content-Encoding", "zstd, gzip"}},
		{"too many codings", in, "redact.coding", []string{"Content-Type", jsonType, "Content-Encoding", "gzip, gzip, gzip"}},
		{"what is not gzip", in, "redact.coding", []string{"Content-Type", jsonType, "Content-Encoding", "gzip"}},
		{"gzip that ends early", compress(t, in)[:20], "redact.coding", []string{"Content-Type", jsonType, "Content-Encoding", "gzip"}},
		{"bytes behind gzip", compress(t, in) + in, "redact.coding", []string{"Content-Type", jsonType, "Content-Encoding", "gzip"}},
		{"UTF-16 by its name", in, "redact.charset", []string{"Content-Type", "application/json; charset=utf-16"}},
		{"UTF-16 by its bytes", "\xff\xfe{\x00}\x00", "redact.charset", []string{"Content-Type", jsonType}},
		{"a charset with other meanings of ASCII's bytes", in, "redact.charset", []string{"Content-Type", "text/html; charset=Shift_JIS"}},
		{"MessagePack", in, "redact.type", []string{"Content-Type", "application/msgpack"}},
		{"CBOR", in, "redact.type", []string{"Content-Type", "application/vnd.api+cbor"}},
		{"gRPC", in, "redact.type", []string{"Content-Type", "application/grpc"}},
		{"XML, in which members are not found", "<password>hunter2</password>", "redact.type", []string{"Content-Type", "application/xml"}},
		{"YAML", "password: hunter2", "redact.type", []string{"Content-Type", "application/vnd.api+yaml"}},
		{"CSV", "password\nhunter2", "redact.type", []string{"Content-Type", "text/csv; charset=utf-8"}},
		{"a form", "password=hunter2", "redact.type", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"an image in an unknown coding", in, "redact.coding", []string{"Content-Type", "image/png", "Content-Encoding", "br"}},
		{"an image that is not gzip", in, "redact.coding", []string{"Content-Type", "image/png", "Content-Encoding", "gzip"}},
		{"a part under another status", in, "redact.partial", []string{"Content-Type", jsonType, "Content-Range", "bytes 0-1/9"}},
		{"a difference", in, "redact.partial", []string{"Content-Type", jsonType, "Test-Status", "226"}},
		{"a download", in, "redact.type", []string{"Content-Type", "application/octet-stream"}},
		{"parts", in, "redact.type", []string{"Content-Type", "multipart/mixed; boundary=x"}},
		{"a type that is none", in, "redact.type", []string{"Content-Type", "json"}},
		{"two types", in, "redact.type", []string{"Content-Type", "image/png", "Content-Type", jsonType}},
		{"a part that nobody asked for", in, "redact.partial", []string{"Content-Type", jsonType, "Test-Status", "206", "Content-Range", "bytes 0-1/9"}},
		{"JSON that is none", "{'password':'hunter2'}", "redact.not_json", []string{"Content-Type", jsonType}},
		{"JSON that is nested too deeply", strings.Repeat("[", 600), "redact.limit", []string{"Content-Type", jsonType}},
		{"a name that is too long", `{"` + strings.Repeat("_", 20_000) + `password":1}`, "redact.limit", []string{"Content-Type", jsonType}},
	} {
		t.Run(test.name, func(t *testing.T) {
			decisions(t, "deny", test.reason)
			g.Backend(answer(test.body, append(test.header, "Set-Cookie", "sid=hunter2", "Etag", `"x"`)...))
			resp := g.Do(t, "GET", "/", client, from, "Accept-Encoding", "gzip")
			wantRefused(t, resp)
			if n := decisions(t, "deny", test.reason); n != 1 {
				t.Errorf("%v refusals for %s", n, test.reason)
			}
		})
	}
	t.Run("a bomb ends the response", func(t *testing.T) {
		g.Backend(answer(bomb, "Content-Type", "text/plain", "Content-Encoding", "gzip"))
		raw := g.Raw(t, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
		if len(raw) > 3<<20 || ended(raw) {
			t.Errorf("%d bytes, ended %v", len(raw), ended(raw))
		}
	})
}

// wantRefused checks for a problem document that shows nothing of the response.
func wantRefused(t *testing.T, resp *gatetest.Response) {
	t.Helper()
	if resp.Status != 502 || !strings.Contains(resp.Body, `"title":"The response cannot be checked."`) {
		t.Errorf("%d %.200s", resp.Status, resp.Body)
	}
	if strings.Contains(fmt.Sprint(resp.Header, resp.Body), "hunter2") {
		t.Errorf("something of the response came through: %v", resp.Header)
	}
	for name, want := range map[string]string{"Content-Type": "application/problem+json", "Etag": "", "Content-Encoding": "", "Set-Cookie": ""} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// ended reports whether a chunked response is complete.
func ended(raw string) bool { return strings.HasSuffix(raw, "\r\n0\r\n\r\n") }

var seen = map[string]float64{}

// decisions returns how often redact decided so since the last call.
func decisions(t *testing.T, verdict, reason string) float64 {
	t.Helper()
	total := 0.0
	for _, m := range gather(t, "sallyport_decisions_total") {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		if labels["guard"] == "redact" && labels["verdict"] == verdict && labels["reason"] == reason {
			total += m.GetCounter().GetValue()
		}
	}
	key := verdict + reason
	n := total - seen[key]
	seen[key] = total
	return n
}

func found(t *testing.T, mode, selector string) float64 {
	t.Helper()
	total := 0.0
	for _, m := range gather(t, "sallyport_redact_matches_total") {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		if labels["mode"] == mode && labels["selector"] == selector {
			total += m.GetCounter().GetValue()
		}
	}
	key := "found" + mode + selector
	n := total - seen[key]
	seen[key] = total
	return n
}

func gather(t *testing.T, name string) []*dto.Metric {
	t.Helper()
	active := caddy.ActiveContext()
	families, err := active.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()
		}
	}
	return nil
}

func TestXMLIsTextWhereNoRuleIsAboutMembers(t *testing.T) {
	g := run(t, "redact {\nresponse {\nmask detect card\n}\n}")
	g.Backend(answer("<a>"+visa+"</a>", "Content-Type", "application/atom+xml"))
	if resp := g.Do(t, "GET", "/", client, from); resp.Body != "<a>********</a>" {
		t.Errorf("%d %s", resp.Status, resp.Body)
	}
	g.Backend(answer("\x00asm"+visa, "Content-Type", "application/wasm"))
	if resp := g.Do(t, "GET", "/", client, from); resp.Body != "\x00asm"+visa {
		t.Errorf("%d %q", resp.Status, resp.Body)
	}
}

// What GET is refused is not shown by HEAD.
func TestHEADIsRefusedAsGETIs(t *testing.T) {
	g := run(t, rules)
	g.Backend(answer("x", "Content-Type", "application/octet-stream", "X-Private", "hunter2", "Content-Length", "1"))
	if resp := g.Do(t, "HEAD", "/", client, from); resp.Status != 502 || resp.Header.Get("X-Private") != "" {
		t.Errorf("%d %v", resp.Status, resp.Header)
	}
}

func TestMatchesAreCounted(t *testing.T) {
	g := run(t, rules)
	g.Backend(answer(`{"password":1,"b":{"password":2},"a":["`+visa+`","`+visa+`"]}`, "Content-Type", jsonType))
	for _, selector := range []string{"keys:password", "detect:card", "keys:secret"} {
		found(t, "enforce", selector)
	}
	decisions(t, "allow", "")
	g.Do(t, "GET", "/", client, from)
	for selector, want := range map[string]float64{"keys:password": 2, "detect:card": 2, "keys:secret": 0} {
		if n := found(t, "enforce", selector); n != want {
			t.Errorf("%s: %v, want %v", selector, n, want)
		}
	}
	if n := decisions(t, "allow", ""); n != 1 {
		t.Errorf("%v responses passed", n)
	}
}

// stamped is a tag as a client got it.
func stamped(t *testing.T, g *gatetest.Gate) string {
	t.Helper()
	tag := g.Do(t, "GET", "/", client, from).Header.Get("Etag")
	if !strings.HasPrefix(tag, `"v1-r`) || len(tag) != len(`"v1-r12345678"`) {
		t.Fatalf("Etag %s", tag)
	}
	return tag
}

func TestValidatorsBelongToThePolicy(t *testing.T) {
	g := run(t, rules)
	var asked http.Header
	backend := func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Clone()
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Last-Modified", "Mon, 02 Mar 2026 10:00:00 GMT")
		w.Header().Set("Content-Type", jsonType)
		http.ServeContent(w, r, "", zeroTime, strings.NewReader(`{"password":"hunter2","a":1}`))
	}
	g.Backend(backend)
	tag := stamped(t, g)

	t.Run("a tag of the policy is confirmed", func(t *testing.T) {
		resp := g.Do(t, "GET", "/", client, from, "If-None-Match", `"zzz", `+tag)
		if resp.Status != 304 || resp.Header.Get("Etag") != tag || asked.Get("If-None-Match") != `"v1"` {
			t.Errorf("%d %v, the backend was asked for %q", resp.Status, resp.Header, asked["If-None-Match"])
		}
		if resp.Header.Get("Last-Modified") != "" {
			t.Error("Last-Modified was left")
		}
	})
	for name, field := range map[string]string{
		"a tag from in front of the policy is not":  `"v1"`,
		"a tag of another policy is not":            `"v1-r00000000"`,
		"a weak tag from in front is not":           `W/"v1"`,
		"any copy is not":                           `*`,
		"a list that is no list is not":             `v1, "`,
		"a tag of the policy inside another is not": `"` + strings.Trim(tag, `"`) + `x"`,
	} {
		t.Run(name, func(t *testing.T) {
			resp := g.Do(t, "GET", "/", client, from, "If-None-Match", field)
			if resp.Status != 200 || resp.Body != `{"a":1}` || asked.Get("If-None-Match") != "" {
				t.Errorf("%d %s, the backend was asked for %q", resp.Status, resp.Body, asked["If-None-Match"])
			}
		})
	}
	t.Run("a date confirms nothing", func(t *testing.T) {
		resp := g.Do(t, "GET", "/", client, from, "If-Modified-Since", "Mon, 02 Mar 2026 10:00:00 GMT", "If-Unmodified-Since", "Mon, 02 Mar 2026 10:00:00 GMT")
		if resp.Status != 200 || asked.Get("If-Modified-Since") != "" || asked.Get("If-Unmodified-Since") != "" {
			t.Errorf("%d, the backend was asked %v", resp.Status, asked)
		}
	})
	t.Run("a range is not asked for", func(t *testing.T) {
		resp := g.Do(t, "GET", "/", client, from, "Range", "bytes=0-15", "If-Range", `"v1"`)
		if resp.Status != 200 || resp.Body != `{"a":1}` || asked.Get("Range") != "" || asked.Get("If-Range") != "" {
			t.Errorf("%d %s, the backend was asked %v", resp.Status, resp.Body, asked)
		}
		if resp.Header.Get("Accept-Ranges") != "" {
			t.Error("Accept-Ranges was left")
		}
	})
	t.Run("HEAD has the tag and no length of the other body", func(t *testing.T) {
		resp := g.Do(t, "HEAD", "/", client, from)
		if resp.Status != 200 || resp.Header.Get("Etag") != tag || resp.Header.Get("Content-Length") != "" {
			t.Errorf("%d %v", resp.Status, resp.Header)
		}
	})
	t.Run("HEAD of a compressed body says what GET says", func(t *testing.T) {
		g.Backend(answer("", "Content-Type", jsonType, "Content-Encoding", "gzip", "Content-Length", "99"))
		defer g.Backend(backend)
		resp := g.Do(t, "HEAD", "/", client, from)
		if resp.Status != 200 || resp.Header.Get("Content-Length") != "" || resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%d %v", resp.Status, resp.Header)
		}
	})
	t.Run("HEAD of an image keeps its length", func(t *testing.T) {
		g.Backend(answer("", "Content-Type", "image/png", "Content-Length", "99"))
		defer g.Backend(backend)
		if resp := g.Do(t, "HEAD", "/", client, from); resp.Header.Get("Content-Length") != "99" {
			t.Errorf("%v", resp.Header)
		}
	})
	t.Run("a weak tag stays weak", func(t *testing.T) {
		g.Backend(answer("{}", "Content-Type", jsonType, "Etag", `W/"v1"`))
		defer g.Backend(backend)
		if resp := g.Do(t, "GET", "/", client, from); resp.Header.Get("Etag") != "W/"+tag {
			t.Errorf("Etag %s", resp.Header.Get("Etag"))
		}
	})
	t.Run("a tag that is none is removed", func(t *testing.T) {
		g.Backend(answer("{}", "Content-Type", jsonType, "Etag", `v1`))
		defer g.Backend(backend)
		if resp := g.Do(t, "GET", "/", client, from); resp.Header.Get("Etag") != "" {
			t.Errorf("Etag %s", resp.Header.Get("Etag"))
		}
	})
	t.Run("other rules, other tags", func(t *testing.T) {
		if err := g.Reload(t, "{$ADDR} {\nredact {\nresponse {\ndrop keys other\n}\n}\nreverse_proxy {$BACKEND}\n}\n"); err != nil {
			t.Fatal(err)
		}
		resp := g.Do(t, "GET", "/", client, from, "If-None-Match", tag)
		if resp.Status != 200 || resp.Header.Get("Etag") == tag {
			t.Errorf("%d %v", resp.Status, resp.Header)
		}
	})
}

func TestRequestsThatChangeSomethingStayConditional(t *testing.T) {
	g := run(t, rules)
	var asked http.Header
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Clone()
		w.Header().Set("Etag", `"v1"`)
		_, _ = io.WriteString(w, "{}")
	})
	tag := stamped(t, g)
	for _, test := range []struct{ name, field, value, want string }{
		{"If-Match with a tag of the policy", "If-Match", tag + `, "v0"`, `"v1"`},
		{"If-Match with no such tag fails", "If-Match", `"v1"`, neverMatches},
		{"If-Match that is no list fails", "If-Match", `v1`, neverMatches},
		{"If-Match with any", "If-Match", `*`, `*`},
		{"If-None-Match with any", "If-None-Match", `*`, `*`},
		{"If-None-Match with a tag of the policy", "If-None-Match", tag, `"v1"`},
		{"If-None-Match with another tag", "If-None-Match", `"v0"`, `"v0"`},
		{"If-Unmodified-Since", "If-Unmodified-Since", "Mon, 02 Mar 2026 10:00:00 GMT", "Mon, 02 Mar 2026 10:00:00 GMT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g.Do(t, "PUT", "/", client, from, test.field, test.value)
			if got := strings.Join(asked[test.field], "|"); got != test.want {
				t.Errorf("the backend was asked %q, want %q", got, test.want)
			}
		})
	}
}

func TestTheBackendIsAskedOnlyForWhatCanBeDecoded(t *testing.T) {
	g := run(t, rules)
	var asked []string
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header["Accept-Encoding"]
		_, _ = io.WriteString(w, "{}")
	})
	for _, test := range []struct{ accept, want string }{
		{"gzip, deflate, br, zstd", "gzip"}, {"br", "identity"}, {"br;q=1, gzip;q=0", "identity"}, {"*", "gzip"},
		{"gzip;q=0.000, *", "identity"}, {"X-Gzip; Q=0.5", "gzip"}, {"*;q=0", "identity"}, {"", "identity"},
	} {
		g.Do(t, "GET", "/", client, from, "Accept-Encoding", test.accept)
		if strings.Join(asked, "|") != test.want {
			t.Errorf("%q became %q, want %q", test.accept, asked, test.want)
		}
	}
}

func TestDigestsOfTheOtherBodyAreRemoved(t *testing.T) {
	g := run(t, rules)
	fields := []string{"Digest", "Content-Digest", "Repr-Digest", "Content-MD5", "Signature", "Signature-Input"}
	header := []string{"Content-Type", jsonType, "X-Kept", "1"}
	for _, name := range fields {
		header = append(header, name, "x")
	}
	g.Backend(answer(`{"password":1}`, header...))
	resp := g.Do(t, "GET", "/", client, from)
	for _, name := range fields {
		if resp.Header.Get(name) != "" {
			t.Errorf("%s was left", name)
		}
	}
	if resp.Header.Get("X-Kept") != "1" {
		t.Error("X-Kept went too")
	}
}

func TestResponsesWithoutABody(t *testing.T) {
	g := run(t, rules)
	for _, status := range []string{"204", "304"} {
		g.Backend(answer("", "Test-Status", status, "Etag", `"v1"`))
		resp := g.Do(t, "GET", "/", client, from)
		if strconv.Itoa(resp.Status) != status || resp.Body != "" || !strings.Contains(resp.Header.Get("Etag"), "-r") {
			t.Errorf("%s became %d %v", status, resp.Status, resp.Header)
		}
	}
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Content-Type", jsonType)
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"password":1}`)
	})
	raw := g.Raw(t, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(raw, "HTTP/1.1 103 ") || !strings.Contains(raw, "HTTP/1.1 404 ") || !strings.HasSuffix(raw, "\r\n\r\n{}") {
		t.Errorf("early hints: %q", raw)
	}
}

func TestTrailersAreDropped(t *testing.T) {
	g := run(t, rules)
	for _, size := range []int{0, 1, 2000, 30_000} {
		for _, announced := range []bool{true, false} {
			g.Backend(func(w http.ResponseWriter, _ *http.Request) {
				if announced {
					w.Header().Set("Trailer", "X-Secret")
				}
				w.Header().Set("Content-Type", "application/json")
				if size > 0 {
					_, _ = io.WriteString(w, `["`+strings.Repeat("x", size)+`"]`)
				}
				if announced {
					w.Header().Set("X-Secret", "hunter2")
				} else {
					w.(http.Flusher).Flush()
					w.Header().Set(http.TrailerPrefix+"X-Secret", "hunter2")
				}
			})
			raw := g.Raw(t, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\nTE: trailers\r\nConnection: close\r\n\r\n")
			if strings.Contains(raw, "hunter2") || strings.Contains(raw, "X-Secret") || !strings.Contains(raw, strings.Repeat("x", size)) {
				t.Errorf("size %d, announced %v: %.300q … %q", size, announced, raw, raw[max(0, len(raw)-100):])
			}
		}
	}
}

// An event stream has to arrive event by event, and JSON value by value.
func TestStreamsArriveAtSafePoints(t *testing.T) {
	for _, test := range []struct {
		name, media string
		parts, want []string
	}{
		{"events", "text/event-stream",
			[]string{"data: {\"password\":1,\"a\":\"" + visa + "\"}\n\n", ": ping\n\n", "data: bye alice@example.com\n\n"},
			[]string{"data: {\"a\":\"********1111\"}\n\n", ": ping\n\n", "data: bye [removed]\n\n"}},
		{"JSON", jsonType,
			[]string{"{\"items\":[{\"password\":1}", ",{\"a\":\"" + visa + "\"}", "]}\n"},
			[]string{"{\"items\":[{}", ",{\"a\":\"********1111\"}", "]}\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := run(t, rules)
			next := make(chan string)
			g.Backend(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", test.media)
				w.(http.Flusher).Flush()
				for part := range next {
					_, _ = io.WriteString(w, part)
					w.(http.Flusher).Flush()
				}
			})
			if test.media == jsonType {
				go func() { next <- test.parts[0] }() // the header waits for the body
			}
			resp := get(t, g.URL)
			defer resp.Body.Close()
			for i, part := range test.parts {
				if i > 0 || test.media != jsonType {
					next <- part
				}
				got := make([]byte, len(test.want[i]))
				if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != test.want[i] {
					t.Fatalf("part %d: %q, %v", i, got, err)
				}
			}
			close(next)
			if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
				t.Errorf("at the end %q, %v", rest, err)
			}
		})
	}
}

// The header of an event stream goes out in front of the first event, and says
// what will be true of the events.
func TestACompressedEventStreamArrivesDecoded(t *testing.T) {
	g := run(t, rules)
	next := make(chan string)
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Content-Encoding", "gzip")
		w.(http.Flusher).Flush()
		z := gzip.NewWriter(w)
		for part := range next {
			_, _ = io.WriteString(z, part)
			_ = z.Flush()
			w.(http.Flusher).Flush()
		}
		_ = z.Close()
	})
	resp := get(t, g.URL, "Accept-Encoding", "gzip")
	defer resp.Body.Close()
	if e := resp.Header.Get("Content-Encoding"); e != "" {
		t.Errorf("Content-Encoding %q", e)
	}
	for range 2 {
		next <- "data: {\"password\":1}\n\n"
		got := make([]byte, len("data: {}\n\n"))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != "data: {}\n\n" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	close(next)
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("at the end %q, %v", rest, err)
	}
}

// Whatever asks for it: no status and no connection goes past the writer.
func TestTheWriterHandsNothingOver(t *testing.T) {
	for name, try := range map[string]func(w *writer){
		"by its status": func(w *writer) { w.WriteHeader(http.StatusSwitchingProtocols) },
		"by hijacking":  func(w *writer) { _, _, _ = http.NewResponseController(w).Hijack() },
	} {
		rec := httptest.NewRecorder()
		w := newWriter(&Handler{}, rec, httptest.NewRequest("GET", "/", nil))
		try(w)
		if w.reason != reasonUpgrade || rec.Code != 200 || rec.Flushed {
			t.Errorf("%s: %v, %d", name, w.reason, rec.Code)
		}
	}
	if _, ok := any(&writer{}).(interface{ Unwrap() http.ResponseWriter }); ok {
		t.Error("the writer shows what it wraps")
	}
	if _, ok := any(&writer{}).(io.ReaderFrom); ok {
		t.Error("the writer is read into past Write")
	}
}

func get(t *testing.T, url string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	r.Header.Set(client, from)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

const rawGet = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n"

// brokenLater is JSON until after the header has been sent.
func brokenLater(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	_, _ = io.WriteString(w, `{"a":1,"rows":["`+strings.Repeat("x", 50_000)+`"]`)
	w.(http.Flusher).Flush()
	_, _ = io.WriteString(w, `,} {'password':'hunter2'}`+strings.Repeat(" ", 100_000))
}

func TestAResponseThatGoesWrongLater(t *testing.T) {
	t.Run("is aborted", func(t *testing.T) {
		g := run(t, rules)
		g.Backend(brokenLater)
		raw := g.Raw(t, rawGet)
		if ended(raw) || strings.Contains(raw, "hunter2") || !strings.HasPrefix(raw, "HTTP/1.1 200 ") {
			t.Errorf("%.200q … %q", raw, raw[max(0, len(raw)-100):])
		}
		if n := decisions(t, "deny", "redact.not_json"); n < 1 {
			t.Error("was not counted")
		}
	})
	t.Run("is ended by truncate", func(t *testing.T) {
		g := run(t, strings.Replace(rules, "redact {", "redact {\non_error truncate", 1))
		g.Backend(brokenLater)
		raw := g.Raw(t, rawGet)
		if !ended(raw) || strings.Contains(raw, "hunter2") || strings.Contains(raw, "problem") {
			t.Errorf("%.200q … %q", raw, raw[max(0, len(raw)-100):])
		}
	})
	t.Run("is refused by truncate too if nothing was sent", func(t *testing.T) {
		g := run(t, strings.Replace(rules, "redact {", "redact {\non_error truncate", 1))
		g.Backend(answer("{'password':'hunter2'}", "Content-Type", jsonType))
		wantRefused(t, g.Do(t, "GET", "/", client, from))
	})
	t.Run("the backend goes away: the client sees that, and nothing that was held", func(t *testing.T) {
		g := run(t, rules)
		g.Backend(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", jsonType)
			_, _ = io.WriteString(w, `["`+strings.Repeat("x", 50_000)+" "+visa[:15])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		raw := g.Raw(t, rawGet)
		if ended(raw) || strings.Contains(raw, visa[:12]) || !strings.Contains(raw, "xxxx") {
			t.Errorf("%.200q … %q", raw, raw[max(0, len(raw)-100):])
		}
	})
	t.Run("the backend is not there", func(t *testing.T) {
		g := gatetest.Run(t, "{$ADDR} {\n"+rules+"\n\treverse_proxy 127.0.0.1:1\n}\n")
		if resp := g.Do(t, "GET", "/", client, from); resp.Status != 502 || strings.Contains(resp.Body, "cannot be checked") {
			t.Errorf("%d %s", resp.Status, resp.Body)
		}
	})
}

func TestProtocolsThatCannotBeReadAreRefused(t *testing.T) {
	g := run(t, rules)
	asked := false
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		asked = true
		if r.Header.Get("Upgrade") != "" {
			t.Errorf("the backend was asked to upgrade to %q", r.Header["Upgrade"])
		}
		_, _ = io.WriteString(w, `{"password":1}`)
	})
	resp := g.Do(t, "GET", "/", client, from, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "x")
	wantRefused(t, resp)
	if asked {
		t.Error("the backend was asked")
	}
	resp = g.Do(t, "GET", "/", client, from, "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAAQAAP__")
	if resp.Status != 200 || resp.Body != "{}" {
		t.Errorf("an offer of h2c: %d %s", resp.Status, resp.Body)
	}
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhunter2")
	})
	if raw := g.Raw(t, rawGet); strings.Contains(raw, "hunter2") || strings.Contains(raw, " 101 ") {
		t.Errorf("a switch that nobody asked for: %q", raw)
	}
}

func TestOtherHandlersAreRedactedToo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.json"), []byte(`{"password":"hunter2","a":"`+visa+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("files, which are copied without Write where possible", func(t *testing.T) {
		g := gatetest.Run(t, "{$ADDR} {\n"+rules+"\n\troot "+dir+"\n\tfile_server\n}\n")
		for _, header := range [][]string{{client, from}, {client, from, "Range", "bytes=0-20"}} {
			resp := g.Do(t, "GET", "/a.json", header...)
			if resp.Status != 200 || resp.Body != `{"a":"********1111"}` || resp.Header.Get("Last-Modified") != "" {
				t.Errorf("%d %s %v", resp.Status, resp.Body, resp.Header)
			}
		}
	})
	t.Run("respond", func(t *testing.T) {
		g := gatetest.Run(t, "{$ADDR} {\n"+rules+"\n\trespond `{\"password\":\"hunter2\"}`\n}\n")
		if resp := g.Do(t, "GET", "/", client, from); resp.Body != "{}" {
			t.Errorf("%s", resp.Body)
		}
	})
	t.Run("encode compresses what was redacted", func(t *testing.T) {
		g := gatetest.Run(t, "{$ADDR} {\nencode gzip\n"+rules+"\n\treverse_proxy {$BACKEND}\n}\n")
		body := `{"password":"hunter2","a":"` + strings.Repeat("x", 2000) + `"}`
		g.Backend(answer(compress(t, body), "Content-Type", jsonType, "Content-Encoding", "gzip", "Etag", `"v1"`))
		resp := g.Do(t, "GET", "/", client, from, "Accept-Encoding", "gzip, br")
		z, err := gzip.NewReader(strings.NewReader(resp.Body))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil || string(plain) != `{"a":"`+strings.Repeat("x", 2000)+`"}` || resp.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%.100s %v %v", plain, err, resp.Header)
		}
		tag := resp.Header.Get("Etag")
		if !strings.HasSuffix(tag, `-gzip"`) {
			t.Errorf("Etag %s", tag)
		}
		g.Backend(func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("If-None-Match"); got != `"v1"` {
				t.Errorf("the backend was asked for %q", got)
			}
			w.Header().Set("Etag", `"v1"`)
			w.WriteHeader(304)
		})
		if resp := g.Do(t, "GET", "/", client, from, "Accept-Encoding", "gzip", "If-None-Match", tag); resp.Status != 304 {
			t.Errorf("%d", resp.Status)
		}
	})
	t.Run("a refusal is not compressed, and keeps what was set in front", func(t *testing.T) {
		g := gatetest.Run(t, "{$ADDR} {\nheader X-Front 1\nencode gzip\n"+rules+"\n\treverse_proxy {$BACKEND}\n}\n")
		g.Backend(answer("{oops", "Content-Type", jsonType))
		resp := g.Do(t, "GET", "/", client, from, "Accept-Encoding", "gzip")
		wantRefused(t, resp)
		if resp.Header.Get("X-Front") != "1" {
			t.Errorf("%v", resp.Header)
		}
	})
	t.Run("error routes, if they have a redact", func(t *testing.T) {
		g := gatetest.Run(t, "{$ADDR} {\n"+rules+"\nerror 503\nhandle_errors {\n"+rules+"\nreverse_proxy {$BACKEND}\n}\n}\n")
		g.Backend(answer(`{"password":"hunter2"}`, "Content-Type", jsonType))
		if resp := g.Do(t, "GET", "/", client, from); resp.Body != "{}" {
			t.Errorf("%d %s", resp.Status, resp.Body)
		}
	})
	t.Run("handle_errors stays in charge", func(t *testing.T) {
		g := gatetest.Run(t, "{$ADDR} {\n"+rules+"\n\treverse_proxy {$BACKEND}\nhandle_errors {\nrespond \"own {err.status_code}\"\n}\n}\n")
		g.Backend(answer("{oops", "Content-Type", jsonType))
		if resp := g.Do(t, "GET", "/", client, from); resp.Status != 502 || resp.Body != "own 502" {
			t.Errorf("%d %s", resp.Status, resp.Body)
		}
	})
}

func TestAMatcherExempts(t *testing.T) {
	g := run(t, strings.Replace(rules, "redact {", "@api not path /files/*\n\tredact @api {", 1))
	g.Backend(answer(`{"password":1}`, "Content-Type", "application/octet-stream"))
	if resp := g.Do(t, "GET", "/files/x", client, from); resp.Body != `{"password":1}` {
		t.Errorf("%d %s", resp.Status, resp.Body)
	}
	wantRefused(t, g.Do(t, "GET", "/api", client, from))
}

func TestDryRunTouchesNothing(t *testing.T) {
	g := run(t, strings.Replace(rules, "redact {", "redact {\nmode dry_run", 1))
	var asked http.Header
	body := `{"password":"hunter2","a":"` + visa + `"}`
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Clone()
		answer(body, "Content-Type", jsonType, "Etag", `"v1"`, "Last-Modified", "Mon, 02 Mar 2026 10:00:00 GMT", "Content-Digest", "x")(w, r)
	})
	found(t, "dry_run", "keys:password")
	found(t, "dry_run", "detect:card")
	resp := g.Do(t, "GET", "/", client, from, "If-None-Match", `"v0"`, "Range", "bytes=0-1", "Accept-Encoding", "br")
	if resp.Body != body || resp.Header.Get("Etag") != `"v1"` || resp.Header.Get("Last-Modified") == "" ||
		resp.Header.Get("Content-Digest") != "x" || resp.Header.Get("Content-Length") != strconv.Itoa(len(body)) {
		t.Errorf("%s %v", resp.Body, resp.Header)
	}
	if asked.Get("If-None-Match") != `"v0"` || asked.Get("Range") != "bytes=0-1" || asked.Get("Accept-Encoding") != "br" {
		t.Errorf("the backend was asked %v", asked)
	}
	if a, b := found(t, "dry_run", "keys:password"), found(t, "dry_run", "detect:card"); a != 1 || b != 1 {
		t.Errorf("counted %v and %v", a, b)
	}
	for reason, backend := range map[string]http.HandlerFunc{
		"redact.type":     answer("x", "Content-Type", "application/zip"),
		"redact.coding":   answer("x", "Content-Type", jsonType, "Content-Encoding", "gzip"),
		"redact.not_json": answer("oops", "Content-Type", jsonType),
		"redact.partial":  answer("x", "Content-Type", "text/plain", "Test-Status", "206"),
	} {
		decisions(t, "would_deny", reason)
		g.Backend(backend)
		if resp := g.Do(t, "GET", "/", client, from, "Accept-Encoding", "gzip"); resp.Body != "x" && resp.Body != "oops" {
			t.Errorf("%s: %d %s", reason, resp.Status, resp.Body)
		}
		if n := decisions(t, "would_deny", reason); n != 1 {
			t.Errorf("%s: counted %v", reason, n)
		}
	}
	g.Backend(answer(compress(t, body), "Content-Type", jsonType, "Content-Encoding", "gzip"))
	g.Do(t, "GET", "/", client, from, "Accept-Encoding", "gzip")
	if n := found(t, "dry_run", "keys:password"); n != 1 {
		t.Errorf("in a compressed body counted %v", n)
	}
}

// A WebSocket works in dry_run: the connection is handed over.
func TestDryRunLetsProtocolsPass(t *testing.T) {
	g := run(t, strings.Replace(rules, "redact {", "redact {\nmode dry_run", 1))
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n")
	})
	decisions(t, "would_deny", "redact.upgrade")
	raw := g.Raw(t, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if !strings.Contains(raw, " 101 ") || !strings.HasSuffix(raw, "hello\n") {
		t.Errorf("%q", raw)
	}
	if n := decisions(t, "would_deny", "redact.upgrade"); n != 1 {
		t.Errorf("counted %v", n)
	}
}

// A configuration in JSON is checked as one in a Caddyfile is, all at once.
func TestJSONIsChecked(t *testing.T) {
	h := &Handler{OnError: "ignore", Response: []Rule{
		{Action: "halve", Keys: []string{"a"}},
		{Action: "hash", Path: []string{"$.h"}},
		{Action: "hash", Keys: []string{"i"}, Key: "written out, which is wrong"},
		{Action: "mask", Path: []string{"$['x']"}, Key: "{env.X}"},
		{Action: "drop", Detect: []string{"card"}},
		{Action: "drop", Keys: []string{"b"}, KeepLast: 4, Text: "x"},
		{Action: "mask", Keys: []string{"c"}, KeepLast: 33},
		{Action: "mask", Keys: []string{"C"}},
		{Action: "mask"},
		{Action: "replace", Detect: []string{"ssn"}, Text: "\xff"},
	}, Request: &Request{DropHeader: []string{"Host", "X-A", "x_a"}, DropQuery: []string{"a[b]", "t", "T"}, Block: []string{"ssn"}, MaxBody: -1}, Reveal: &Reveal{}}
	err := h.check()
	if err == nil {
		t.Fatal("it is not refused")
	}
	for _, want := range []string{`on_error "ignore"`, `unknown action "halve"`, "hash needs a key", "write a secret as", "mask takes no key", "brackets hold", `drop header "Host"`, "drop header x_a is written twice",
		`drop query "a[b]"`, "drop query T is written twice", "block: unknown detector", "max_body -1", "reveal names nobody", "drop takes the names of members", "drop keeps nothing",
		"drop takes no text", "keep_last 33", "mask keys C contradicts mask keys c", "mask selects nothing", `"ssn"`, "not valid UTF-8"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %s:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "written out, which") {
		t.Errorf("the error shows the key: %v", err)
	}
	for _, h := range []*Handler{{}, {Request: &Request{}}, {Request: &Request{DropQuery: []string{"a"}, MaxBody: 1}},
		{Request: &Request{DropQuery: []string{"a"}}, Reveal: &Reveal{Roles: []string{"a"}}}} {
		if err := h.check(); err == nil {
			t.Errorf("%+v is not refused", h)
		}
	}
}

func TestAdapt(t *testing.T) { gatetest.Adapt(t, "testdata/adapt/redact*.caddyfiletest") }

var zeroTime time.Time
