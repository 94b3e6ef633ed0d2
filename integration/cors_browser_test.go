package integration

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The gateway of these tests has a site for each kind of policy, and two without
// any, which show what a browser does with a backend's own fields.
const corsSites = `{
	admin {$ADMIN}
	auto_https off
	persist_config off
}
http://listed.api.test:{$PORT} {
	cors {
		allow_origins http://app.localhost:{$PAGES} http://*.partner.localhost:{$PAGES}
		allow_methods PUT DELETE
		allow_headers Authorization Content-Type
		expose_headers Retry-After WWW-Authenticate X-Shown
		allow_credentials
		max_age 10m
	}
	rate_limiter /limited {
		zone one {
			key client_ip
			rate 1/h
			burst 1
		}
	}
	auth /private {
		jwt https://issuer.example {
			audience https://api.example.com
			algorithms ES256
			key_file issuer.pub.pem
		}
	}
	reverse_proxy /unreachable 127.0.0.1:1
	reverse_proxy {$BACKEND}
}
http://plain.api.test:{$PORT} {
	cors {
		allow_origins http://app.example.test:{$PAGES} http://*.shop.test:{$PAGES}
	}
	reverse_proxy {$BACKEND}
}
http://open.api.test:{$PORT} {
	cors {
		allow_origins *
		allow_methods *
		allow_headers *
		expose_headers *
	}
	reverse_proxy {$BACKEND}
}
http://named.api.test:{$PORT} {
	cors {
		allow_origins *
		allow_headers * Authorization
	}
	reverse_proxy {$BACKEND}
}
http://bare.api.test:{$PORT} {
	reverse_proxy {$BACKEND}
}
`

// A corsCase is one fetch of a page, and what has to come of it.
type corsCase struct {
	page, site  string // hosts
	method      string
	path        string
	header      map[string]string
	credentials bool

	status  int      // that the page reads; 0 if the browser gives it nothing
	reaches bool     // the backend sees the request
	shows   []string // headers that the page reads
	hides   []string // headers that it does not
}

const (
	listedSite = "listed.api.test"
	plainSite  = "plain.api.test"
	openSite   = "open.api.test"
	namedSite  = "named.api.test"
	bareSite   = "bare.api.test"

	// sandboxedPage is the page whose origin is null.
	sandboxedPage = "sandboxed.localhost"
)

var (
	sendsJSON   = map[string]string{"Content-Type": "application/json"}
	sendsBearer = map[string]string{"Authorization": "Bearer x"}
	sendsCustom = map[string]string{"X-Custom": "1"}
)

// corsCases are run in this order, page by page.
var corsCases = []corsCase{
	// An allowed page.
	{page: "app.localhost", site: listedSite, method: "GET", status: 200, reaches: true, shows: []string{"x-shown", "content-type"}, hides: []string{"x-hidden", "vary"}},
	{page: "app.localhost", site: listedSite, method: "GET", credentials: true, status: 200, reaches: true, shows: []string{"x-shown"}, hides: []string{"x-hidden"}},
	{page: "app.localhost", site: listedSite, method: "HEAD", status: 200, reaches: true},
	{page: "app.localhost", site: listedSite, method: "POST", header: sendsJSON, status: 200, reaches: true},
	{page: "app.localhost", site: listedSite, method: "POST", header: sendsJSON, credentials: true, status: 200, reaches: true},
	{page: "app.localhost", site: listedSite, method: "PUT", status: 200, reaches: true},
	{page: "app.localhost", site: listedSite, method: "DELETE", header: sendsBearer, credentials: true, status: 200, reaches: true},
	{page: "app.localhost", site: listedSite, method: "PATCH"},
	{page: "app.localhost", site: listedSite, method: "put", status: 200, reaches: true}, // the browser writes PUT
	{page: "app.localhost", site: listedSite, method: "patch"},
	{page: "app.localhost", site: listedSite, method: "OPTIONS"},
	{page: "app.localhost", site: listedSite, method: "GET", header: sendsCustom},
	{page: "app.localhost", site: listedSite, method: "PUT", header: map[string]string{"Content-Type": "application/json", "X-Custom": "1"}},

	// Errors and refusals of everything that stands behind the policy.
	{page: "app.localhost", site: listedSite, method: "GET", path: "/private", status: 401, shows: []string{"www-authenticate"}},
	{page: "app.localhost", site: listedSite, method: "PUT", path: "/private", header: sendsBearer, credentials: true, status: 401, shows: []string{"www-authenticate"}},
	{page: "app.localhost", site: listedSite, method: "GET", path: "/limited", status: 200, reaches: true},
	{page: "app.localhost", site: listedSite, method: "GET", path: "/limited", status: 429, shows: []string{"retry-after"}},
	{page: "app.localhost", site: listedSite, method: "PUT", path: "/limited", credentials: true, status: 429, shows: []string{"retry-after"}},
	{page: "app.localhost", site: listedSite, method: "GET", path: "/unreachable", status: 502},
	{page: "app.localhost", site: listedSite, method: "GET", path: "/missing", status: 404, reaches: true, shows: []string{"x-shown"}},

	// A name below the base of a wildcard, the base, and names that look alike.
	{page: "eu.partner.localhost", site: listedSite, method: "PUT", header: sendsBearer, credentials: true, status: 200, reaches: true},
	{page: "partner.localhost", site: listedSite, method: "GET", reaches: true},
	{page: "partner.localhost", site: listedSite, method: "PUT"},
	{page: "evilpartner.localhost", site: listedSite, method: "GET", reaches: true},
	{page: "evilpartner.localhost", site: listedSite, method: "PUT"},
	{page: "app.localhost.evil.test", site: listedSite, method: "GET", credentials: true, reaches: true},
	{page: "app.localhost.evil.test", site: listedSite, method: "DELETE"},
	{page: "app.localhost.evil.test", site: listedSite, method: "GET", path: "/private"},

	// Names that are not of this machine, without credentials.
	{page: "app.example.test", site: plainSite, method: "GET", status: 200, reaches: true},
	{page: "app.example.test", site: plainSite, method: "GET", credentials: true, reaches: true},
	{page: "app.example.test", site: plainSite, method: "PUT"},
	{page: "app.example.test", site: plainSite, method: "POST", header: sendsJSON},
	{page: "eu.shop.test", site: plainSite, method: "GET", status: 200, reaches: true},

	// The origin null.
	{page: sandboxedPage, site: listedSite, method: "GET", reaches: true},
	{page: sandboxedPage, site: listedSite, method: "PUT"},
	{page: sandboxedPage, site: openSite, method: "PUT", header: sendsCustom, status: 200, reaches: true},

	// Every origin.
	{page: "any.example.test", site: openSite, method: "GET", status: 200, reaches: true, shows: []string{"x-shown", "x-hidden"}},
	{page: "any.example.test", site: openSite, method: "CHICKEN", header: sendsCustom, status: 200, reaches: true},
	{page: "any.example.test", site: openSite, method: "OPTIONS", status: 200, reaches: true},
	{page: "any.example.test", site: openSite, method: "GET", credentials: true, reaches: true},
	{page: "any.example.test", site: openSite, method: "PUT", credentials: true},
	{page: "any.example.test", site: openSite, method: "GET", header: sendsBearer},
	{page: "any.example.test", site: namedSite, method: "GET", header: sendsBearer, status: 200, reaches: true, hides: []string{"x-shown"}},
	{page: "any.example.test", site: namedSite, method: "PUT"},

	// Without a policy: the browser does refuse, and does not always.
	{page: "any.example.test", site: bareSite, method: "GET", reaches: true},
	{page: "any.example.test", site: bareSite, method: "GET", path: "/once", status: 200, reaches: true},
}

// corsResult is what a page reports.
type corsResult struct {
	Case    int      `json:"case"`
	Status  int      `json:"status"`
	Headers []string `json:"headers"`
	Error   string   `json:"error"`
}

func TestAChromiumConcludesWhatThePoliciesDeclare(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("this test needs Chromium (make test installs it): %v", err)
	}
	backend := newCORSBackend(t)
	dir, addr := t.TempDir(), freeAddr(t)
	pages := httptest.NewServer(corsPages{port(addr)})
	t.Cleanup(pages.Close)
	pagesPort := port(pages.Listener.Addr().String())
	credentials(t, dir)
	start(t, dir, write(t, dir, "Caddyfile", corsSites), map[string]string{
		"PORT": port(addr), "PAGES": pagesPort, "BACKEND": backend.Listener.Addr().String(),
	})

	results := make(map[int]corsResult)
	for _, page := range pagesOf(corsCases) {
		for _, result := range visit(t, browser, "http://"+page+":"+pagesPort+"/") {
			results[result.Case] = result
		}
	}
	for i, c := range corsCases {
		name := fmt.Sprintf("%d %s %s%s of %s, credentials %v, %v", i, c.method, c.site, c.path, c.page, c.credentials, c.header)
		got, ok := results[i]
		if !ok {
			t.Errorf("%s: the page did not report", name)
			continue
		}
		if got.Status != c.status {
			t.Errorf("%s: the page reads status %d %s, want %d", name, got.Status, got.Error, c.status)
		}
		for _, header := range c.shows {
			if !slices.Contains(got.Headers, header) {
				t.Errorf("%s: the page does not read %s, only %q", name, header, got.Headers)
			}
		}
		for _, header := range c.hides {
			if slices.Contains(got.Headers, header) {
				t.Errorf("%s: the page reads %s", name, header)
			}
		}
		if seen := backend.saw(i); seen != c.reaches {
			t.Errorf("%s: reached the backend: %v", name, seen)
		}
	}
	if n := backend.preflights(); n > 0 {
		t.Errorf("%d preflights of sites with a policy reached the backend", n)
	}
}

// corsBackend answers with CORS fields of its own, which are of no use to a
// browser, and remembers what it saw.
type corsBackend struct {
	*httptest.Server
	mu        sync.Mutex
	cases     map[int]bool
	preflight int
}

func newCORSBackend(t *testing.T) *corsBackend {
	b := &corsBackend{cases: make(map[int]bool)}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *corsBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Header.Get("Access-Control-Request-Method") != "" {
		b.preflight++
	} else if i, err := strconv.Atoi(r.URL.Query().Get("case")); err == nil {
		b.cases[i] = true
	}
	h := w.Header()
	h.Add("Access-Control-Allow-Origin", "*")
	if r.URL.Path != "/once" {
		h.Add("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	}
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Allow-Methods", "*")
	h.Set("Access-Control-Allow-Headers", "*")
	h.Set("Access-Control-Expose-Headers", "X-Hidden, Vary")
	h.Set("Vary", "Accept")
	h.Set("X-Shown", "1")
	h.Set("X-Hidden", "1")
	h.Set("Content-Type", "text/plain")
	if r.URL.Path == "/missing" {
		w.WriteHeader(http.StatusNotFound)
	}
	fmt.Fprintln(w, r.Method)
}

func (b *corsBackend) saw(i int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cases[i]
}

func (b *corsBackend) preflights() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.preflight
}

// corsPages serves the page of each host: a script that does its fetches.
type corsPages struct {
	gateway string // its port
}

// fetching is the script of a page. It reports in base64, which survives being
// printed as HTML.
const fetching = `<!doctype html><title>cors</title><pre id="results"></pre><script>
(async () => {
	const results = [];
	for (const c of %s) {
		try {
			const r = await fetch(c.url, {method: c.method, headers: c.header, credentials: c.credentials ? "include" : "omit", cache: "no-store"});
			await r.text();
			results.push({case: c.case, status: r.status, headers: [...r.headers.keys()]});
		} catch (e) {
			results.push({case: c.case, status: 0, error: String(e)});
		}
	}
	document.getElementById("results").textContent = btoa(JSON.stringify(results));
})();
</script>
`

func (p corsPages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, _ := strings.Cut(r.Host, ":")
	type fetch struct {
		Case        int               `json:"case"`
		URL         string            `json:"url"`
		Method      string            `json:"method"`
		Header      map[string]string `json:"header"`
		Credentials bool              `json:"credentials"`
	}
	var fetches []fetch
	for i, c := range corsCases {
		if c.page != host {
			continue
		}
		header := c.header
		if header == nil {
			header = map[string]string{}
		}
		path := c.path
		if path == "" {
			path = "/"
		}
		fetches = append(fetches, fetch{i, fmt.Sprintf("http://%s:%s%s?case=%d", c.site, p.gateway, path, i), c.method, header, c.credentials})
	}
	list, err := json.Marshal(fetches)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if host == sandboxedPage {
		w.Header().Set("Content-Security-Policy", "sandbox allow-scripts")
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, fetching, list)
}

// pagesOf are the pages of cases, each once, in their order.
func pagesOf(cases []corsCase) []string {
	var pages []string
	for _, c := range cases {
		if !slices.Contains(pages, c.page) {
			pages = append(pages, c.page)
		}
	}
	return pages
}

var reported = regexp.MustCompile(`<pre id="results">([A-Za-z0-9+/=]+)</pre>`)

// visit opens a page in a browser of its own and returns what it reported.
func visit(t *testing.T, browser, url string) []corsResult {
	t.Helper()
	// Not the test's own directory: what the browser leaves behind may still be
	// written to when the test ends.
	profile, err := os.MkdirTemp("", "sallyport-browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--disable-features=HttpsUpgrades", "--user-data-dir="+profile, "--host-resolver-rules=MAP *.test 127.0.0.1",
		"--virtual-time-budget=30000", "--dump-dom", url)
	cmd.Env = append(os.Environ(), "HOME="+profile, "XDG_CONFIG_HOME="+profile, "XDG_CACHE_HOME="+profile)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // its children too
	cmd.WaitDelay = time.Second
	var stderr buffer
	cmd.Stderr = &stderr
	dom, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", url, err, &stderr)
	}
	report := reported.FindSubmatch(dom)
	if report == nil {
		t.Fatalf("%s did not report:\n%s\n%s", url, dom, &stderr)
	}
	decoded, err := base64.StdEncoding.DecodeString(string(report[1]))
	if err != nil {
		t.Fatal(err)
	}
	var results []corsResult
	if err := json.Unmarshal(decoded, &results); err != nil {
		t.Fatal(err)
	}
	return results
}
