package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// A lab is a network of its own, in namespaces that the test makes and removes: a
// balancer between clients and two gateways, as a cloud has it, with the addresses
// that the documentation of the suite uses. Ports are fixed, because nobody else
// is there.
//
//	client    198.51.100.7, .8, .66   2001:db8:51::7, ::8 ┐
//	balancer  198.51.100.10           2001:db8:51::10     ┴ front
//	balancer  10.0.1.5                2001:db8:1::5       ┐
//	gw-a      10.0.1.11               2001:db8:1::11      │
//	gw-b      10.0.1.12               2001:db8:1::12      │ inside
//	insider   10.0.1.99               2001:db8:1::99      ┘ a client in the balancer's network
//	backend   10.0.2.10                                   ─ back
//	attacker  203.0.113.66            2001:db8:66::66     ─ outside
//
// A router joins the four networks and forwards everything: nothing but the
// gateways keeps the attacker out. It also leads vip to the balancer, an address
// as Google's balancers have, under which clients know the balancer.
type lab struct {
	name       string // what the namespaces' names begin with
	home       *os.File
	namespaces map[string]*os.File // by host
}

// The lab's addresses that tests name.
const (
	clientA      = "198.51.100.7"
	clientB      = "198.51.100.8"
	clientDenied = "198.51.100.66"
	clientA6     = "2001:db8:51::7"
	clientB6     = "2001:db8:51::8"
	front        = "198.51.100.10"
	vip          = "192.0.2.80"
	inside       = "10.0.1.5"
	gatewayA     = "10.0.1.11"
	gatewayB     = "10.0.1.12"
	insider      = "10.0.1.99"
	origin       = "10.0.2.10"
	attacker     = "203.0.113.66"
)

// networks are the router's bridges with its addresses there.
var networks = map[string][]string{
	"front":   {"198.51.100.1/24", "2001:db8:51::1/64"},
	"inside":  {"10.0.1.1/24", "2001:db8:1::1/64"},
	"back":    {"10.0.2.1/24"},
	"outside": {"203.0.113.1/24", "2001:db8:66::1/64"},
}

// links are the hosts' interfaces; the first of a host leads to everywhere else.
var links = []struct {
	host, network string
	addresses     []string
}{
	{"client", "front", []string{"198.51.100.7/24", "198.51.100.8/24", "198.51.100.66/24", "2001:db8:51::7/64", "2001:db8:51::8/64"}},
	{"balancer", "front", []string{"198.51.100.10/24", "2001:db8:51::10/64", vip + "/32"}},
	{"balancer", "inside", []string{"10.0.1.5/24", "2001:db8:1::5/64"}},
	{"gw-a", "inside", []string{"10.0.1.11/24", "2001:db8:1::11/64"}},
	{"gw-b", "inside", []string{"10.0.1.12/24", "2001:db8:1::12/64"}},
	{"insider", "inside", []string{"10.0.1.99/24", "2001:db8:1::99/64"}},
	{"backend", "back", []string{"10.0.2.10/24"}},
	{"attacker", "outside", []string{"203.0.113.66/24", "2001:db8:66::66/64"}},
}

var labs atomic.Int32 // that this process made

// newLab makes the network, which is removed when the test ends.
func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{name: fmt.Sprintf("sallyport-%d-%d", os.Getpid(), labs.Add(1)), namespaces: map[string]*os.File{}}
	l.home = openNamespace(t, "/proc/thread-self/ns/net")

	hosts := []string{"router"}
	for _, link := range links {
		if link.host != hosts[len(hosts)-1] {
			hosts = append(hosts, link.host)
		}
	}
	t.Cleanup(func() {
		for _, host := range hosts {
			// What could not be made cannot be removed either.
			if _, err := os.Stat(l.path(host)); err == nil {
				l.ip(t, nil, "netns del "+l.namespace(host))
			}
		}
	})
	var batch []string
	for _, host := range hosts {
		batch = append(batch, "netns add "+l.namespace(host))
	}
	for i, link := range links {
		batch = append(batch, fmt.Sprintf("link add link%d netns %s type veth peer name %s netns %s",
			i, l.namespace("router"), link.network, l.namespace(link.host)))
	}
	l.ip(t, nil, batch...)
	for _, host := range hosts {
		l.namespaces[host] = openNamespace(t, l.path(host))
		l.configure(t, host)
	}
	l.in("router", func() {
		for _, file := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"} {
			if err := os.WriteFile(file, []byte("1"), 0); err != nil {
				t.Error(err)
			}
		}
	})
	return l
}

// configure gives a host its addresses and routes.
func (l *lab) configure(t *testing.T, host string) {
	t.Helper()
	batch := []string{"link set lo up"}
	if host == "router" {
		for network, addresses := range networks {
			batch = append(batch, "link add "+network+" type bridge", "link set "+network+" up")
			for _, address := range addresses {
				batch = append(batch, "address add "+address+" dev "+network+nodad(address))
			}
		}
		for i, link := range links {
			batch = append(batch, fmt.Sprintf("link set link%d master %s up", i, link.network))
		}
		l.ip(t, []string{"-n", l.namespace(host)}, append(batch, "route add "+vip+" via "+front)...)
		return
	}
	leads := false // everywhere, already
	for _, link := range links {
		if link.host != host {
			continue
		}
		batch = append(batch, "link set "+link.network+" up")
		for _, address := range link.addresses {
			batch = append(batch, "address add "+address+" dev "+link.network+nodad(address))
		}
		for _, router := range networks[link.network] {
			if address, _, _ := strings.Cut(router, "/"); !leads {
				batch = append(batch, "route add default via "+address)
			}
		}
		leads = true
	}
	l.ip(t, []string{"-n", l.namespace(host)}, batch...)
}

// nodad is the option with which an IPv6 address can be used at once, instead of
// after the kernel has looked for another owner.
func nodad(address string) string {
	if strings.Contains(address, ":") {
		return " nodad"
	}
	return ""
}

func (l *lab) namespace(host string) string { return l.name + "-" + host }

func (l *lab) path(host string) string { return filepath.Join("/run/netns", l.namespace(host)) }

// ip runs a batch of commands of ip(8).
func (l *lab) ip(t *testing.T, options []string, batch ...string) {
	t.Helper()
	cmd := exec.Command("ip", append(options, "-batch", "-")...)
	cmd.Stdin = strings.NewReader(strings.Join(batch, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ip: %v\n%s\nof\n%s", err, out, strings.Join(batch, "\n"))
	}
}

func openNamespace(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// in runs f inside of a host: a socket that f opens is that host's, wherever it
// is used later. f must not start goroutines that open more.
func (l *lab) in(host string, f func()) {
	runtime.LockOSThread()
	l.enter(l.namespaces[host])
	f()
	l.enter(l.home)
	runtime.UnlockOSThread()
}

// enter moves the thread. A thread that cannot move must not be used for anything
// else, so failing is not an option.
func (l *lab) enter(namespace *os.File) {
	number := map[string]uintptr{"amd64": 308, "arm64": 268}[runtime.GOARCH] // of setns(2), which package syscall lacks on amd64
	if _, _, errno := syscall.RawSyscall(number, namespace.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
		panic(fmt.Sprintf("entering %s: %v", namespace.Name(), errno))
	}
}

// dial connects from a host, from one of its addresses or, with "", from the one
// that the kernel chooses.
func (l *lab) dial(ctx context.Context, host, source, addr string) (conn net.Conn, err error) {
	var dialer net.Dialer
	if source != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	l.in(host, func() { conn, err = dialer.DialContext(ctx, "tcp", addr) })
	return conn, err
}

// listen listens on a host, until the test ends.
func (l *lab) listen(t *testing.T, host, addr string) net.Listener {
	t.Helper()
	var ln net.Listener
	var err error
	l.in(host, func() { ln, err = net.Listen("tcp", addr) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// client is an HTTP client on a host, with one of its addresses.
func (l *lab) client(t *testing.T, host, source string) *http.Client {
	t.Helper()
	return newClient(t, func(ctx context.Context, _, addr string) (net.Conn, error) {
		return l.dial(ctx, host, source, addr)
	})
}

// command is a process on a host.
func (l *lab) command(host, name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", l.namespace(host), name}, args...)...)
}

// gateway starts a gateway on a host. Its Caddyfile has to have `admin {$ADMIN}`.
func (l *lab) gateway(t *testing.T, host, caddyfile string, env map[string]string) *gateway {
	t.Helper()
	g := newGateway(t, t.TempDir(), "127.0.0.1:2019", env)
	g.client = l.client(t, host, "")
	file := write(t, g.dir, "Caddyfile", caddyfile)
	g.start(t, l.command(host, binary, "run", "--adapter", "caddyfile", "--config", file))
	return g
}

// haproxy starts HAProxy as the lab's balancer and waits for the address.
func (l *lab) haproxy(t *testing.T, config, addr string) {
	t.Helper()
	file := write(t, t.TempDir(), "haproxy.cfg", config)
	awaitHAProxy(t, l.command("balancer", haproxy(t), "-db", "-f", file), func(ctx context.Context) (net.Conn, error) {
		return l.dial(ctx, "balancer", "", addr)
	})
}

func TestTheLabIsANetworkOfItsOwn(t *testing.T) {
	l := newLab(t)
	tests := []struct{ name, host, source, server, addr string }{
		{"a client reaches the balancer", "client", clientA, "balancer", front + ":80"},
		{"over IPv6 too", "client", clientB6, "balancer", "[2001:db8:51::10]:80"},
		{"under the balancer's virtual address", "client", clientB, "balancer", vip + ":80"},
		{"the balancer reaches a gateway", "balancer", inside, "gw-a", gatewayA + ":80"},
		{"and the other one", "balancer", inside, "gw-b", gatewayB + ":80"},
		{"a gateway reaches the backend", "gw-a", gatewayA, "backend", origin + ":80"},
		{"the attacker reaches the balancer", "attacker", attacker, "balancer", front + ":80"},
		{"and a gateway past it", "attacker", attacker, "gw-b", gatewayB + ":80"},
		{"and the backend", "attacker", attacker, "backend", origin + ":80"},
		{"a client may be in the balancer's network", "insider", insider, "balancer", inside + ":80"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ln := l.listen(t, tt.server, tt.addr)
			conn, err := l.dial(t.Context(), tt.host, tt.source, tt.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			accepted, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close()
			if got, _, _ := net.SplitHostPort(accepted.RemoteAddr().String()); got != tt.source {
				t.Errorf("the connection comes from %s, want %s", got, tt.source)
			}
			if _, err := io.WriteString(conn, "x"); err != nil {
				t.Error(err)
			}
		})
	}
	if here, err := os.Readlink("/proc/thread-self/ns/net"); err != nil || here != fmt.Sprintf("net:[%d]", inode(t, l.home)) {
		t.Errorf("the test did not come home: %s, %v", here, err)
	}
}

func inode(t *testing.T, file *os.File) uint64 {
	t.Helper()
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(file.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Ino
}
