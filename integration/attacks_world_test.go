package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// attacked is what an attack meets: a gateway with the configuration of
// testdata/attacks, another one whose configuration the cases write, their issuers,
// a backend that answers with what it got, and a listener that nobody should reach.
type attacked struct {
	gateway *gateway // of testdata/attacks
	addr    string
	spare   *gateway
	spareAt string
	taken   sync.Mutex // the spare's configuration is one case's

	dir      string // with keys.json and pepper
	backend  string
	issuers  *issuers
	nobody   string // host:port
	reached  *atomic.Int64
	refusals *refusals
	keys     keyOf
	off      string // the file that tells a twin which checks to leave out
	callers  atomic.Int32
	patience time.Duration // for what has to happen
}

// newAttacked starts one.
func newAttacked(t *testing.T, program string) *attacked {
	t.Helper()
	w := &attacked{addr: freeAddr(t), spareAt: freeAddr(t), dir: t.TempDir(), reached: new(atomic.Int64), refusals: newRefusals(), patience: patience / 2}
	w.off = write(t, w.dir, "off", "")
	w.backend = serve(t, http.HandlerFunc(tell))
	w.issuers = newIssuers(t)
	w.listenForNobody(t)
	w.writeKeys(t)

	config, err := os.ReadFile("testdata/attacks/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	write(t, w.dir, "Caddyfile", string(config))
	write(t, w.dir, "spare.Caddyfile", "{\n\tadmin {$ADMIN}\n}\n")
	w.gateway = w.startGateway(t, program, "Caddyfile")
	w.spare = w.startGateway(t, program, "spare.Caddyfile")
	a := &attempt{attacked: w, from: w.nextAddress()}
	for _, who := range []*signer{rsaA, ecB} {
		waitFor(t, "the keys", func() bool { return a.bearer("api.test", who.token(nil)).status == http.StatusOK })
	}
	if len(a.failures) > 0 {
		t.Fatal(a.failures)
	}
	return w
}

func (w *attacked) startGateway(t *testing.T, program, config string) *gateway {
	t.Helper()
	g := newGateway(t, w.dir, freeAddr(t), map[string]string{
		"PORT": port(w.addr), "DIR": w.dir, "BACKEND": w.backend, "KEYS": w.issuers.addr, "TWIN_OFF": w.off,
		"CLIENT_SECRET": clientSecret,
	})
	cmd := exec.Command(program, "run", "--adapter", "caddyfile", "--config", config)
	cmd.Stdout = io.MultiWriter(g.log, w.refusals)
	cmd.Stderr = cmd.Stdout
	g.start(t, cmd)
	return g
}

// without has a twin leave checks out, until it is called again.
func (w *attacked) without(checks ...string) {
	next := w.off + ".next"
	if err := os.WriteFile(next, []byte(strings.Join(checks, "\n")), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(next, w.off); err != nil {
		panic(err)
	}
}

func (w *attacked) nextAddress() string {
	n := w.callers.Add(1)
	return fmt.Sprintf("127.9.%d.%d", n/250, n%250+1)
}

func (w *attacked) listenForNobody(t *testing.T) {
	ln, err := net.Listen("tcp", freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	w.nobody = ln.Addr().String()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			w.reached.Add(1)
			conn.Close()
		}
	}()
}

// echoed is what the backend got.
type echoed struct {
	Method, URI, Host, Body string
	Header, Trailer         http.Header
}

func tell(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "websocket" {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	got := echoed{r.Method, r.RequestURI, r.Host, string(body), r.Header, r.Trailer}
	_ = json.NewEncoder(w).Encode(got)
}

// client reaches gateways from the attempt's address, whatever the URL's host is.
func (a *attempt) client(addr string) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(a.from)}}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) },
			DisableKeepAlives: true, DisableCompression: true,
		},
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ask does one request to a site with header lines given as name, value, … A site
// whose name begins with "spare" is the spare gateway's.
func (a *attempt) ask(method, site, target string, header ...string) answer {
	r, err := http.NewRequest(method, "http://"+site+target, nil)
	a.check(err)
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header[header[i]] = append(r.Header[header[i]], header[i+1]) // as written
	}
	return a.do(r)
}

func (a *attempt) do(r *http.Request) answer {
	addr := a.addr
	if strings.HasPrefix(r.URL.Host, "spare") {
		addr = a.spareAt
	}
	resp, err := a.client(addr).Do(r)
	if err != nil && addr == a.spareAt { // a connection to servers that a reload has ended
		resp, err = a.client(addr).Do(r)
	}
	a.check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a.check(err)
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// raw sends bytes as they are and returns the status line and all that follows.
func (a *attempt) raw(site, text string) string {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(a.from)}}
	conn, err := dialer.Dial("tcp", a.addr)
	a.check(err)
	defer conn.Close()
	a.check(conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, strings.ReplaceAll(text, "HOST", site))
	a.check(err)
	got, err := io.ReadAll(conn)
	if len(got) == 0 {
		a.check(err)
	}
	return string(got)
}

func (a *attempt) bearer(site, token string) answer {
	return a.ask("GET", site, "/", "Authorization", "Bearer "+token)
}

// passes demands that a request reached the backend, and returns what it got.
func (a *attempt) passes(what string, got answer) echoed {
	var e echoed
	if got.status != http.StatusOK || json.Unmarshal([]byte(got.body), &e) != nil {
		a.errorf("%s: got %d %s (%s), and should have passed", what, got.status, strings.TrimSpace(got.body), a.refusals.of(got))
	}
	return e
}

// The challenges of sites with one kind of credential.
const (
	challengeInvalid = `Bearer realm="api", error="invalid_token"`
	challengeSeveral = `Bearer realm="api", error="invalid_request"`
	challengeBare    = `Bearer realm="api"`
	challengeKey     = `ApiKey realm="api"`
)

// refused demands that a token was refused with 401 and invalid_token, for this
// reason and in these words of the debug log, where they are not empty.
func (a *attempt) refused(what string, got answer, reason, detail string) {
	a.refusedWith(what, got, http.StatusUnauthorized, challengeInvalid, reason, detail)
}

func (a *attempt) refusedWith(what string, got answer, status int, challenge, reason, detail string) {
	if got.status != status || got.header.Get("Www-Authenticate") != challenge {
		a.errorf("%s: got %d with the challenge %q, want %d with %q: %s", what, got.status, got.header.Get("Www-Authenticate"), status, challenge, strings.TrimSpace(got.body))
		return
	}
	if r := a.refusals.of(got); reason != "" && r.reason != reason || detail != "" && r.detail != detail {
		a.errorf("%s: refused for %s, want %s %s", what, r, reason, detail)
	}
}

// until waits for something that has to happen. Against a twin it will not, as a rule.
func (a *attempt) until(what string, holds func() bool) {
	deadline := time.After(a.patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			a.fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// load gives the spare gateway a configuration for the rest of the attempt, and
// returns why it did not take it. KEYS, DIR, BACKEND, PORT stand for what they are.
func (a *attempt) load(sites string) error { return a.loadWith("", sites) }

// loadWith is load with global options.
func (a *attempt) loadWith(options, sites string) error {
	if !a.holdsSpare {
		a.taken.Lock()
		a.holdsSpare = true
		a.atEnd(a.taken.Unlock)
	}
	config := "{\n\tadmin " + a.spare.admin + "\n\tauto_https off\n\tpersist_config off\n\tmetrics\n" +
		"\tlog {\n\t\tlevel DEBUG\n\t\tformat redact\n\t}\n" + options + "}\n" + sites
	config = strings.NewReplacer("KEYS", a.issuers.addr, "DIR", a.dir, "BACKEND", a.backend, "PORT", port(a.spareAt)).Replace(config)
	// The admin endpoint that a load replaces may still take a connection, and reset it.
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var resp *http.Response
	var err error
	for range 3 {
		resp, err = fresh.Post("http://"+a.spare.admin+"/load", "text/caddyfile", strings.NewReader(config))
		if err == nil {
			break
		}
	}
	a.check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a.check(err)
	if resp.StatusCode != http.StatusOK {
		return errors.New(string(body))
	}
	return nil
}

// refusals are what the debug log says about refused requests.
type refusals struct {
	mu   sync.Mutex
	rest []byte
	byID map[string]refusal
	more chan struct{} // closed and made again with each
}

type refusal struct{ reason, detail string }

func (r refusal) String() string { return r.reason + ": " + r.detail }

func newRefusals() *refusals {
	return &refusals{byID: make(map[string]refusal), more: make(chan struct{})}
}

// Write takes a part of a log.
func (r *refusals) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest = append(r.rest, p...)
	for {
		line, after, found := bytes.Cut(r.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		var entry struct {
			Msg, Reason, Error string
			ID                 string `json:"request_id"`
		}
		if bytes.Contains(line, []byte(`"refused"`)) && json.Unmarshal(line, &entry) == nil && entry.Msg == "refused" {
			r.byID[entry.ID] = refusal{entry.Reason, entry.Error}
			close(r.more)
			r.more = make(chan struct{})
		}
		r.rest = append([]byte(nil), after...)
	}
}

// of returns why a request was refused, which its problem document identifies.
func (r *refusals) of(got answer) refusal {
	var problem struct {
		ID string `json:"request_id"`
	}
	if got.status < 400 || got.status == http.StatusBadGateway || json.Unmarshal([]byte(got.body), &problem) != nil || problem.ID == "" {
		return refusal{reason: "nothing"}
	}
	deadline := time.After(patience / 6)
	for {
		r.mu.Lock()
		found, ok := r.byID[problem.ID]
		more := r.more
		r.mu.Unlock()
		if ok {
			return found
		}
		select {
		case <-more:
		case <-deadline:
			return refusal{reason: "no line in the log"}
		}
	}
}

// metrics are those of a gateway as text.
func (a *attempt) metrics(g *gateway) string {
	resp, err := http.Get("http://" + g.admin + "/metrics")
	a.check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a.check(err)
	return string(body)
}

func (w *attacked) file(name string) string { return filepath.Join(w.dir, name) }
