package integration

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// newRelease makes what a roll-out brings to a machine: a directory with the
// program and its policy.
func newRelease(t *testing.T, caddyfile string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(binary, filepath.Join(dir, "caddy")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "Caddyfile", caddyfile)
	return dir
}

// unitCommand is how the unit of examples/deploy/systemd starts a release.
func unitCommand(t *testing.T, release string) []string {
	t.Helper()
	const current = "/opt/sallyport/current"
	start := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindStringSubmatch(read(t, "../examples/deploy/systemd/sallyport.service"))
	if start == nil || !strings.Contains(start[1], current) {
		t.Fatalf("the unit starts %q", start)
	}
	return strings.Fields(strings.ReplaceAll(start[1], current, release))
}

// versioned is the policy of a version, which its answers name.
func versioned(version string) string {
	return strings.ReplaceAll(replaceable, "\treverse_proxy", "\theader Version "+version+"\n\treverse_proxy")
}

// switchTo puts a release in force on one machine after the other, as switch.sh
// does: what runs there is ended before the next is started.
func (f *fleet) switchTo(t *testing.T, tr *traffic, release, version string) {
	t.Helper()
	f.release = release
	for _, host := range []string{"gw-a", "gw-b"} {
		tr.during("the end of " + host + " for " + version)
		f.terminate(t, host)
		f.ended(t, host)
		tr.during("the start of " + host + " with " + version)
		f.start(t, host)
		f.waitForBalancer(t, host, "UP")
		if got := f.version(t, addresses[host]); got != version {
			t.Errorf("%s answers as %q, want %q", host, got, version)
		}
	}
}

// version asks one gateway, as the balancer, which policy it has.
func (f *fleet) version(t *testing.T, gateway string) string {
	t.Helper()
	client := f.lab.client(t, "balancer", inside)
	defer client.CloseIdleConnections()
	got := send(t, client, "POST", "http://"+gateway+":8080/", "Host", site, "X-Forwarded-For", clientA, "X-Forwarded-Proto", "https")
	if got.status != 200 {
		t.Fatalf("%s answers %d %s", gateway, got.status, got.body)
	}
	return got.header.Get("Version")
}

func TestADirectoryIsRolledOutAndBackWithoutAFailedRequest(t *testing.T) {
	v1, v2 := newRelease(t, versioned("v1")), newRelease(t, versioned("v2"))
	f := newFleet(t, versioned("v1"))
	f.release = v1
	f.start(t, "gw-b")
	f.waitForBalancer(t, "gw-b", "UP")
	tr := newTraffic(t, f.lab)
	tr.everything()
	f.switchTo(t, tr, v2, "v2")
	f.switchTo(t, tr, v1, "v1")
	tr.wait()
	if failed := tr.failures(""); failed > 0 {
		t.Errorf("%d failed of %v", failed, tr.served)
	}
	t.Log(tr.served)
}

// deployed is the policy of the image for the site of these tests, with its mounts
// in a folder of the test.
func deployed(t *testing.T, mounts string) string {
	t.Helper()
	return strings.NewReplacer(
		"/run/caddy", filepath.Join(mounts, "caddy"), "/run/secrets", filepath.Join(mounts, "secrets"),
		"\nhttps://api.example.com", "\nhttps://"+site, "\nhttp://api.example.com", "\nhttp://"+site,
	).Replace(read(t, "../examples/deploy/image/policy/Caddyfile"))
}

func TestDeployPolicyIsCleanAndHasADigest(t *testing.T) {
	policy := "../examples/deploy/image/policy"
	caddy(t, policy, "adapt", "--config", "Caddyfile")
	caddy(t, policy, "sallyport", "lint", "--config", "Caddyfile")
	digest := caddy(t, policy, "sallyport", "digest", "--config", "Caddyfile")
	if !regexp.MustCompile(`^sha256:[0-9a-f]{64}\n$`).MatchString(digest) {
		t.Errorf("the digest is %q, which Terraform's policy module refuses", digest)
	}
	elsewhere := t.TempDir()
	copyTree(t, policy, elsewhere)
	if again := caddy(t, elsewhere, "sallyport", "digest", "--config", "Caddyfile"); again != digest {
		t.Errorf("from another folder it is %q, not %q", again, digest)
	}
	issuer := t.TempDir()
	credentials(t, issuer)
	write(t, elsewhere, "issuer.pub.pem", read(t, filepath.Join(issuer, "issuer.pub.pem")))
	if other := caddy(t, elsewhere, "sallyport", "digest", "--config", "Caddyfile"); other == digest {
		t.Error("with another issuer's key it is the same")
	}
}

// deployedBalancer is both kinds of balancer in front of the image's ports.
const deployedBalancer = `defaults
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend tcp
	mode tcp
	bind 198.51.100.10:443
	default_backend nlb
backend nlb
	mode tcp
	server gw-a 10.0.1.11:8443 send-proxy-v2
frontend http
	mode http
	bind 198.51.100.10:80
	option forwardfor
	http-request set-header X-Forwarded-Proto https
	default_backend alb
backend alb
	mode http
	server gw-a 10.0.1.11:8080
`

func TestDeployPolicyServesBehindBothBalancers(t *testing.T) {
	l, mounts := newLab(t), t.TempDir()
	secrets := filepath.Join(mounts, "secrets", "sallyport")
	for _, dir := range []string{secrets, filepath.Join(mounts, "secrets", "tls"), filepath.Join(mounts, "caddy")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	key, token := credentials(t, secrets)
	certificate, private := selfSigned(t, t.TempDir())
	write(t, mounts, "issuer.pub.pem", read(t, filepath.Join(secrets, "issuer.pub.pem")))
	write(t, mounts, "secrets/tls/tls.crt", read(t, certificate))
	write(t, mounts, "secrets/tls/tls.key", read(t, private))
	newTraffic(t, l) // for its backend

	g := newGateway(t, mounts, "127.0.0.1", nil)
	g.client = newClient(t, func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(mounts, "caddy", "admin.sock"))
	})
	command := unitCommand(t, newRelease(t, deployed(t, mounts)))
	g.start(t, l.command("gw-a", command[0], command[1:]...))
	l.haproxy(t, deployedBalancer, throughHTTP)
	probe := l.client(t, "balancer", inside)
	waitFor(t, "readiness", func() bool { return getFrom(probe, "http://"+gatewayA+":8081/readyz") == nil })

	client := l.client(t, "client", clientA)
	tests := []struct {
		name   string
		header []string
		method string
		status int
	}{
		{"an API key", []string{"X-Api-Key", key}, "GET", 200},
		{"a token", []string{"Authorization", "Bearer " + token}, "GET", 200},
		{"no credential", nil, "GET", 401},
		{"no scope", []string{"X-Api-Key", key}, "DELETE", 403},
	}
	for _, way := range []string{throughHTTP, throughTCP} {
		for _, tt := range tests {
			t.Run(tt.name+" through "+way, func(t *testing.T) {
				if got := send(t, client, tt.method, base(way)+"/orders/7", append(tt.header, "Host", site)...); got.status != tt.status {
					t.Errorf("got %d %s", got.status, got.body)
				}
			})
		}
	}
}
