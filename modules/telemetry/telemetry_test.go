package telemetry

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/prometheus/client_golang/prometheus"

	_ "github.com/sallyport-gateway/sallyport/modules/allowlist"
	_ "github.com/sallyport-gateway/sallyport/modules/auth"
	"github.com/sallyport-gateway/sallyport/modules/auth/apikey"
	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/timing"
	_ "github.com/sallyport-gateway/sallyport/modules/problem"
)

func init() { caddy.RegisterModule(new(timedTransport)) }

// timedTransport tells how long a backend took, roughly.
type timedTransport struct{ reverseproxy.HTTPTransport }

func (*timedTransport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.timed", New: func() caddy.Module { return new(timedTransport) }}
}

func (t *timedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := timing.From(r.Context())
	rec.Attempt()
	began := time.Now()
	resp, err := t.HTTPTransport.RoundTrip(r)
	rec.Add(timing.Wait, time.Since(began))
	return resp, err
}

// value is a counter's value or a histogram's count, summed over the series with
// these labels, given as name, value, ….
func value(t *testing.T, c prometheus.Collector, labels ...string) (sum float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
	series:
		for _, m := range family.GetMetric() {
			for i := 0; i < len(labels); i += 2 {
				has := false
				for _, l := range m.GetLabel() {
					has = has || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				if !has {
					continue series
				}
			}
			sum += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// eventually waits for what a request leaves behind after its answer.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// grows returns a function that waits until a metric has grown by n since then, and
// fails if it grew by more.
func grows(t *testing.T, c prometheus.Collector, labels ...string) func(n float64) {
	t.Helper()
	before := value(t, c, labels...)
	return func(n float64) {
		t.Helper()
		eventually(t, fmt.Sprint(labels, " to grow by ", n), func() bool { return value(t, c, labels...)-before >= n })
		if got := value(t, c, labels...) - before; got != n {
			t.Errorf("%v grew by %v, want %v", labels, got, n)
		}
	}
}

func TestAdapt(t *testing.T) {
	gatetest.Adapt(t, "testdata/adapt/*.caddyfiletest")
}

const deny = "allowlist {\n\t\tdeny 192.0.2.66\n\t}\n"

func TestRequestsAreCountedAsTheyWereAnswered(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\ttelemetry\n\t"+deny+"\n\thandle /down {\n\t\treverse_proxy 127.0.0.1:1\n\t}\n\thandle {\n\t\treverse_proxy {$BACKEND}\n\t}\n"+
		"\thandle_errors 403 {\n\t\tredir https://example.com/ 302\n\t}\n}\n")
	g.Backend(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/404" {
			w.WriteHeader(404)
		}
	})
	server := g.URL[len("http://"):]
	tests := []struct{ name, method, target, client, site, label, code string }{
		{"answered", "GET", "/", "192.0.2.1", "127.0.0.1", "GET", "2xx"},
		{"answered by the backend with an error", "POST", "/404", "192.0.2.1", "127.0.0.1", "POST", "4xx"},
		{"no backend", "GET", "/down", "192.0.2.1", "127.0.0.1", "GET", "5xx"},
		{"refused, and answered by handle_errors in its own way", "PUT", "/", "192.0.2.66", "127.0.0.1", "PUT", "3xx"},
		{"refused in front of every site", "GET", "/%2e%2e", "192.0.2.1", server, "GET", "4xx"},
		{"a method that no RFC has", "BREW", "/", "192.0.2.1", "127.0.0.1", "_OTHER", "2xx"},
		{"a method that looks like the label", "_OTHER", "/", "192.0.2.1", "127.0.0.1", "_OTHER", "2xx"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			one := grows(t, requests, "site", tt.site, "method", tt.label, "code", tt.code)
			all, timed := grows(t, requests), grows(t, requestDuration)
			g.Do(t, tt.method, tt.target, "X-Forwarded-For", tt.client)
			one(1)
			all(1)
			timed(1)
		})
	}
}

func TestASiteWithoutAGuardIsMeasured(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\ttelemetry\n\trespond ok\n}\n")
	counted, own := grows(t, requests, "site", "127.0.0.1", "code", "2xx"), grows(t, gatewayDuration, "site", "127.0.0.1")
	if resp := g.Do(t, "GET", "/"); resp.Body != "ok" {
		t.Errorf("got %q", resp.Body)
	}
	counted(1)
	own(1)
}

func TestTwoInstancesCountAndLogOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	g := gatetest.Run(t, "{$ADDR} {\n\tlog {\n\t\toutput file "+path+"\n\t}\n\ttelemetry\n\thandle {\n\t\ttelemetry\n\t\trespond ok\n\t}\n}\n")
	counted := grows(t, requests)
	g.Do(t, "GET", "/")
	counted(1)
	if content, err := os.ReadFile(path); err != nil || strings.Count(string(content), `"timing"`) != 1 {
		t.Errorf("%v: %s", err, content)
	}
}

func TestTheGatewaysShareIsObservedWhereItIsKnown(t *testing.T) {
	tests := []struct {
		transport        string
		known, responses float64
	}{
		{"timed", 1, 1},
		{"http", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.transport, func(t *testing.T) {
			g := gatetest.Run(t, "{$ADDR} {\n\ttelemetry\n\treverse_proxy {$BACKEND} {\n\t\ttransport "+tt.transport+"\n\t}\n}\n")
			total, own := grows(t, requestDuration), grows(t, gatewayDuration)
			wait, write, tls := grows(t, requestPhase, "phase", "wait"), grows(t, requestPhase, "phase", "client_write"), grows(t, requestPhase, "phase", "tls")
			g.Do(t, "GET", "/")
			total(1) // it is observed last
			own(tt.known)
			wait(tt.responses)
			write(1)
			tls(0)
		})
	}
}

// accessLog runs a gateway with an access log and returns its last entry so far.
func accessLog(t *testing.T, site string) (*gatetest.Gate, func() map[string]any) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "access.log")
	g := gatetest.Run(t, strings.Replace(site, "telemetry", "log {\n\t\toutput file "+path+"\n\t}\n\ttelemetry", 1))
	return g, func() (entry map[string]any) {
		t.Helper()
		eventually(t, "an access log entry", func() bool {
			content, _ := os.ReadFile(path)
			lines := strings.Split(strings.TrimSpace(string(content)), "\n")
			return json.Unmarshal([]byte(lines[len(lines)-1]), &entry) == nil
		})
		_ = os.Truncate(path, 0)
		return entry
	}
}

func TestTheAccessLogHasTheShares(t *testing.T) {
	g, last := accessLog(t, "{$ADDR} {\n\ttelemetry\n\t"+deny+"\n\treverse_proxy {$BACKEND} {\n\t\ttransport timed\n\t}\n}\n")
	slow := make(chan struct{})
	asked := make(chan struct{})
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-slow
		_, _ = io.WriteString(w, "ok")
	})
	held := make(chan time.Duration, 1)
	go func() {
		// The backend is held up for at least as long as this takes.
		<-asked
		began := time.Now()
		for i := 0; i < 50; i++ {
			_ = value(t, requests)
		}
		held <- time.Since(began)
		close(slow)
	}()
	g.Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.1")
	entry := last()
	shares, _ := entry["timing"].(map[string]any)
	duration, _ := entry["duration"].(float64)
	wait, _ := shares["wait"].(float64)
	own, _ := shares["gateway"].(float64)
	sum := own
	for _, p := range []string{"connect", "tls", "send", "wait", "receive", "client_read", "client_write"} {
		spent, _ := shares[p].(float64)
		sum += spent
	}
	if wait < (<-held).Seconds() || own <= 0 || shares["attempts"] != float64(1) || sum < duration {
		t.Errorf("of %v : %v", duration, shares)
	}

	g.Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.66")
	entry = last()
	shares, _ = entry["timing"].(map[string]any)
	decision, _ := entry["decision"].(string)
	if _, ok := shares["attempts"]; ok || len(decision) != 32 || entry["reason"] != "allowlist.denied" {
		t.Errorf("of a refusal: %v", entry)
	}
}

func TestThePrincipalIsLoggedIfAskedFor(t *testing.T) {
	dir := t.TempDir()
	pepper := "a pepper of enough bytes"
	if err := os.WriteFile(filepath.Join(dir, "pepper"), []byte(pepper), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := make(map[string]string)
	for _, owner := range []string{"acme", "ada@example.com"} {
		key, _, err := apikey.Create(filepath.Join(dir, "keys.json"), []byte(pepper), apikey.Record{Owner: owner})
		if err != nil {
			t.Fatal(err)
		}
		keys[owner] = key
	}
	for _, tt := range []struct {
		name, options, owner string
		want                 any
	}{
		{"not asked for", "", "acme", nil},
		{"asked for", "{\n\t\tlog_principal\n\t}", "acme", "acme"},
		{"an email address", "{\n\t\tlog_principal\n\t}", "ada@example.com", nil},
		{"nobody", "{\n\t\tlog_principal\n\t}", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, last := accessLog(t, "{$ADDR} {\n\ttelemetry "+tt.options+"\n\tauth {\n\t\tapi_key {\n\t\t\tkeys_file "+dir+"/keys.json\n\t\t\tpepper {file."+dir+
				"/pepper}\n\t\t}\n\t}\n\trespond ok\n}\n")
			g.Do(t, "GET", "/", "X-Forwarded-For", "192.0.2.1", "X-Api-Key", keys[tt.owner])
			if entry := last(); entry["principal"] != tt.want || entry["timing"] == nil {
				t.Errorf("got %v", entry)
			}
		})
	}
}

func TestAResponseStreamsThrough(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\ttelemetry\n\treverse_proxy {$BACKEND} {\n\t\tflush_interval -1\n\t}\n}\n")
	second := make(chan struct{})
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-second
		_, _ = io.WriteString(w, "data: 2\n\n")
	})
	resp, err := http.Get(g.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, len("data: 1\n\n"))
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	close(second)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "data: 2\n\n" {
		t.Errorf("got %q, %v", rest, err)
	}
}

func TestAWebSocketIsCountedWhenItBegins(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\ttelemetry\n\treverse_proxy {$BACKEND} {\n\t\ttransport timed\n\t}\n}\n")
	g.Backend(func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, _ := buffered.ReadString('\n')
		_, _ = io.WriteString(conn, "echo "+line)
	})
	upgraded := grows(t, requests, "method", "GET", "code", "1xx")
	all := grows(t, requests)
	conn, err := net.Dial("tcp", g.URL[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(conn)
	for line := ""; line != "\r\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	upgraded(1) // the connection is still open
	_, _ = io.WriteString(conn, "hello\n")
	if line, _ := in.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("got %q", line)
	}
	_, _ = io.ReadAll(in)
	all(1)
}

func TestCountersSurviveReloads(t *testing.T) {
	site := func(extra string) string {
		return "{$ADDR} {\n\ttelemetry\n\thandle /metrics {\n\t\tmetrics\n\t}\n\trespond ok\n" + extra + "}\n"
	}
	g := gatetest.Run(t, site(""))
	counted := grows(t, requests, "method", "DELETE")
	scraped := func() string {
		for line := range strings.Lines(g.Do(t, "GET", "/metrics").Body) {
			if strings.HasPrefix(line, `sallyport_requests_total{code="2xx",method="DELETE",site="127.0.0.1"} `) {
				return line
			}
		}
		return ""
	}
	g.Do(t, "DELETE", "/")
	counted(1)
	before := scraped()
	if err := g.Reload(t, site("\theader X-A b\n")); err != nil {
		t.Fatal(err)
	}
	if after := scraped(); before == "" || after != before {
		t.Errorf("after a reload: %q, before: %q", after, before)
	}
	if err := g.Reload(t, site("\ttls /none.pem /none.key\n")); err == nil {
		t.Fatal("it is not rejected")
	}
	g.Do(t, "DELETE", "/")
	counted(2)
	if after := scraped(); after == before || after == "" {
		t.Errorf("after a rejected reload: %q, before: %q", after, before)
	}
}

func TestAServerWithFullDuplexIsRefused(t *testing.T) {
	g := gatetest.Run(t, "{$ADDR} {\n\trespond ok\n}\n")
	globals := strings.Replace(gatetest.Globals, "servers {", "servers {\n\t\tenable_full_duplex", 1)
	if err := g.Reload(t, globals+"{$ADDR} {\n\ttelemetry\n}\n"); err == nil || !strings.Contains(err.Error(), "enable_full_duplex") {
		t.Errorf("got %v", err)
	}
}

// TestARequestThatCameByNoEdgeIsMeasured: over HTTP/3 there is none.
func TestARequestThatCameByNoEdgeIsMeasured(t *testing.T) {
	h := &Handler{meter: newSiteMeter("h3.example")}
	tests := []struct {
		name string
		next caddyhttp.HandlerFunc
		code string
	}{
		{"answered", func(w http.ResponseWriter, r *http.Request) error {
			_, err := io.Copy(w, r.Body)
			return err
		}, "2xx"},
		{"refused", func(http.ResponseWriter, *http.Request) error { return caddyhttp.HandlerError{StatusCode: 403} }, "4xx"},
		{"failed", func(http.ResponseWriter, *http.Request) error { return io.ErrUnexpectedEOF }, "5xx"},
		{"aborted", func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }, "5xx"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			one, all := grows(t, requests, "site", "h3.example", "code", tt.code), grows(t, requests)
			body := grows(t, requestPhase, "site", "h3.example", "phase", "client_read")
			w := httptest.NewRecorder()
			r := caddyhttp.PrepareRequest(httptest.NewRequest("POST", "/", strings.NewReader("hello")), caddy.NewReplacer(), w, nil)
			func() {
				defer func() { _ = recover() }()
				_ = h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
					return h.ServeHTTP(w, r, tt.next) // a second instance counts nothing
				}))
			}()
			one(1)
			all(1)
			if tt.code == "2xx" {
				body(1)
				if w.Body.String() != "hello" {
					t.Errorf("got %q", w.Body)
				}
			}
		})
	}
}
