package store

import (
	"net"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/secret"
)

func TestAddresses(t *testing.T) {
	tests := []struct {
		name, written string
		want          endpoint
		err           string
	}{
		{"a host", "redis.internal", endpoint{network: "tcp", addr: "redis.internal:6379"}, ""},
		{"a host and a port", "redis.internal:7000", endpoint{network: "tcp", addr: "redis.internal:7000"}, ""},
		{"a scheme, a port and a database", "redis://h:1/5", endpoint{network: "tcp", addr: "h:1", database: 5}, ""},
		{"TLS", "rediss://h", endpoint{network: "tcp", addr: "h:6379", tls: true}, ""},
		{"valkey's schemes", "valkeys://h/", endpoint{network: "tcp", addr: "h:6379", tls: true}, ""},
		{"IPv6", "redis://[::1]:1", endpoint{network: "tcp", addr: "[::1]:1"}, ""},
		{"IPv6 without a port", "redis://[::1]", endpoint{network: "tcp", addr: "[::1]:6379"}, ""},
		{"a password in a variable", "rediss://:{env.P}@h", endpoint{network: "tcp", addr: "h:6379", tls: true, password: "{env.P}"}, ""},
		{"a password in a file whose path has everything", "redis://me:{file./a@b:c/d}@h:2/3",
			endpoint{network: "tcp", addr: "h:2", database: 3, username: "me", password: "{file./a@b:c/d}"}, ""},
		{"a socket", "unix:///run/redis.sock", endpoint{network: "unix", addr: "/run/redis.sock"}, ""},
		{"a socket with a login", "unix://{env.U}:{env.P}@/run/r", endpoint{network: "unix", addr: "/run/r", username: "{env.U}", password: "{env.P}"}, ""},

		{"a literal password", "redis://:hunter2@h", endpoint{}, "write a secret as"},
		{"a literal password with slashes", "redis://:hun/ter2@h", endpoint{}, "write a secret as"},
		{"a literal password behind two at signs", "redis://:a@hunter2@h", endpoint{}, "write a secret as"},
		{"a password that is only partly a placeholder", "redis://:{env.P}hunter2@h", endpoint{}, "write a secret as"},
		{"a user without a password", "redis://hunter2@h", endpoint{}, "write a secret as"},
		{"another scheme", "http://h", endpoint{}, "the scheme is not"},
		{"a placeholder for the host", "redis://{env.H}", endpoint{}, "not [scheme://]"},
		{"options", "redis://h?db=1", endpoint{}, "not [scheme://]"},
		{"a fragment", "redis://h#x", endpoint{}, "not [scheme://]"},
		{"no host", "redis://", endpoint{}, "host is missing"},
		{"only a port", ":6379", endpoint{}, "host is missing"},
		{"a port that is none", "h:hunter2", endpoint{}, "port is not"},
		{"port 0", "h:0", endpoint{}, "port is not"},
		{"a port too high", "h:65536", endpoint{}, "port is not"},
		{"a negative database", "h/-1", endpoint{}, "database is not"},
		{"a path", "h/1/2", endpoint{}, "database is not"},
		{"several colons", "a:b:c", endpoint{}, "host is not"},
		{"a relative socket", "unix://run/r", endpoint{}, "absolute path"},
		{"an open brace", "redis://:{env.P@h", endpoint{}, "not [scheme://]"},
		{"nothing", "", endpoint{}, "host is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseEndpoint(tt.written)
			if tt.err == "" && (err != nil || got != tt.want) {
				t.Errorf("got %+v, %v", got, err)
			}
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestOptionsThatContradictEachOther(t *testing.T) {
	tests := []struct {
		name   string
		config Config
		err    string
	}{
		{"no address", Config{}, "address is missing"},
		{"addresses with and without TLS", Config{Address: []string{"redis://a", "rediss://b"}}, "addresses differ"},
		{"addresses of several databases", Config{Address: []string{"a/1", "b/2"}}, "addresses differ"},
		{"a cluster with a database", Config{Address: []string{"a/1"}, Cluster: true}, "no database but 0"},
		{"credentials twice", Config{Address: []string{"redis://:{env.A}@a"}, Password: "{env.B}"}, "credentials stand in"},
		{"an authority without TLS", Config{Address: []string{"a"}, CA: "ca.pem"}, "need an address with rediss://"},
		{"believing anybody without TLS", Config{Address: []string{"a"}, InsecureSkipVerify: true}, "need an address with rediss://"},
		{"an authority and believing anybody", Config{Address: []string{"rediss://a"}, CA: "ca.pem", InsecureSkipVerify: true}, "contradict"},
		{"a certificate without its key", Config{Address: []string{"rediss://a"}, ClientCertificate: "c.pem"}, "stand together"},
		{"a literal password", Config{Address: []string{"a"}, Password: "hunter2"}, "password: write a secret as"},
		{"a username alone", Config{Address: []string{"a"}, Username: "me"}, "username without"},
		{"a username with a space", Config{Address: []string{"a"}, Username: "m e", Password: "{env.P}"}, "the username is not"},
		{"a sentinel without a master", Config{Sentinel: &Sentinel{Address: []string{"a"}}}, "name of the master"},
		{"a sentinel without an address", Config{Sentinel: &Sentinel{Master: "m"}}, "sentinel is missing"},
		{"a sentinel and an address", Config{Address: []string{"a"}, Sentinel: &Sentinel{Master: "m", Address: []string{"b"}}}, "instead of"},
		{"a negative timeout", Config{Address: []string{"a"}, Timeout: -1}, "timeout is not"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.config.Check(); err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestPasswordsInTheClear has what Open warns of.
func TestPasswordsInTheClear(t *testing.T) {
	sentinel := func(address ...string) *Sentinel { return &Sentinel{Master: "m", Address: address} }
	for name, tt := range map[string]struct {
		config  Config
		exposed bool
	}{
		"over a network":                  {Config{Address: []string{"redis://:{env.P}@10.0.0.1"}}, true},
		"to a name":                       {Config{Address: []string{"h"}, Password: "{env.P}"}, true},
		"encrypted":                       {Config{Address: []string{"rediss://:{env.P}@10.0.0.1"}}, false},
		"on this machine":                 {Config{Address: []string{"redis://:{env.P}@127.0.0.1"}}, false},
		"on this machine, by name":        {Config{Address: []string{"redis://:{env.P}@localhost"}}, false},
		"over a socket":                   {Config{Address: []string{"unix://:{env.P}@/run/r"}}, false},
		"no password":                     {Config{Address: []string{"10.0.0.1"}}, false},
		"the sentinels'":                  {Config{Sentinel: sentinel("redis://:{env.P}@10.0.0.1")}, true},
		"a near sentinel's":               {Config{Sentinel: sentinel("redis://:{env.P}@127.0.0.1")}, false},
		"a master's, by a near sentinel":  {Config{Password: "{env.P}", Sentinel: sentinel("127.0.0.1")}, true},
		"a master's, encrypted":           {Config{Password: "{env.P}", Sentinel: sentinel("rediss://127.0.0.1")}, false},
		"a cluster's, by a near node":     {Config{Password: "{env.P}", Cluster: true, Address: []string{"127.0.0.1"}}, true},
		"a cluster's without a password":  {Config{Cluster: true, Address: []string{"127.0.0.1"}}, false},
		"a cluster's, by several of them": {Config{Password: "{env.P}", Address: []string{"127.0.0.1:1", "127.0.0.1:2"}}, true},
	} {
		r, err := tt.config.compile()
		if err != nil {
			t.Fatal(err)
		}
		if got := r.exposed(); got != tt.exposed {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"rediss://:{env.P}@h:1/2", "unix:///a", "redis://u:{file./a@b}@[::1]:1", "redis://:p@h", "a:b", "{:@/?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parseEndpoint(s)
		if err != nil {
			if len(s) > 12 && strings.Contains(err.Error(), s) {
				t.Errorf("the error repeats %q", s)
			}
			return
		}
		if e.password != "" && secret.Check(e.password) != nil || e.username != "" && e.password == "" {
			t.Errorf("%q has the password %q", s, e.password)
		}
		if strings.ContainsAny(e.addr, "{}@?# \n") {
			t.Errorf("%q is at %q", s, e.addr)
		}
		if host, port, err := net.SplitHostPort(e.addr); e.network == "tcp" && (err != nil || host == "" || port == "") {
			t.Errorf("%q is at %q: %v", s, e.addr, err)
		}
	})
}
