package integration

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

const monitoring = "../examples/monitoring/"

// promtool runs promtool in a folder and returns what it printed.
func promtool(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestPromtoolTakesTheRulesAndTheirTestsPass(t *testing.T) {
	promtool(t, monitoring+"prometheus", "check", "config", "prometheus.yml")
	promtool(t, monitoring+"prometheus", "check", "rules", "rules/alerts.yml", "rules/recording.yml")
	promtool(t, monitoring+"prometheus/tests", "test", "rules", "alerts_test.yml")
}

// rule is a rule as Prometheus reads it.
type rule struct {
	Alert, Record, Expr string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	files, err := filepath.Glob(monitoring + "prometheus/rules/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		var content struct{ Groups []struct{ Rules []rule } }
		if err := yaml.Unmarshal([]byte(read(t, file)), &content); err != nil {
			t.Fatal(err)
		}
		for _, group := range content.Groups {
			all = append(all, group.Rules...)
		}
	}
	return all
}

func TestEveryAlertSaysWhatToDoAndIsTestedBothWays(t *testing.T) {
	runbooks, tests := read(t, monitoring+"RUNBOOKS.md"), read(t, monitoring+"prometheus/tests/alerts_test.yml")
	alerts := 0
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		alerts++
		if !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s: severity %q, summary %q, description %q", r.Alert, r.Labels["severity"], r.Annotations["summary"], r.Annotations["description"])
		}
		if !strings.HasSuffix(r.Annotations["runbook_url"], "/examples/monitoring/RUNBOOKS.md#"+strings.ToLower(r.Alert)) || !strings.Contains(runbooks, "\n## "+r.Alert+"\n") {
			t.Errorf("%s: runbook %s", r.Alert, r.Annotations["runbook_url"])
		}
		if !strings.Contains(tests, "name: "+r.Alert+" fires\n") || !strings.Contains(tests, "name: "+r.Alert+" does not ") {
			t.Errorf("%s is not tested both ways", r.Alert)
		}
	}
	if sections := strings.Count(runbooks, "\n## "); alerts == 0 || sections != alerts {
		t.Errorf("%d alerts, %d sections in RUNBOOKS.md", alerts, sections)
	}
}

// query is a query of a dashboard's panel.
type query struct{ title, expr string }

func dashboard(t *testing.T) (all []query) {
	t.Helper()
	var content struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, monitoring+"grafana/sallyport.json")), &content); err != nil {
		t.Fatal(err)
	}
	for _, panel := range content.Panels {
		for _, target := range panel.Targets {
			all = append(all, query{panel.Title, target.Expr})
		}
	}
	return all
}

// prometheus is a real Prometheus that scrapes gateways.
type prometheus struct{ addr string }

// startPrometheus runs Prometheus with the configuration of the example, faster and
// with those targets.
func startPrometheus(t *testing.T, targets ...string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	copyTree(t, monitoring+"prometheus", dir)
	config := read(t, filepath.Join(dir, "prometheus.yml"))
	config = regexp.MustCompile(`(scrape|evaluation)_interval: 15s`).ReplaceAllString(config, "${1}_interval: 1s")
	config = regexp.MustCompile(`targets: \[.*\]`).ReplaceAllString(config, fmt.Sprintf(`targets: ["%s"]`, strings.Join(targets, `", "`)))
	p := &prometheus{addr: freeAddr(t)}
	cmd := exec.Command("prometheus", "--config.file="+write(t, dir, "prometheus.yml", config), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+p.addr)
	var out buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	exited := run(t, cmd, syscall.SIGTERM)
	waitFor(t, "Prometheus", func() bool {
		select {
		case err := <-exited:
			t.Fatalf("Prometheus ended: %v\n%s", err, &out)
		default:
		}
		return get("http://"+p.addr+"/-/ready") == nil
	})
	return p
}

// ask returns how many series a query has.
func (p *prometheus) ask(t *testing.T, expr string) int {
	t.Helper()
	a := send(t, http.DefaultClient, "GET", "http://"+p.addr+"/api/v1/query?query="+url.QueryEscape(expr))
	var content struct {
		Status, Error string
		Data          struct{ Result []any }
	}
	if err := json.Unmarshal([]byte(a.body), &content); err != nil || content.Status != "success" {
		t.Fatalf("%s: %v %s", expr, err, content.Error)
	}
	return len(content.Data.Result)
}

var suiteMetric = regexp.MustCompile(`\b(?:\w+:)?sallyport_\w+(?::\w+)*`)

// TestPrometheusFindsWhatRulesAndDashboardAskFor has a real Prometheus scrape a
// gateway under traffic: a metric that was renamed is an alert that never fires.
func TestPrometheusFindsWhatRulesAndDashboardAskFor(t *testing.T) {
	dir := t.TempDir()
	redis := freeAddr(t)
	server := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port(redis), "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction")
	server.Dir = dir
	run(t, server, syscall.SIGTERM)
	waitFor(t, "Redis", func() bool {
		conn, err := net.Dial("tcp", redis)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	mount(t, dir, time.Now().Add(30*24*time.Hour))
	_, token := credentials(t, dir)
	backend := newBackend(t)
	front, tls, health := freeAddr(t), freeAddr(t), freeAddr(t)
	file, err := filepath.Abs("testdata/monitoring.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	g := start(t, dir, file, map[string]string{
		"REDIS": redis, "STORAGE_KEY": base64.StdEncoding.EncodeToString(make([]byte, 32)), "BACKEND": backend.Listener.Addr().String(),
		"HTTP_PORT": port(front), "TLS_PORT": port(tls), "HEALTH_PORT": port(health),
	})
	waitFor(t, "the gateway to be allowed", func() bool {
		return send(t, http.DefaultClient, "GET", "http://"+front+"/orders", "X-Forwarded-For", "198.51.100.1", "Authorization", "Bearer "+token).status == 200
	})
	traffic := func() {
		for _, header := range [][]string{
			{"X-Forwarded-For", "198.51.100.1", "Authorization", "Bearer " + token},
			{"X-Forwarded-For", "192.0.2.66"},
			{"X-Forwarded-For", "unknown"},
			{"X-Forwarded-For", "198.51.100.2", "Authorization", "Bearer " + token + "x"},
		} {
			send(t, http.DefaultClient, "GET", "http://"+front+"/orders", header...)
		}
		if conn, err := net.Dial("tcp", tls); err == nil { // past the balancer
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
			_, _ = io.ReadAll(conn)
			conn.Close()
		}
	}
	traffic()

	p := startPrometheus(t, health)
	waitFor(t, "a scrape", func() bool { return p.ask(t, `up{job="sallyport"} == 1`) == 1 })
	recorded := make(map[string]bool)
	for _, r := range rules(t) {
		if r.Record != "" {
			recorded[r.Record] = true
		}
	}
	asked := make(map[string][]string)
	note := func(who, expr string) {
		for _, name := range suiteMetric.FindAllString(expr, -1) {
			asked[name] = append(asked[name], who)
		}
	}
	for _, r := range rules(t) {
		note(r.Alert+r.Record, r.Expr)
	}
	for _, q := range dashboard(t) {
		note(q.title, q.expr)
		p.ask(t, strings.NewReplacer("$__rate_interval", "1m", "$site", ".*").Replace(q.expr))
	}
	if len(asked) < 30 {
		t.Fatalf("only %d metrics are asked for", len(asked))
	}
	for name, who := range asked {
		if recorded[name] {
			continue
		}
		if p.ask(t, "{__name__=\""+name+"\"}") == 0 {
			t.Errorf("%s is not in the scrape; %s want it", name, strings.Join(who, ", "))
		}
	}
	for name := range recorded {
		if strings.HasPrefix(name, "site:sallyport_errors") {
			continue // a share of none while nothing fails
		}
		waitFor(t, name, func() bool {
			traffic() // a rate needs an increase between two scrapes
			return p.ask(t, name) > 0
		})
	}
	waitFor(t, "the alert about who came past the balancer to be on its way", func() bool {
		traffic()
		return p.ask(t, `ALERTS{alertname="SallyportBalancerBypassed"}`) > 0
	})
	if events := read(t, filepath.Join(g.dir, "events.json")); !strings.Contains(events, "allowlist.denied") || strings.Contains(events, token) {
		t.Errorf("events: %s", events)
	}
}

// TestMetricsArePushedByOTLP runs the example against a receiver of OTLP over HTTP.
func TestMetricsArePushedByOTLP(t *testing.T) {
	pushed := make(chan string, 100)
	receiver := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case pushed <- r.URL.Path + " " + string(body):
		default:
		}
	}))
	file, err := filepath.Abs(monitoring + "otlp/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	front := freeAddr(t)
	start(t, t.TempDir(), file, map[string]string{
		"HEALTH_PORT": port(freeAddr(t)), "SITE": front, "BACKEND": newBackend(t).Listener.Addr().String(),
		"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + receiver, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
		"OTEL_EXPORTER_OTLP_COMPRESSION": "none", "OTEL_METRIC_EXPORT_INTERVAL": "200",
	})
	waitFor(t, "the site", func() bool { return get("http://"+front+"/") == nil })
	waitFor(t, "metrics of the suite", func() bool {
		select {
		case push := <-pushed:
			return strings.HasPrefix(push, "/v1/metrics ") && strings.Contains(push, "sallyport_requests_total") && strings.Contains(push, "sallyport_decisions_total")
		default:
			return false
		}
	})
}

func TestTheDatadogCheckTakesTheMetricsOfTheSuite(t *testing.T) {
	var content struct {
		Instances []struct {
			Endpoint string `yaml:"openmetrics_endpoint"`
			Metrics  []string
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, monitoring+"datadog/conf.yaml")), &content); err != nil {
		t.Fatal(err)
	}
	if len(content.Instances) != 1 || !strings.HasSuffix(content.Instances[0].Endpoint, "/metrics") || len(content.Instances[0].Metrics) != 1 {
		t.Fatalf("got %+v", content)
	}
	pattern := regexp.MustCompile(content.Instances[0].Metrics[0])
	for name, want := range map[string]bool{"sallyport_decisions": true, "sallyport_request_duration_seconds": true, "go_goroutines": false, "caddy_http_requests": false} {
		if pattern.MatchString(name) != want {
			t.Errorf("%s is taken: %v", name, !want)
		}
	}
}
