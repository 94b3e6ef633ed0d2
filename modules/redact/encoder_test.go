package redact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

func init() {
	caddy.RegisterModule(memoryWriter{})
}

const canary = "S3cr3tC4n4ry"

// memoryWriter is a log output that tests read: output redact_test.
type memoryWriter struct{}

var memory struct {
	sync.Mutex
	bytes.Buffer
	written chan struct{} // holds one token while there is something new
}

func (memoryWriter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.writers.redact_test", New: func() caddy.Module { return new(memoryWriter) }}
}

func (memoryWriter) String() string                                 { return "memory" }
func (memoryWriter) WriterKey() string                              { return "redact_test" }
func (memoryWriter) OpenWriter() (io.WriteCloser, error)            { return memoryWriter{}, nil }
func (memoryWriter) Close() error                                   { return nil }
func (*memoryWriter) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (memoryWriter) Write(p []byte) (int, error) {
	memory.Lock()
	defer memory.Unlock()
	select {
	case memory.written <- struct{}{}:
	default:
	}
	return memory.Buffer.Write(p)
}

// runLogged runs a gateway whose default log is in memory, with the given
// options of the global log option.
func runLogged(t *testing.T, log, sites string) *gatetest.Gate {
	t.Helper()
	memory.Lock()
	memory.Reset()
	memory.written = make(chan struct{}, 1)
	memory.Unlock()
	return gatetest.Run(t, strings.Replace(gatetest.Globals, "output discard", "output redact_test\n\t\tlevel DEBUG\n"+log, 1)+sites)
}

// logged waits until the log has entries with all of the given texts, and
// returns it.
func logged(t *testing.T, texts ...string) string {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		memory.Lock()
		log := memory.String()
		memory.Unlock()
		missing := ""
		for _, text := range texts {
			if !strings.Contains(log, text) {
				missing = text
			}
		}
		if missing == "" {
			return log
		}
		select {
		case <-memory.written:
		case <-timeout:
			t.Fatalf("the log has no %q:\n%s", missing, log)
		}
	}
}

func mustNotLeak(t *testing.T, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		if strings.Contains(line, canary) {
			t.Errorf("leaked: %s", line)
		}
	}
}

func mustBeJSON(t *testing.T, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

// secretRequest is the target and header lines of a request full of secrets.
var secretRequest = struct {
	target string
	header []string
}{
	"/cb/" + "?a=1&code=" + canary + "&user[token]=" + canary + "&redirect=https%3A%2F%2Fa%2F%3Fapi_key%3D" + canary,
	[]string{
		"X-Forwarded-For", "198.51.100.7",
		"Authorization", "Bearer " + canary,
		"Cookie", "session=" + canary,
		"X-Api-Key", canary,
		"X-Amzn-Oidc-Data", canary,
		"Sec-WebSocket-Protocol", "bearer." + canary,
		"Referer", "https://app.example/?Token=" + canary + "&tab=open",
		"X-Note", "password=" + canary,
		"X-Request-Id", "req-42",
	},
}

func TestAccessLogOfASiteWithoutOutput(t *testing.T) {
	g := runLogged(t, "format redact", `
{$ADDR} {
	log
	log_append <body {http.request.body}
	log_append url "https://u:`+canary+`@h/"
	header Set-Cookie "session=`+canary+`"
	header Location "/next?id_token=`+canary+`&x=1"
	respond "ok" 200
}`)
	g.Send(t, "POST", secretRequest.target, `{"password": "`+canary+`", "n": 1}`, secretRequest.header...)
	log := logged(t, "handled request")
	mustNotLeak(t, log)
	mustBeJSON(t, log)
	for _, kept := range []string{
		`"method":"POST"`, `"client_ip":"198.51.100.7"`, `"status":200`, `"duration":`, `"X-Request-Id":["req-42"]`, `"user_id":""`,
		`"uri":"/cb/?a=1&code=REDACTED&user[token]=REDACTED&redirect=https%3A%2F%2Fa%2F%3Fapi_key%3DREDACTED"`,
		`"Referer":["https://app.example/?Token=REDACTED&tab=open"]`, `"Location":["/next?id_token=REDACTED&x=1"]`,
		`"body":"{\"password\": \"REDACTED\", \"n\": 1}"`, `"url":"https://REDACTED@h/"`,
	} {
		if !strings.Contains(log, kept) {
			t.Errorf("the log lacks %s:\n%s", kept, log)
		}
	}
}

func TestLogCredentialsDoesNotDefeatIt(t *testing.T) {
	g := runLogged(t, "format redact", "{$ADDR} {\n log\n respond ok\n}")
	config := strings.Replace(gatetest.Globals, "output discard", "output redact_test\n\t\tformat redact", 1)
	config = strings.Replace(config, "servers {", "servers {\n\t\tlog_credentials", 1)
	if err := g.Reload(t, config+"{$ADDR} {\n log\n header Set-Cookie session="+canary+"\n respond ok 200\n}"); err != nil {
		t.Fatal(err)
	}
	g.Do(t, "GET", secretRequest.target, secretRequest.header...)
	log := logged(t, "handled request", `"Authorization":["REDACTED"]`, `"Cookie":["REDACTED"]`, `"Set-Cookie":["REDACTED"]`)
	mustNotLeak(t, log)
}

func TestErrorLogs(t *testing.T) {
	g := runLogged(t, "format redact", `
{$ADDR} {
	log
	handle /proxy* {
		reverse_proxy 127.0.0.1:1 {
			header_up X-Upstream-Api-Key "`+canary+`"
		}
	}
	handle /error* {
		error "no such token={query.code}" 503
	}
	handle {
		error "no such token={query.code}" 500
	}
	handle_errors 503 {
		respond "sorry"
	}
}`)
	for _, c := range []struct {
		path   string
		status int
	}{{"/proxy", 502}, {"/error", 503}, {"/other", 500}} {
		got := g.Do(t, "GET", c.path+secretRequest.target, secretRequest.header...)
		if got.Status != c.status {
			t.Errorf("%s: %d, not %d", c.path, got.Status, c.status)
		}
	}
	log := logged(t, "http.log.error", "http.log.access", "upstream roundtrip", `"status":502`, `"status":503`, "token=REDACTED")
	mustNotLeak(t, log)
	mustBeJSON(t, log)
}

func TestAdminLog(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "admin.sock")
	memory.Lock()
	memory.Reset()
	memory.written = make(chan struct{}, 1)
	memory.Unlock()
	globals := strings.Replace(gatetest.Globals, "output discard", "output redact_test\n\t\tformat redact", 1)
	gatetest.Run(t, strings.Replace(globals, "admin off", "admin unix/"+socket, 1)+"{$ADDR} {\n respond ok\n}")
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequest(http.MethodGet, "http://localhost/config/?access_token="+canary, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = ""
	r.Header.Set("X-Api-Key", canary)
	r.Header.Set("Authorization", "Bearer "+canary)
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	log := logged(t, `"logger":"admin.api"`, "access_token=REDACTED")
	mustNotLeak(t, log)
}

func TestASiteWithAnOutputOfItsOwn(t *testing.T) {
	g := runLogged(t, "format redact", `
{$ADDR} {
	log {
		output redact_test
		format redact {
			wrap console
			headers X-Request-Id
			query a
			keys uri
			detect email
		}
	}
	log_append mail "bob@example.com"
	respond ok
}`)
	g.Do(t, "GET", secretRequest.target, secretRequest.header...)
	log := logged(t, "handled request")
	mustNotLeak(t, log)
	for _, want := range []string{`"X-Request-Id": ["REDACTED"]`, `"uri": "REDACTED"`, `"mail": "REDACTED"`, `"method": "GET"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
}

func TestModulesMessages(t *testing.T) {
	runLogged(t, "format redact {\n wrap console\n }", "{$ADDR} {\n respond ok\n}")
	l := caddy.Log().Named("module")
	l.Error("dial redis://:" + canary + "@store:6379/0 failed\nAuthorization: Bearer " + canary)
	l.With(zap.String("api_key", canary)).Info("with", zap.Strings("list", []string{"token=" + canary}))
	l.Info("last")
	log := logged(t, "last")
	mustNotLeak(t, log)
	if !strings.Contains(log, "dial redis://REDACTED@store:6379/0 failed\nAuthorization: REDACTED") || !strings.Contains(log, `{"api_key": "REDACTED", "list": ["token=REDACTED"]}`) {
		t.Errorf("the console log is\n%s", log)
	}
}

func TestInsideOtherEncoders(t *testing.T) {
	for name, format := range map[string]string{
		"filter":          "format filter {\n wrap redact\n request>headers>X-Note delete\n }",
		"append":          "format append {\n wrap redact\n note \"token=" + canary + "\"\n }",
		"journald":        "format journald {\n wrap redact\n }",
		"around filter":   "format redact {\n wrap filter {\n wrap json\n request>remote_port delete\n }\n }",
		"around journald": "format redact {\n wrap journald {\n wrap json\n }\n }",
		"around append":   "format redact {\n wrap append {\n note \"token=" + canary + "\"\n }\n }",
	} {
		t.Run(name, func(t *testing.T) {
			g := runLogged(t, format, "{$ADDR} {\n log\n respond ok\n}")
			g.Do(t, "GET", secretRequest.target, secretRequest.header...)
			log := logged(t, "handled request")
			mustNotLeak(t, log)
			if !strings.Contains(log, "code=REDACTED") || !strings.Contains(log, `"X-Api-Key":["REDACTED"]`) {
				t.Errorf("the log is\n%s", log)
			}
		})
	}
}

// provisioned returns an encoder around one of zap's, without Caddy.
func provisioned(t testing.TB, wrapped zapcore.Encoder) *Encoder {
	t.Helper()
	e := new(Encoder)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	if err := e.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	e.Encoder = wrapped
	return e
}

type object struct {
	Password string            `json:"password"`
	Headers  http.Header       `json:"headers"`
	Nested   map[string]string `json:"nested"`
	URL      string            `json:"url"`
}

func (o object) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("password", o.Password)
	enc.OpenNamespace("inside")
	return enc.AddReflected("object", o)
}

func TestEveryKindOfField(t *testing.T) {
	o := object{canary, http.Header{"X-Api-Key": {canary}}, map[string]string{"token": canary}, "/?a=<b>&token=" + canary}
	r := httptest.NewRequest(http.MethodGet, secretRequest.target, nil)
	for i := 0; i < len(secretRequest.header); i += 2 {
		r.Header.Set(secretRequest.header[i], secretRequest.header[i+1])
	}
	config := zap.NewProductionEncoderConfig()
	for name, wrapped := range map[string]zapcore.Encoder{"json": zapcore.NewJSONEncoder(config), "console": zapcore.NewConsoleEncoder(config)} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			core := zapcore.NewCore(provisioned(t, wrapped), zapcore.AddSync(&out), zapcore.DebugLevel)
			l := zap.New(core, zap.AddStacktrace(zapcore.ErrorLevel)).Named("http.log.access")
			l = l.WithLazy(zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: r, ShouldLogCredentials: true}))
			l = l.With(zap.String("secret", canary), zap.Namespace("first_error"))
			l.Error("Get \"https://h/x?token="+canary+"\": EOF, Basic dXNlcjpTM2NyM3RDNG40cnk=",
				zap.Strings("list", []string{"a", "Bearer " + canary}),
				zap.ByteString("bytes", []byte("password="+canary)),
				zap.Any("map", map[string]any{"x": map[string]any{"client_secret": canary}}),
				zap.Any("slice", []any{map[string]string{"refresh_token": canary}}),
				zap.Reflect("header", http.Header{"Authorization": {"Bearer " + canary}}),
				zap.Object("object", o),
				zap.Objects("objects", []object{o}),
				zap.Inline(o),
				zap.Error(errors.New("https://u:"+canary+"@h refused")),
				zap.Int64("pin", 8271),
				zap.Int64("card", 4111111111111111),
				zap.Stringer("url", r.URL),
				zap.Any("raw", json.RawMessage(`{"tok\u0065n":"`+canary+`","x":"\u0026code=`+canary+`"}`)),
				zap.Duration("duration", time.Second), zap.Int("status", 200), zap.Bool("token", true),
			)
			log := out.String()
			mustNotLeak(t, log)
			for _, secret := range []string{"dXNlcjpTM2NyM3RDNG40cnk=", "8271", "4111111111111111"} {
				if strings.Contains(log, secret) {
					t.Errorf("leaked %s: %s", secret, log)
				}
			}
			if name == "json" {
				mustBeJSON(t, log)
			}
			if n := strings.Count(log, "Get \"https://h/x?token=REDACTED"); name == "console" && n != 1 {
				t.Errorf("the message is\n%s", log)
			}
		})
	}
}

// brokenEncoder fails as its field says.
type brokenEncoder struct {
	zapcore.Encoder
	err error
}

func (b brokenEncoder) EncodeEntry(zapcore.Entry, []zapcore.Field) (*buffer.Buffer, error) {
	if b.err != nil {
		return nil, b.err
	}
	panic("no entry: " + canary)
}

func (b brokenEncoder) Clone() zapcore.Encoder { return b }

func TestAnEntryThatCannotBeCleanedIsWithheld(t *testing.T) {
	plain := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	withoutCleaner := provisioned(t, plain)
	withoutCleaner.policy.cleaner = nil
	for name, e := range map[string]*Encoder{
		"the cleaner panics":         withoutCleaner,
		"the wrapped encoder panics": provisioned(t, brokenEncoder{Encoder: plain}),
		"the wrapped encoder fails":  provisioned(t, brokenEncoder{plain, errors.New(canary)}),
	} {
		t.Run(name, func(t *testing.T) {
			out, err := e.Clone().EncodeEntry(zapcore.Entry{Message: "token=" + canary}, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := `{"level":"error","logger":"redact","msg":"log entry withheld: it could not be redacted"}` + "\n"
			if out.String() != want {
				t.Errorf("the entry is %s", out)
			}
		})
	}
}

func TestTheWrappedEncoderIsToldWhereItWrites(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	filter := new(logging.FilterEncoder)
	if err := filter.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	e := provisioned(t, nil)
	e.Encoder = filter
	// Standard error is no terminal in a test, so the filter stays with JSON.
	if err := e.ConfigureDefaultFormat(caddy.StderrWriter{}); err != nil {
		t.Fatal(err)
	}
	if !json.Valid(e.withheld) {
		t.Errorf("the line for withheld entries is %s", e.withheld)
	}
}

func TestEncoderInJSONIsChecked(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	e := &Encoder{Headers: []string{"X Token"}, Query: []string{"a&b"}, Keys: []string{""}, Detect: []string{"card"}}
	err := e.Provision(ctx)
	if err == nil {
		t.Fatal("it is not refused")
	}
	for _, want := range []string{"headers[0]", "query[0]", "keys[0]", "detect[0]"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %s: %v", want, err)
		}
	}
}

func TestEncoderAdapt(t *testing.T) {
	gatetest.Adapt(t, "testdata/adapt/encoder*.caddyfiletest")
}
