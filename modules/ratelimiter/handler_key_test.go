package ratelimiter

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

func TestOneClientHasOneBucketHoweverItCalls(t *testing.T) {
	tests := []struct {
		name          string
		first, second string // X-Forwarded-For
		same          bool
	}{
		{"the same address", "192.0.2.1", "192.0.2.1", true},
		{"another address", "192.0.2.2", "192.0.2.3", false},
		{"an entry that the caller wrote in front", "192.0.2.4", "203.0.113.9, 192.0.2.4", true},
		{"many entries in front", "192.0.2.5", "1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.5", true},
		{"the IPv4-mapped form", "192.0.2.6", "::ffff:192.0.2.6", true},
		{"the IPv4-mapped form in hex", "192.0.2.7", "::ffff:c000:207", true},
		{"another address of the same /64", "2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true},
		{"the same IPv6 address written in full", "2001:db8:0:2::1", "2001:0DB8:0:2:0:0:0:1", true},
		{"a zone", "2001:db8:0:3::1", "2001:db8:0:3::1%eth0", true},
		{"another /64", "2001:db8:0:4::1", "2001:db8:0:5::1", false},
	}
	g := gatetest.Run(t, site(limited(nameOf(t), "client_ip")))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if resp := g.Do(t, "GET", "/", "X-Forwarded-For", tt.first); resp.Status != 200 {
				t.Fatalf("the first request got %d", resp.Status)
			}
			want := 200
			if tt.same {
				want = 429
			}
			if resp := g.Do(t, "GET", "/", "X-Forwarded-For", tt.second); resp.Status != want {
				t.Errorf("got %d, want %d", resp.Status, want)
			}
		})
	}
}

func TestPrefixesAreConfigured(t *testing.T) {
	name := nameOf(t)
	g := gatetest.Run(t, site(`rate_limiter {
		zone `+name+` {
			key client_ip
			rate 1/h
			ipv4_prefix 24
			ipv6_prefix 48
		}
	}`))
	for _, tt := range []struct {
		address string
		status  int
	}{
		{"192.0.2.7", 200},
		{"192.0.2.255", 429},
		{"192.0.3.7", 200},
		{"2001:db8:1::1", 200},
		{"2001:db8:1:ffff::1", 429},
		{"2001:db8:2::1", 200},
	} {
		if resp := g.Do(t, "GET", "/", "X-Forwarded-For", tt.address); resp.Status != tt.status {
			t.Errorf("%s: got %d, want %d", tt.address, resp.Status, tt.status)
		}
	}
}

func TestAHeaderIsNoWayAroundItsLimit(t *testing.T) {
	g := gatetest.Run(t, site(limited(nameOf(t), "header X-Tenant")))
	long := strings.Repeat("x", 4000)
	for _, tt := range []struct {
		name   string
		header []string
		status int
	}{
		{"a tenant", []string{"X-Tenant", "a"}, 200},
		{"the same tenant", []string{"X-Tenant", "a"}, 429},
		{"the same tenant in other letters of the name", []string{"x-tenant", "a"}, 429},
		{"another tenant", []string{"X-Tenant", "b"}, 200},
		{"a tenant that is named like a kind of key", []string{"X-Tenant", "-"}, 200},
		{"no tenant", nil, 200},
		{"no tenant again", nil, 429},
		{"an empty tenant", []string{"X-Tenant", ""}, 429},
		{"two lines", []string{"X-Tenant", "c", "X-Tenant", "d"}, 200},
		{"two other lines", []string{"X-Tenant", "e", "X-Tenant", "f"}, 429},
		{"three lines", []string{"X-Tenant", "e", "X-Tenant", "f", "X-Tenant", "g"}, 429},
		{"a long value", []string{"X-Tenant", long + "a"}, 200},
		{"a long value that differs at the end", []string{"X-Tenant", long + "b"}, 200},
		{"the same long value", []string{"X-Tenant", long + "b"}, 429},
	} {
		if resp := get(t, g, tt.header...); resp.Status != tt.status {
			t.Errorf("%s: got %d, want %d", tt.name, resp.Status, tt.status)
		}
	}
}

func TestPlaceholdersAreKeys(t *testing.T) {
	tests := []struct {
		name, key     string
		first, second []string // target, then header lines
		same          bool
	}{
		{"host", "{host}", []string{"/", "Host", "a.example"}, []string{"/", "Host", "b.example"}, false},
		{"host in other letters", "{host}", []string{"/", "Host", "a.example"}, []string{"/", "Host", "A.eXample"}, true},
		{"host with another port", "{host}", []string{"/", "Host", "a.example"}, []string{"/", "Host", "a.example:8443"}, true},
		{"host with a trailing dot", "{host}", []string{"/", "Host", "a.example"}, []string{"/", "Host", "a.example."}, true},
		{"path", "{path}", []string{"/a"}, []string{"/b"}, false},
		{"path with another query", "{path}", []string{"/a"}, []string{"/a?x"}, true},
		{"path in another encoding", "{path}", []string{"/a"}, []string{"/%61"}, true},
		{"header by placeholder", "{header.X-Tenant}", []string{"/", "X-Tenant", "a"}, []string{"/", "X-Tenant", "b"}, false},
		{"header by placeholder in two lines", "{header.X-Tenant}", []string{"/", "X-Tenant", "a", "X-Tenant", "b"}, []string{"/", "X-Tenant", "c", "X-Tenant", "d"}, true},
		{"query parameter", "{query.q}", []string{"/?q=1"}, []string{"/?q=2"}, false},
		{"query parameter left out", "{query.q}", []string{"/"}, []string{"/?q="}, true},
		{"placeholder that nothing defines", "{nobody.defines.this}", []string{"/a"}, []string{"/b"}, true},
		{"method", "client_ip {method}", []string{"/"}, []string{"/"}, true},
		{"parts do not run into each other", "header X-A header X-B", []string{"/", "X-A", "ab", "X-B", "c"}, []string{"/", "X-A", "a", "X-B", "bc"}, false},
		{"parts are not exchanged", "header X-A header X-B", []string{"/", "X-A", "a", "X-B", "b"}, []string{"/", "X-A", "b", "X-B", "a"}, false},
		{"an absent part is not another", "header X-A header X-B", []string{"/", "X-A", "a"}, []string{"/", "X-B", "a"}, false},
		{"two parts", "client_ip header X-A", []string{"/", "X-A", "a"}, []string{"/", "X-A", "a"}, true},
	}
	config := "http://:{$PORT} {\n"
	for i, tt := range tests {
		config += fmt.Sprintf("\t@%d header X-Case %d\n\thandle @%d {\n\t%s\t\trespond ok\n\t}\n", i, i, i,
			limited(fmt.Sprintf("placeholder%d", i), tt.key))
	}
	g := gatetest.Run(t, config+"}\n")
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ask := func(request []string) int {
				header := append([]string{"X-Case", strconv.Itoa(i), "X-Forwarded-For", client}, request[1:]...)
				return g.Do(t, "GET", request[0], header...).Status
			}
			if got := ask(tt.first); got != 200 {
				t.Fatalf("the first request got %d", got)
			}
			want := 200
			if tt.same {
				want = 429
			}
			if got := ask(tt.second); got != want {
				t.Errorf("got %d, want %d", got, want)
			}
		})
	}
}

func TestAQuotaIsChargedToThePrincipal(t *testing.T) {
	name := nameOf(t)
	g := gatetest.Run(t, site(`route {
		test_auth
		quota {
			zone `+name+` {
				key principal
				rate 1/h
			}
		}
	}`))
	for _, tt := range []struct {
		name, principal, address string
		status                   int
	}{
		{"a consumer", "jwt,https://a.example,alice", "192.0.2.1", 200},
		{"the same from elsewhere", "jwt,https://a.example,alice", "198.51.100.1", 429},
		{"another at the same address", "jwt,https://a.example,bob", "192.0.2.1", 200},
		{"the same name from another issuer", "jwt,https://b.example,alice", "192.0.2.1", 200},
		{"the same name by another method", "api_key,https://a.example,alice", "192.0.2.1", 200},
		{"a name that contains the issuer", "jwt,https://a.example,https://b.example,alice", "192.0.2.1", 200},
		{"nobody", "", "192.0.2.1", 200},
		{"nobody again", "", "192.0.2.1", 429},
		{"nobody in the IPv4-mapped form", "", "::ffff:192.0.2.1", 429},
		{"nobody at another address", "", "192.0.2.2", 200},
		{"a token without a subject", "jwt,https://a.example,", "192.0.2.1", 429},
	} {
		resp := g.Do(t, "GET", "/", "X-Forwarded-For", tt.address, "Test-Principal", tt.principal)
		if resp.Status != tt.status {
			t.Errorf("%s: got %d, want %d", tt.name, resp.Status, tt.status)
		}
		if resp.Status == 429 && !strings.Contains(resp.Body, "quota") {
			t.Errorf("%s: %s", tt.name, resp.Body)
		}
	}
}
