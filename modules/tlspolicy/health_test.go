package tlspolicy

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// eventually waits for something that has to happen.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// handshakes does them without a pause until it is stopped, and knows which
// certificates were shown.
type handshakes struct {
	stop func()

	mu     sync.Mutex
	failed []error
	seen   map[int64]int
}

func shake(t *testing.T, addr, name string) *handshakes {
	t.Helper()
	h := &handshakes{seen: map[int64]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for ctx.Err() == nil {
				serial, err := shown(addr, name)
				h.mu.Lock()
				if err != nil {
					h.failed = append(h.failed, err)
				} else {
					h.seen[serial]++
				}
				h.mu.Unlock()
			}
		})
	}
	h.stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	t.Cleanup(h.stop)
	return h
}

func (h *handshakes) times(serial int64) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen[serial]
}

// shown is the serial number of the certificate that the gateway shows.
func shown(addr, name string) (int64, error) {
	conn, err := tls.Dial("tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true, VerifyConnection: func(c tls.ConnectionState) error {
		if len(c.PeerCertificates) != 2 {
			return fmt.Errorf("a chain of %d", len(c.PeerCertificates))
		}
		return nil
	}})
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

// TestCertificatesChangeUnderTraffic changes the files in every way that they are
// changed in, with half-states in between, while clients connect all the time.
func TestCertificatesChangeUnderTraffic(t *testing.T) {
	ca := newAuthority(t)
	key := newKey(t, "ecdsa")
	dir := t.TempDir()
	swap := func(target string) { // as the kubelet does
		if err := os.Symlink(target, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	cert, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	first := ca.good(t, "a.example")
	first.put(t, filepath.Join(dir, "..1"))
	swap("..1")
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	g := gatetest.Run(t, site("a.example", mounted(cert, keyFile), "respond ok"))
	p := inForce.Load().subjects()[0].mounted.pairs[0]
	refused := func() bool { _, err := p.state(); return err != nil }
	traffic := shake(t, strings.TrimPrefix(g.URL, "http://"), "a.example")
	eventually(t, "the first certificate", func() bool { return traffic.times(first.serial(t)) > 3 })

	rename := func(name, content string) {
		putFile(t, name+".new", content)
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
	}
	version := 1
	steps := []struct {
		name   string
		change func(i issued)
	}{
		{"a swap of symbolic links", func(i issued) {
			version++
			target := fmt.Sprintf("..%d", version)
			i.put(t, filepath.Join(dir, target))
			swap(target)
		}},
		{"a write in place, the certificate first", func(i issued) {
			putFile(t, cert, i.cert)
			eventually(t, "the half-state to be seen", refused)
			putFile(t, keyFile, i.key)
		}},
		{"a write in place, the key first", func(i issued) {
			putFile(t, keyFile, i.key)
			eventually(t, "the half-state to be seen", refused)
			putFile(t, cert, i.cert)
		}},
		{"a rename, the certificate first", func(i issued) {
			rename(cert, i.cert)
			eventually(t, "the half-state to be seen", refused)
			rename(keyFile, i.key)
		}},
		{"files that are empty for a time", func(i issued) {
			putFile(t, cert, "")
			putFile(t, keyFile, "")
			eventually(t, "the half-state to be seen", refused)
			i.put(t, dir)
		}},
		{"files that are away for a time", func(i issued) {
			if err := errors.Join(os.Remove(cert), os.Remove(keyFile)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the half-state to be seen", refused)
			i.put(t, dir)
		}},
		{"an expired pair in between", func(i issued) {
			ca.issue(t, key, -2*time.Hour, -time.Hour, "a.example").put(t, dir)
			eventually(t, "the half-state to be seen", refused)
			i.put(t, dir)
		}},
		{"a chain that is cut off in between", func(i issued) {
			putFile(t, cert, i.cert[:len(i.cert)-50])
			putFile(t, keyFile, i.key)
			eventually(t, "the half-state to be seen", refused)
			putFile(t, cert, i.cert)
		}},
	}
	before := first
	for _, step := range steps {
		after := ca.good(t, "a.example")
		if traffic.times(before.serial(t)) == 0 {
			t.Errorf("%s: the old one was not shown", step.name)
		}
		step.change(after)
		eventually(t, "the new certificate after "+step.name, func() bool { return traffic.times(after.serial(t)) > 0 })
		if refused() {
			t.Errorf("%s: the files are still refused", step.name)
		}
		before = after
	}
	traffic.stop()
	if len(traffic.failed) > 0 {
		t.Errorf("%d handshakes failed, the first with %v", len(traffic.failed), traffic.failed[0])
	}
	if len(traffic.seen) != len(steps)+1 {
		t.Errorf("%d certificates were shown, want %d", len(traffic.seen), len(steps)+1)
	}
}

func TestAReloadKeepsTheGoodCertificateOfBadFiles(t *testing.T) {
	good := newAuthority(t).good(t, "a.example")
	cert, key := good.put(t, t.TempDir())
	g := gatetest.Run(t, site("a.example", mounted(cert, key), "respond before"))
	putFile(t, key, "")
	for _, body := range []string{"after", "again"} {
		if err := g.Reload(t, site("a.example", mounted(cert, key), "respond "+body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Reload(t, site("a.example", mounted(cert, key), "tls_policy modern", "tls_policy intermediate")); err == nil {
		t.Fatal("the rejected reload was not")
	}
	if serial, err := shown(strings.TrimPrefix(g.URL, "http://"), "a.example"); err != nil || serial != good.serial(t) {
		t.Errorf("got %d, %v", serial, err)
	}
}

func TestAReloadThatChangesOnlyPollKeepsTheGoodCertificate(t *testing.T) {
	ca := newAuthority(t)
	good, after := ca.good(t, "a.example"), ca.good(t, "a.example")
	cert, key := good.put(t, t.TempDir())
	with := func(poll string) string {
		return site("a.example", strings.Replace(mounted(cert, key), "poll 50ms", "poll "+poll, 1), "respond ok")
	}
	g := gatetest.Run(t, with("1h"))
	putFile(t, key, "")
	for _, poll := range []string{"2h", "30m", "60ms"} {
		if err := g.Reload(t, with(poll)); (err != nil) != (poll == "2h") {
			t.Fatal(err)
		}
		if serial := inForceSerial(inForce.Load().subjects()[0].mounted.pairs[0]); serial != good.serial(t) {
			t.Errorf("poll %s: %d is in force", poll, serial)
		}
	}
	putFile(t, cert, after.cert)
	putFile(t, key, after.key)
	eventually(t, "good files within the new interval", func() bool {
		return inForceSerial(inForce.Load().subjects()[0].mounted.pairs[0]) == after.serial(t)
	})
}

func TestACertificateForAnotherNameReplacesNoGoodOne(t *testing.T) {
	ca := newAuthority(t)
	good, other := ca.good(t, "a.example"), ca.good(t, "b.example")
	cert, key := good.put(t, t.TempDir())
	g := gatetest.Run(t, site("a.example", mounted(cert, key), "respond ok"))
	p := inForce.Load().subjects()[0].mounted.pairs[0]
	putFile(t, cert, other.cert)
	putFile(t, key, other.key)
	eventually(t, "the other one to be refused", func() bool {
		_, err := p.state()
		return err != nil && strings.Contains(err.Error(), "not for a.example")
	})
	if serial := inForceSerial(p); serial != good.serial(t) {
		t.Errorf("%d is in force", serial)
	}
	if errs := config(t).NotReady(); len(errs) > 0 {
		t.Errorf("not ready with the good one: %v", errs)
	}
	// A site that changes its name takes it.
	if err := g.Reload(t, site("b.example", mounted(cert, key), "respond ok")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the certificate for the new name", func() bool { return inForceSerial(p) == other.serial(t) })
}

func TestASiteWithANameShowsItsCertificateForThatNameOnly(t *testing.T) {
	good := newAuthority(t).good(t, "a.example")
	cert, key := good.put(t, t.TempDir())
	g := gatetest.Run(t, site("a.example", mounted(cert, key), "respond ok"))
	for name, shows := range map[string]bool{"a.example": true, "A.EXAMPLE": true, "other.example": false, "": false, "127.0.0.1": false} {
		if _, err := shown(strings.TrimPrefix(g.URL, "http://"), name); (err == nil) != shows {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestWithoutAPairHandshakesFailAndNothingIsObtained(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	g := gatetest.Run(t, site("a.example", mounted(cert, key), "respond ok"))
	addr := strings.TrimPrefix(g.URL, "http://")
	if serial, err := shown(addr, "a.example"); err == nil {
		t.Fatalf("got certificate %d out of nowhere", serial)
	}
	late := newAuthority(t).good(t, "a.example")
	late.put(t, dir)
	eventually(t, "the late files", func() bool { serial, _ := shown(addr, "a.example"); return serial == late.serial(t) })
}

func TestASiteWithoutANameShowsItsCertificateToEverybody(t *testing.T) {
	good := newAuthority(t).good(t, "a.example")
	cert, key := good.put(t, t.TempDir())
	automatic := strings.Replace(gatetest.Globals, "\tauto_https off\n", "\tauto_https disable_redirects\n\tstorage file_system "+t.TempDir()+"\n\tskip_install_trust\n", 1)
	for what, globals := range map[string]string{"without automatic HTTPS": "", "with it": automatic} {
		t.Run(what, func(t *testing.T) {
			g := gatetest.Run(t, globals+site("", mounted(cert, key), "tls_policy intermediate", "respond ok"))
			for _, name := range []string{"a.example", "other.example", "10.0.0.1", ""} {
				if serial, err := shown(strings.TrimPrefix(g.URL, "http://"), name); err != nil || serial != good.serial(t) {
					t.Errorf("%s: got %d, %v", name, serial, err)
				}
			}
			if errs := config(t).NotReady(); len(errs) > 0 {
				t.Errorf("not ready: %v", errs)
			}
		})
	}
}

// config is what the modules of the running configuration share.
func config(t *testing.T) *suite.Config {
	t.Helper()
	app, err := caddy.ActiveContext().App(suite.AppName)
	if err != nil {
		t.Fatal(err)
	}
	return app.(suite.Owner).Suite()
}

func TestReadinessFailsWhereTheOnlyCertificateIsBad(t *testing.T) {
	ca := newAuthority(t)
	good, expired := ca.good(t, "a.example"), ca.issue(t, newKey(t, "ecdsa"), -2*time.Hour, -time.Hour, "a.example")
	future := ca.issue(t, newKey(t, "ecdsa"), time.Hour, 2*time.Hour, "a.example")
	put := func(i issued) string {
		cert, key := i.put(t, t.TempDir())
		return mounted(cert, key)
	}
	file := func(i issued) string {
		cert, key := i.put(t, t.TempDir())
		return "tls " + cert + " " + key
	}
	guard := "tls_policy intermediate"
	acme := strings.Replace(gatetest.Globals, "\tauto_https off\n", "\tauto_https disable_redirects\n\tacme_ca https://127.0.0.1:1/none\n\tstorage file_system "+t.TempDir()+"\n\tskip_install_trust\n", 1)
	tests := []struct{ name, config, want string }{
		{"mounted and good", site("a.example", put(good), guard), ""},
		{"mounted and expired", site("a.example", put(expired), guard), "a.example: the certificate has expired"},
		{"mounted and not valid yet", site("a.example", put(future), guard), "a.example: the certificate is not valid before"},
		{"mounted and missing", site("a.example", mounted("/nonexistent/tls.crt", "/nonexistent/tls.key"), guard), "a.example has no certificate"},
		{"mounted for a site without a name, and expired", site("", put(expired), guard), "expired"},
		{"mounted and for another name", site("b.example", put(good), guard), "b.example: the certificate is for other names"},
		{"mounted for a site without a name, whatever it is for", site("", put(good), guard), ""},
		{"mounted for an address, which no handshake names", site("127.0.0.1", put(ca.good(t, "127.0.0.1")), "respond ok"), "127.0.0.1 has no certificate: handshakes name no address"},
		{"from files for an address", site("127.0.0.1", file(ca.good(t, "127.0.0.1")), guard), ""},
		{"from a manager that is asked at each handshake", site("api.internal", "tls {\n\t\tget_certificate http http://127.0.0.1:1/\n\t}", guard), ""},
		{"from files and good", site("a.example", file(good), guard), ""},
		{"from files and expired", site("a.example", file(expired), guard), "a.example: the certificate has expired"},
		{"from files for no name", site("a.example", guard), "a.example has no certificate"},
		{"one of two names", site("a.example", put(good), guard) + site("b.example", put(expired), guard), "b.example: the certificate has expired"},
		{"an expired one beside a good one", site("a.example", func() string {
			bad, badKey := expired.put(t, t.TempDir())
			cert, key := good.put(t, t.TempDir())
			return "tls {\n\t\tget_certificate mounted {\n\t\t\tpair " + bad + " " + badKey + "\n\t\t\tpair " + cert + " " + key + "\n\t\t}\n\t}"
		}(), guard), ""},
		{"plain HTTP", strings.Replace(gatetest.Globals, "{\n", "{\n\tsallyport {\n\t}\n", 1) + "{$ADDR} {\n\trespond ok\n}\n", ""},
		{"to be obtained by a challenge that comes through the balancer", acme + site("api.example.com", guard), ""},
		{"expired in files, which no challenge replaces", acme + site("a.example", file(expired), guard), "a.example: the certificate has expired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gatetest.Run(t, tt.config)
			var text string
			for _, err := range config(t).NotReady() {
				text += err.Error() + "\n"
			}
			if (text == "") != (tt.want == "") || !strings.Contains(text, tt.want) {
				t.Errorf("got %q, want %q", text, tt.want)
			}
		})
	}
}

func TestReadinessFollowsTheFiles(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.issue(t, newKey(t, "ecdsa"), -2*time.Hour, -time.Hour, "a.example").put(t, dir)
	gatetest.Run(t, site("a.example", mounted(cert, key), "respond ok"))
	if len(config(t).NotReady()) == 0 {
		t.Error("ready with an expired certificate")
	}
	ca.good(t, "a.example").put(t, dir)
	eventually(t, "readiness", func() bool { return len(config(t).NotReady()) == 0 })
}

// metrics are the samples of the package, by name and label.
func metrics(t *testing.T) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{}, failures, obtained)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	samples := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			samples[family.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return samples
}

func TestMetricsSayWhenCertificatesExpire(t *testing.T) {
	ca := newAuthority(t)
	a, b := ca.good(t, "a.example"), ca.good(t, "*.b.example")
	certA, keyA := a.put(t, t.TempDir())
	certB, keyB := b.put(t, t.TempDir())
	g := gatetest.Run(t, site("a.example", mounted(certA, keyA))+site("x.b.example", "tls "+certB+" "+keyB)+
		site("missing.example", mounted("/nonexistent/tls.crt", "/nonexistent/tls.key")))
	// What clients ask for is no label.
	_, _ = shown(strings.TrimPrefix(g.URL, "http://"), "chosen-by-a-client.example")
	got := metrics(t)
	expiry := func(i issued) float64 { return float64(i.pair(t).Leaf.NotAfter.Unix()) }
	for name, want := range map[string]float64{
		"sallyport_certificate_expiry_timestamp_seconds a.example":        expiry(a),
		"sallyport_certificate_expiry_timestamp_seconds x.b.example":      expiry(b),
		"sallyport_mounted_certificate_refused " + certA:                  0,
		"sallyport_mounted_certificate_refused " + "/nonexistent/tls.crt": 1,
		"sallyport_certificate_failures_total missing.example":            0, // before the first: a rate would not see it
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v (%t), want %v", name, value, ok, want)
		}
	}
	for name := range got {
		if strings.Contains(name, "expiry_timestamp_seconds missing.example") || strings.Contains(name, "chosen") {
			t.Errorf("there is %s", name)
		}
	}
}

// Caddy has a config loader after the apps have started.
func TestAConfigurationRejectedAfterItStartedGivesTheCertificatesBack(t *testing.T) {
	cert, key := newAuthority(t).good(t, "a.example").put(t, t.TempDir())
	caddyfile := func(body string) string { return site("a.example", mounted(cert, key), "respond "+body) }
	g := gatetest.Run(t, caddyfile("old"))
	before := inForce.Load()
	late, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(strings.ReplaceAll(gatetest.Globals+caddyfile("new"), "{$PORT}", g.URL[strings.LastIndex(g.URL, ":")+1:])), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(late, &config); err != nil {
		t.Fatal(err)
	}
	config["admin"].(map[string]any)["config"] = map[string]any{"load": map[string]any{"module": "missing"}, "load_delay": "10s"}
	if late, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := caddy.Load(late, true); err == nil {
			t.Fatal("it is not rejected")
		}
		if inForce.Load() != before || len(metrics(t)) == 0 {
			t.Fatal("the certificates that are shown are not watched any more")
		}
	}
	for _, body := range []string{"newer", "newest"} {
		if err := g.Reload(t, caddyfile(body)); err != nil {
			t.Fatal(err)
		}
		if now := inForce.Load(); now == before || now == nil || now.before != nil {
			t.Error("those of the configuration in force are not, or older ones are kept")
		}
	}
	if err := caddy.Stop(); err != nil || inForce.Load() != nil {
		t.Errorf("at the end something is in force still: %v", err)
	}
}

// A label that is not UTF-8 ends the process when the metrics are read. The name
// comes from the environment; Caddyfiles and JSON are UTF-8.
func TestAFileNameThatIsNoUTF8IsRefused(t *testing.T) {
	t.Setenv("SALLYPORT_TEST_FILE", "/nonexistent/\xff.crt")
	g := gatetest.Run(t, "{$ADDR} {\n\trespond ok\n}\n")
	if err := g.Reload(t, site("", mounted("{env.SALLYPORT_TEST_FILE}", "/nonexistent/tls.key"))); err == nil || !strings.Contains(err.Error(), "not UTF-8") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsObtainedAndWhatFailsIsCounted(t *testing.T) {
	cert, key := newAuthority(t).good(t, "a.example").put(t, t.TempDir())
	gatetest.Run(t, site("a.example", mounted(cert, key)))
	app, err := caddy.ActiveContext().App("events")
	if err != nil {
		t.Fatal(err)
	}
	emit := app.(interface {
		Emit(caddy.Context, string, map[string]any) caddy.Event
	})
	before := metrics(t)
	for _, event := range []string{"cert_failed", "cert_failed", "cert_obtained"} {
		for _, name := range []any{"A.example", "chosen-by-a-client.example", nil} {
			emit.Emit(caddy.ActiveContext(), event, map[string]any{"identifier": name})
		}
	}
	after := metrics(t)
	for name, want := range map[string]float64{
		"sallyport_certificate_failures_total a.example":  2,
		"sallyport_certificate_failures_total _other":     4,
		"sallyport_certificates_obtained_total a.example": 1,
		"sallyport_certificates_obtained_total _other":    2,
	} {
		if got := after[name] - before[name]; got != want {
			t.Errorf("%s grew by %v, want %v", name, got, want)
		}
	}
	for name := range after {
		if strings.Contains(name, "chosen") {
			t.Errorf("a client chose %s", name)
		}
	}
}

// An ACME certificate that Caddy manages is told from a loaded one by a field
// that it does not export.
func TestLoadedAndManagedCertificatesAreToldApart(t *testing.T) {
	globals := strings.Replace(gatetest.Globals, "\tauto_https off\n", "\tauto_https disable_redirects\n\tstorage file_system "+t.TempDir()+"\n\tskip_install_trust\n", 1)
	cert, key := newAuthority(t).good(t, "a.example").put(t, t.TempDir())
	g := gatetest.Run(t, globals+site("a.example", "tls "+cert+" "+key)+site("b.example", "tls internal"))
	eventually(t, "the managed certificate", func() bool {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(g.URL, "http://"), &tls.Config{ServerName: "b.example", InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	if !isLoaded("a.example") || isLoaded("b.example") {
		t.Errorf("a.example is loaded: %t, b.example: %t", isLoaded("a.example"), isLoaded("b.example"))
	}
}
