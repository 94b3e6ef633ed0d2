// Package integration drives the real binary behind a real load balancer. It
// builds the binary once; every test starts its own gateways and ends what it
// started.
//
// Where addresses do not matter, gateways are on free ports of the loopback
// interface (start, startHAProxy, clientFrom). Where they do, they are in a
// network of their own (newLab), which takes root: without it, the tests run
// themselves with sudo.
package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// binary is the gateway under test.
var binary string

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if binary = os.Getenv(builtBinary); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "sallyport-integration")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "caddy")
	args := []string{"build", "-o", binary}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "./xcaddy")...)
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the gateway: %v\n%s", err, out)
		return 1
	}
	if os.Geteuid() != 0 {
		return runAsRoot()
	}
	return m.Run()
}

// builtBinary is the variable that tells the tests of a binary built before.
const builtBinary = "SALLYPORT_BINARY"

// runAsRoot runs the tests as root, who may make networks.
func runAsRoot() int {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	args := []string{"-n", "-E", "env", "PATH=" + os.Getenv("PATH"), builtBinary + "=" + binary, self}
	cmd := exec.Command("sudo", append(args, os.Args[1:]...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "the tests as root: %v\n", err)
		return 1
	}
	return 0
}

// patience bounds every wait for something that has to happen.
const patience = 60 * time.Second

// gateway is a running gateway.
type gateway struct {
	admin  string       // host:port of its admin endpoint
	client *http.Client // reaches it
	dir    string       // its working directory
	log    *buffer
	env    []string
}

// start runs the gateway with a Caddyfile in dir, whose {$NAME} are taken from
// env. Its admin endpoint has to be at {$ADMIN}. It returns once the endpoint
// answers; the gateway ends with the test.
func start(t testing.TB, dir, caddyfile string, env map[string]string) *gateway {
	t.Helper()
	g := newGateway(t, dir, freeAddr(t), env)
	g.start(t, exec.Command(binary, "run", "--adapter", "caddyfile", "--config", caddyfile))
	return g
}

func newGateway(t testing.TB, dir, admin string, env map[string]string) *gateway {
	t.Helper()
	g := &gateway{admin: admin, client: http.DefaultClient, dir: dir, log: new(buffer)}
	g.env = append(os.Environ(), "ADMIN="+g.admin, "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir(),
		"GORACE=halt_on_error=0 exitcode=66")
	for name, value := range env {
		g.env = append(g.env, name+"="+value)
	}
	return g
}

// start runs the gateway's command, until the test ends: then it ends at once,
// without draining. What it writes goes to the log, unless the command says
// otherwise. The channel gets what it ended with.
func (g *gateway) start(t testing.TB, cmd *exec.Cmd) <-chan error {
	t.Helper()
	cmd.Dir, cmd.Env = g.dir, g.env
	if cmd.Stdout == nil {
		cmd.Stdout, cmd.Stderr = g.log, g.log
	}
	exited := run(t, cmd, syscall.SIGQUIT)
	t.Cleanup(func() {
		if strings.Contains(g.log.String(), "DATA RACE") {
			t.Errorf("the gateway has a data race:\n%s", g.log)
		}
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", g.log)
		}
	})
	waitFor(t, "the admin endpoint", func() bool {
		select {
		case err := <-exited:
			t.Fatalf("the gateway ended: %v\n%s", err, g.log)
		default:
		}
		return getFrom(g.client, "http://"+g.admin+"/config/") == nil
	})
	return exited
}

// load posts a configuration to the admin endpoint, as `caddy reload` does, and
// returns the error with which it was rejected.
func (g *gateway) load(t testing.TB, admin, caddyfile string) error {
	t.Helper()
	cmd := exec.Command(binary, "reload", "--address", admin, "--force", "--adapter", "caddyfile", "--config", caddyfile)
	cmd.Dir, cmd.Env = g.dir, g.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// metric reads a counter, by its name with labels. One that is not there yet is 0.
func (g *gateway) metric(t testing.TB, name string) float64 {
	t.Helper()
	for line := range strings.Lines(send(t, g.client, "GET", "http://"+g.admin+"/metrics").body) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	return 0
}

// run starts a command, and stops it with the signal when the test ends. The
// channel gets what it ended with.
func run(t testing.TB, cmd *exec.Cmd, stop os.Signal) <-chan error {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", cmd.Path, err)
	}
	exited := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		exited <- cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(stop)
		select {
		case <-done:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-done
			t.Errorf("%s did not end", cmd.Path)
		}
	})
	return exited
}

// startHAProxy runs HAProxy with a configuration, and waits for its address.
func startHAProxy(t *testing.T, config, addr string) {
	t.Helper()
	file := write(t, t.TempDir(), "haproxy.cfg", config)
	awaitHAProxy(t, exec.Command(haproxy(t), "-db", "-f", file), func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	})
}

func haproxy(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("haproxy")
	if err != nil {
		t.Fatalf("these tests need HAProxy (make test installs it): %v", err)
	}
	return path
}

// awaitHAProxy runs HAProxy's command and waits until it can be dialled.
func awaitHAProxy(t *testing.T, cmd *exec.Cmd, dial func(context.Context) (net.Conn, error)) {
	t.Helper()
	var out buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	exited := run(t, cmd, os.Interrupt)
	waitFor(t, "HAProxy", func() bool {
		select {
		case err := <-exited:
			t.Fatalf("HAProxy ended: %v\n%s", err, &out)
		default:
		}
		conn, err := dial(t.Context())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// clientFrom is a client whose address is ip, one of the loopback network. It asks
// TLS servers for the site of these tests and takes any certificate.
func clientFrom(t testing.TB, ip string) *http.Client {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	return newClient(t, dialer.DialContext)
}

func newClient(t testing.TB, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *http.Client {
	t.Helper()
	transport := &http.Transport{
		DialContext:        dial,
		TLSClientConfig:    &tls.Config{ServerName: site, InsecureSkipVerify: true},
		DisableCompression: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is what came back for a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// send does one request with header lines given as name, value, …
func send(t testing.TB, c *http.Client, method, url string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func get(url string) error { return getFrom(http.DefaultClient, url) }

func getFrom(c *http.Client, url string) error {
	resp, err := c.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}

// waitFor asks until something holds.
func waitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// lastPort is the last one that freeAddr gave away. It counts below the range
// from which the kernel takes ports for outgoing connections, of which these tests
// make many: one of them could otherwise take a port before its server does.
var lastPort atomic.Int32

func init() { lastPort.Store(20000) }

func freeAddr(t testing.TB) string {
	t.Helper()
	for {
		addr := fmt.Sprintf("127.0.0.1:%d", lastPort.Add(1))
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		ln.Close()
		return addr
	}
}

func port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// caddy runs a subcommand of the gateway's binary and returns what it printed.
func caddy(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("caddy %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}

// buffer collects what a process writes; it is safe for concurrent use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
