package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	plainAuth = "credentials arrive unencrypted"
	noACME    = "ACME does not work behind an HTTPS balancer"
	loops     = "redirects to HTTPS loop"
)

// TestValidateWarnsOfTLSThatDoesNotFit has the real binary judge configurations.
func TestValidateWarnsOfTLSThatDoesNotFit(t *testing.T) {
	dir := t.TempDir()
	credentials(t, dir)
	certificate, key := selfSigned(t, dir)
	globals := func(options string) string {
		return "{\n\tadmin off\n\tpersist_config off\n\tskip_install_trust\n\tstorage file_system " + filepath.Join(dir, "storage") + "\n" + options + "}\n"
	}
	auth := "\tauth {\n\t\tjwt https://issuer.example {\n\t\t\taudience x\n\t\t\talgorithms ES256\n\t\t\tkey_file " + filepath.Join(dir, "issuer.pub.pem") + "\n\t\t}\n\t}\n"
	balancer := "\tservers {\n\t\tprotocols h1 h2\n\t\ttrusted_proxies elb aws_alb {\n\t\t\tfrom 10.0.0.0/16\n\t\t}\n\t\ttrusted_proxies_strict\n\t}\n"
	proxies := "\tservers {\n\t\ttrusted_proxies static 10.0.0.0/16\n\t\ttrusted_proxies_strict\n\t}\n"
	tcp := "\tservers {\n\t\tlistener_wrappers {\n\t\t\telb aws_nlb {\n\t\t\t\tfrom 10.0.0.0/16\n\t\t\t}\n\t\t}\n\t}\n"
	site := func(address, directives string) string { return address + " {\n" + directives + "\trespond ok\n}\n" }
	guard := "\tallowlist {\n\t\tdeny 192.0.2.1\n\t}\n"

	tests := []struct {
		name, config string
		want         []string
	}{
		{"credentials on plain HTTP", globals("") + site("http://api.example.com:8080", auth), []string{plainAuth}},
		{"credentials on plain HTTP for all names", globals("") + site(":8080", auth), []string{plainAuth}},
		{"credentials on port 80", globals("") + site("http://api.example.com", auth), []string{plainAuth}},
		{"bound to a private address, which is a network too", globals("") + site("http://api.example.com:8080", "\tbind 10.0.0.1\n"+auth), []string{plainAuth}},
		{"bound to loopback and to another", globals("") + site("http://api.example.com:8080", "\tbind 127.0.0.1 10.0.0.1\n"+auth), []string{plainAuth}},
		{"inside handle", globals("") + site("http://api.example.com:8080", "\thandle /x/* {\n"+auth+"\t}\n"), []string{plainAuth}},
		{"bound to loopback", globals("") + site("http://api.example.com:8080", "\tbind 127.0.0.1\n"+auth), nil},
		{"bound to loopback of IPv6", globals("") + site("http://api.example.com:8080", "\tbind [::1]\n"+auth), nil},
		{"bound to localhost", globals("") + site("http://api.example.com:8080", "\tbind localhost\n"+auth), nil},
		{"on a Unix socket", globals("") + site("http://api.example.com", "\tbind unix/"+filepath.Join(dir, "socket")+"\n"+auth), nil},
		{"behind an HTTPS balancer", globals(balancer) + site("http://api.example.com:8080", auth), nil},
		{"behind a proxy that is trusted", globals(proxies) + site("http://api.example.com:8080", auth), nil},
		{"behind a TCP balancer", globals(tcp) + site("http://api.example.com:8080", auth), nil},
		{"on HTTPS", globals("\tauto_https disable_redirects\n") + site("https://api.example.com", auth), nil},
		{"no credentials", globals("") + site("http://api.example.com:8080", guard), nil},

		{"ACME behind an HTTPS balancer", globals(balancer) + site("api.example.com", guard), []string{noACME, loops}},
		{"ACME behind an HTTPS balancer on another port", globals(balancer) + site("api.example.com:8443", guard), []string{noACME, loops}},
		{"ACME without redirects", globals(balancer+"\tauto_https disable_redirects\n") + site("api.example.com", guard), []string{noACME}},
		{"a certificate in files behind an HTTPS balancer", globals(balancer) + site("api.example.com", "\ttls "+certificate+" "+key+"\n"), []string{noACME, loops}}, // it is for another name
		{"a mounted certificate behind an HTTPS balancer", globals(balancer) + site("api.example.com", "\ttls {\n\t\tget_certificate mounted "+certificate+" "+key+"\n\t}\n"), []string{loops}},
		{"an internal certificate behind an HTTPS balancer", globals(balancer+"\tauto_https disable_redirects\n") + site("api.example.com", "\ttls internal\n"), nil},
		{"http:// behind an HTTPS balancer", globals(balancer) + site("http://api.example.com:8080", guard), nil},
		{"ACME behind a TCP balancer", globals("\tservers {\n\t\tprotocols h1 h2\n\t\tlistener_wrappers {\n\t\t\telb aws_nlb {\n\t\t\t\tfrom 10.0.0.0/16\n\t\t\t}\n\t\t\ttls\n\t\t}\n\t}\n") +
			site("api.example.com", guard), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command(binary, "validate", "--adapter", "caddyfile", "--config", write(t, dir, "Caddyfile", tt.config))
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, warning := range []string{plainAuth, noACME, loops} {
				expected := false
				for _, want := range tt.want {
					expected = expected || want == warning
				}
				if got := strings.Contains(string(out), `"level":"warn"`) && strings.Contains(string(out), warning); got != expected {
					t.Errorf("%q: %t, want %t\n%s", warning, got, expected, out)
				}
			}
		})
	}
}

// The same words are in the log of a gateway that starts.
func TestStartWarnsOfCredentialsOnPlainHTTP(t *testing.T) {
	dir := t.TempDir()
	credentials(t, dir)
	addr := freeAddr(t)
	file := write(t, dir, "Caddyfile", "{\n\tadmin {$ADMIN}\n\tpersist_config off\n}\nhttp://api.example.com:"+port(addr)+" {\n\tauth {\n\t\tjwt https://issuer.example {\n"+
		"\t\t\taudience x\n\t\t\talgorithms ES256\n\t\t\tkey_file issuer.pub.pem\n\t\t}\n\t}\n\trespond ok\n}\n")
	g := start(t, dir, file, nil)
	waitFor(t, "the warning", func() bool { return strings.Contains(g.log.String(), plainAuth) })
}
