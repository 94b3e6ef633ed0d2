package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	dto "github.com/prometheus/client_model/go"
	"github.com/valkey-io/valkey-go"
	"go.uber.org/goleak"

	"github.com/sallyport-gateway/sallyport/modules/internal/store/storetest"
)

const patience = 30 * time.Second

func open(t testing.TB, c Config) *Lease {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	l, err := Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Release() })
	return l
}

func noLeaks(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never happened: %s", what)
		}
	}
}

func set(ctx context.Context, c *Client, value string) error {
	_, err := c.Do(ctx, func(b valkey.Builder) valkey.Completed { return b.Set().Key("k").Value(value).Build() })
	return err
}

func get(ctx context.Context, c *Client) (string, error) {
	m, err := c.Do(ctx, func(b valkey.Builder) valkey.Completed { return b.Get().Key("k").Build() })
	if err != nil {
		return "", err
	}
	return m.ToString()
}

func TestEqualConfigurationsShareAClientThatConnectsWhenItIsUsed(t *testing.T) {
	noLeaks(t)
	r := storetest.Start(t)
	connections := func() int { return strings.Count(r.Command(t, "CLIENT", "LIST"), "name=sallyport") }
	first, second := open(t, Config{Address: []string{r.Addr}}), open(t, Config{Address: []string{r.Addr}})
	other := open(t, Config{Address: []string{r.Addr}, Timeout: caddy.Duration(2 * time.Second)})
	if first.Value() != second.Value() || first.Value() == other.Value() {
		t.Error("clients are not shared by equal configurations")
	}
	if n := connections(); n != 0 {
		t.Errorf("%d connections before it is used", n)
	}
	if err := set(t.Context(), first.Value(), "v"); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t.Context(), second.Value()); err != nil || got != "v" || connections() != 1 {
		t.Errorf("got %q, %v over %d connections", got, err, connections())
	}
	client := first.Value()
	share, err := client.Share()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Lease{first, second} {
		if err := l.Release(); err != nil {
			t.Error(err)
		}
	}
	if _, err := get(t.Context(), client); err != nil {
		t.Errorf("a share is left: %v", err)
	}
	share.Release()
	until(t, "the connection is closed", func() bool { return connections() == 0 })
	if _, err := get(t.Context(), client); !isReason(err, ReasonClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := client.Share(); !isReason(err, ReasonClosed) {
		t.Errorf("got %v", err)
	}
	if client.Reachable() == nil {
		t.Error("a closed client is reachable")
	}
}

func isReason(err error, reason string) bool {
	var e *Error
	return errors.As(err, &e) && e.Reason == reason
}

func TestWhatAnErrorSays(t *testing.T) {
	r := storetest.Start(t)
	c := open(t, Config{Address: []string{r.Addr}, Timeout: caddy.Duration(100 * time.Millisecond)}).Value()
	if _, err := get(t.Context(), c); !errors.Is(err, ErrNil) {
		t.Errorf("an absent value: %v", err)
	}
	_, err := c.Do(t.Context(), func(b valkey.Builder) valkey.Completed { return b.Arbitrary("NONSENSE", "hunter2").Build() })
	if !isReason(err, ReasonRefused) || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), r.Addr) {
		t.Errorf("an unknown command: %v", err)
	}
	if err := c.Reachable(); err != nil {
		t.Errorf("a refusal is an answer: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := get(cancelled, c); !errors.Is(err, context.Canceled) || isReason(err, ReasonTimeout) {
		t.Errorf("a cancelled call: %v", err)
	}
	r.Pause()
	if _, err := get(t.Context(), c); !isReason(err, ReasonTimeout) {
		t.Errorf("a server that is stopped: %v", err)
	}
	r.Resume()
	until(t, "it answers", func() bool { _, err := get(t.Context(), c); return errors.Is(err, ErrNil) })
	r.Kill()
	until(t, "it is away", func() bool { _, err := get(t.Context(), c); return isReason(err, ReasonAway) })
	until(t, "the gauge says so", func() bool { return gauge(t, r.Addr) == 0 })
	r.Launch(t)
	until(t, "it is up without being asked", func() bool { return gauge(t, r.Addr) == 1 })
	for outcome, want := range map[string]float64{"ok": 2, ReasonRefused: 1, ReasonTimeout: 1, ReasonAway: 1} {
		if got := outcomeCount(t, r.Addr, outcome); got < want {
			t.Errorf("%s was counted %v times", outcome, got)
		}
	}
}

func gauge(t *testing.T, store string) float64 {
	t.Helper()
	var m dto.Metric
	if err := upGauge.WithLabelValues(store).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}

func outcomeCount(t *testing.T, store, outcome string) float64 {
	t.Helper()
	var m dto.Metric
	if err := commands.WithLabelValues(store, outcome).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func TestAStoppedServerHoldsNobodyUp(t *testing.T) {
	noLeaks(t)
	r := storetest.Start(t)
	r.Pause()
	l := open(t, Config{Address: []string{r.Addr}, Timeout: caddy.Duration(50 * time.Millisecond)})
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			if _, err := get(t.Context(), l.Value()); !isReason(err, ReasonTimeout) {
				t.Errorf("got %v", err)
			}
		})
	}
	callers.Wait()
	if l.Value().Reachable() == nil {
		t.Error("it is reachable")
	}
	if err := l.Release(); err != nil { // goleak sees what it leaves
		t.Error(err)
	}
	r.Resume()
}

// TestConnectingMayTakeLongerThanACommand has a proxy that is slow to connect.
func TestConnectingMayTakeLongerThanACommand(t *testing.T) {
	noLeaks(t)
	r := storetest.Start(t)
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var relays sync.WaitGroup
	defer func() {
		proxy.Close()
		relays.Wait()
	}()
	relays.Go(func() {
		for {
			in, err := proxy.Accept()
			if err != nil {
				return
			}
			<-time.After(300 * time.Millisecond)
			out, err := net.Dial("tcp", r.Addr)
			if err != nil {
				t.Error(err)
				return
			}
			relays.Go(func() { io.Copy(out, in); out.Close() })
			relays.Go(func() { io.Copy(in, out); in.Close() })
		}
	})
	l := open(t, Config{Address: []string{proxy.Addr().String()}, Timeout: caddy.Duration(50 * time.Millisecond)})
	defer l.Release()
	if err := set(t.Context(), l.Value(), "v"); !isReason(err, ReasonTimeout) {
		t.Errorf("got %v", err)
	}
	until(t, "it is connected", func() bool { return set(t.Context(), l.Value(), "v") == nil })
}

func TestAServerThatRepeatsThePasswordDoesNotGetItIntoErrors(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if strings.HasPrefix(line, "*") {
						fmt.Fprint(conn, "-ERR unknown command `X`, with args beginning with: `3` `AUTH` `default` `hunter2`\r\n")
					}
				}
			}()
		}
	}()
	t.Setenv("SALLYPORT_TEST_PASSWORD", "hunter2")
	c := open(t, Config{Address: []string{"redis://:{env.SALLYPORT_TEST_PASSWORD}@" + server.Addr().String()}}).Value()
	_, err = get(t.Context(), c)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestSocketsAndDatabases(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "r")
	r := storetest.Start(t, "--unixsocket", socket)
	for _, address := range []string{"unix://" + socket, "redis://" + r.Addr + "/3"} {
		if err := set(t.Context(), open(t, Config{Address: []string{address}}).Value(), address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if zero, three := r.Command(t, "GET", "k"), r.Command(t, "-n", "3", "GET", "k"); zero != "unix://"+socket || !strings.HasSuffix(three, "/3") {
		t.Errorf("got %q and %q", zero, three)
	}
}

func TestTheServerAndTheClientProveThemselves(t *testing.T) {
	t.Setenv("SALLYPORT_TEST_PASSWORD", "right")
	r := storetest.StartTLS(t, "right")
	file := func(name string) string { return filepath.Join(r.Dir, name) }
	good := Config{
		Address: []string{"rediss://:{env.SALLYPORT_TEST_PASSWORD}@" + r.Addr}, CA: file("ca.pem"),
		ClientCertificate: file("client.pem"), ClientKey: file("client.key"), Timeout: caddy.Duration(5 * time.Second),
	}
	strange, anonymous, named := good, good, good
	strange.CA = ""
	anonymous.ClientCertificate, anonymous.ClientKey = "", ""
	named.Address = []string{strings.Replace(good.Address[0], "127.0.0.1", "localhost", 1)}
	for name, tt := range map[string]struct {
		config Config
		works  bool
	}{
		"a server of the authority":                   {good, true},
		"a server that the system does not know":      {strange, false},
		"a client without a certificate":              {anonymous, false},
		"a server that is not the one of the address": {named, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := set(t.Context(), open(t, tt.config).Value(), "v"); (err == nil) != tt.works {
				t.Errorf("got %v", err)
			}
		})
	}
	believing := strange
	believing.InsecureSkipVerify = true
	if err := set(t.Context(), open(t, believing).Value(), "v"); err != nil {
		t.Error(err)
	}
}

func TestWhatIsMissingIsSaidWhileProvisioning(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	junk := filepath.Join(t.TempDir(), "junk")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]Config{
		"SALLYPORT_TEST_UNSET": {Address: []string{"redis://:{env.SALLYPORT_TEST_UNSET}@h"}},
		"none.pem":             {Address: []string{"rediss://h"}, CA: "none.pem"},
		"no certificate":       {Address: []string{"rediss://h"}, CA: junk},
		"client_certificate":   {Address: []string{"rediss://h"}, ClientCertificate: junk, ClientKey: junk},
	} {
		if _, err := Open(ctx, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

// BenchmarkCommand has the raw client for a floor.
func BenchmarkCommand(b *testing.B) {
	r := storetest.Start(b)
	b.Run("raw", func(b *testing.B) {
		raw, err := valkey.NewClient(valkey.ClientOption{InitAddress: []string{r.Addr}, DisableCache: true, ForceSingleClient: true, AlwaysPipelining: true})
		if err != nil {
			b.Fatal(err)
		}
		defer raw.Close()
		b.ReportAllocs()
		for b.Loop() {
			if err := raw.Do(b.Context(), raw.B().Set().Key("k").Value("v").Build()).Error(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("client", func(b *testing.B) {
		c := open(b, Config{Address: []string{r.Addr}}).Value()
		b.ReportAllocs()
		for b.Loop() {
			if err := set(b.Context(), c, "v"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
