package auth

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Case G2.
func TestIdentityHeadersAreRecognised(t *testing.T) {
	i := newIdentityHeaders([]string{"x-tenant", "X-Acme-*"}, []string{"Authorization", "X-Internal-Token", "X-Auth-Key"})
	tests := []struct {
		name    string
		removed bool
	}{
		{"X-User", true},
		{"x-user", true},
		{"X-USER-ID", true},
		{"X_User", true},
		{"X.User", true},
		{"X-User.Id", true},
		{"X_user_id", true},
		{"X-Userinfo", true},
		{"X-User-Agent", false},
		{"X_user.agent", false},
		{"X-User-Agent-2", true},
		{"X-Auth-Request-Email", true},
		{"X-Auth-User", true},
		{"X-Auth-Token", false},
		{"Remote-User", true},
		{"Remote_User", true},
		{"X-Forwarded-User", true},
		{"X-Forwarded-Email", true},
		{"X-Forwarded-Groups", true},
		{"X-Forwarded-Preferred-Username", true},
		{"X-Forwarded-Access-Token", true},
		{"X-Forwarded-Client-Cert", true},
		{"X-Forwarded-Tls-Client-Cert-Info", true},
		{"X-Consumer-Id", true},
		{"X-Credential-Identifier", true},
		{"X-Authenticated-Userid", true},
		{"X-Amzn-Oidc-Data", true},
		{"X-Amzn-Mtls-Clientcert-Leaf", true},
		{"X-Goog-Iap-Jwt-Assertion", true},
		{"X-Goog-Authenticated-User-Email", true},
		{"Cf-Access-Jwt-Assertion", true},
		{"X-Ms-Client-Principal", true},
		{"X-Ms-Client-Principal-Name", true},
		{"X-Ms-Token-Aad-Id-Token", true},
		{"X-Client-Cert", true},
		{"X-Client-Cert-Verified", true},
		{"Client-Cert-Chain", true},
		{"X-Ssl-Client-S-Dn", true},
		{"X-Sallyport-Anything", true},
		{"X-Remote-Extra-Scopes", true},
		{"X-Remote-Group", true},
		{"X-Tenant", true},
		{"X_tenant", true},
		{"X-Tenant-Id", false},
		{"X-Acme-Role", true},
		{"X-Acme", false},
		// The aliases of credentials, but not the credentials, unless they carry
		// identity.
		{"Authorization", false},
		{"X-Internal-Token", false},
		{"X_internal_token", true},
		{"X-Internal.Token", true},
		{"X-Auth-Key", true},
		{"X_auth_key", true},
		// What is no identity.
		{"X-Forwarded-For", false},
		{"X-Forwarded-Proto", false},
		{"X-Forwarded-Host", false},
		{"X-Real-Ip", false},
		{"X-Request-Id", false},
		{"X-Remote-Ip", false},
		{"X-Amzn-Trace-Id", false},
		{"X-Cloud-Trace-Context", false},
		{"X-Api-Key", false},
		{"X-Csrf-Token", false},
		{"X-Use", false},
		{"X", false},
		{"X-", false},
		{"", false},
		{"Accept", false},
		{"User-Agent", false},
		{"Cookie", false},
		{"Content-Type", false},
		{"Cf-Connecting-Ip", false},
		{"Zz", false},
		{"X-User-" + strings.Repeat("a", 200), true},
		{"X-Tenant" + strings.Repeat("a", 200), false},
		{"X-" + strings.Repeat("a", 200), false},
	}
	for _, test := range tests {
		if got := i.carries(test.name); got != test.removed {
			t.Errorf("%q: removed: %v, want %v", test.name, got, test.removed)
		}
	}
}

// A name that is configured means that header, also where the built-in list would not.
func TestAHeaderThatIsNamedIsRemovedWhateverItIs(t *testing.T) {
	i := newIdentityHeaders([]string{"X-Auth-Token"}, []string{"X-User-Agent"})
	for name, removed := range map[string]bool{"X-Auth-Token": true, "X_auth_token": true, "X-User-Agent": false, "X_user_agent": true} {
		if got := i.carries(name); got != removed {
			t.Errorf("%q: removed: %v, want %v", name, got, removed)
		}
	}
	i = newIdentityHeaders([]string{"X-Auth-*", "X-Us*"}, nil)
	for _, name := range []string{"X-Auth-Token", "X-User-Agent"} {
		if i.carries(name) {
			t.Errorf("%q is removed, which nobody named", name)
		}
	}
}

func TestBuiltInIdentityHeadersAreValid(t *testing.T) {
	for _, name := range defaultIdentityHeaders {
		if err := checkIdentityHeader(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == strings.TrimSuffix(name, "*") && http.CanonicalHeaderKey(name) != name {
			t.Errorf("%s is not canonical", name)
		}
	}
}

// Slow and simple, as an oracle.
func carriesSlowly(patterns []string, name string) bool {
	fold := func(s string) string { return strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(s)) }
	folded := fold(name)
	if slices.Contains(notIdentity, folded) {
		return false
	}
	return slices.ContainsFunc(patterns, func(p string) bool {
		p, prefix := strings.CutSuffix(fold(p), "*")
		return p == folded || prefix && strings.HasPrefix(folded, p)
	})
}

func FuzzIdentityHeader(f *testing.F) {
	for _, name := range defaultIdentityHeaders {
		f.Add(strings.TrimSuffix(name, "*") + "id")
		f.Add(strings.ReplaceAll(strings.TrimSuffix(name, "*"), "-", "_"))
	}
	i := newIdentityHeaders(nil, nil)
	f.Fuzz(func(t *testing.T, name string) {
		for c := range []byte(name) {
			if name[c] >= 0x80 {
				return // net/http refuses such names
			}
		}
		if got, want := i.carries(name), carriesSlowly(defaultIdentityHeaders, name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	})
}

func BenchmarkIdentityHeaders(b *testing.B) {
	i := newIdentityHeaders(nil, []string{"Authorization"})
	h := http.Header{}
	for _, name := range []string{"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Content-Type",
		"Cookie", "Origin", "Referer", "User-Agent", "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-Id", "X-Amzn-Trace-Id"} {
		h.Set(name, "x")
	}
	b.ReportAllocs()
	for b.Loop() {
		i.take(h, nil)
	}
	if len(h) != 14 {
		b.Fatal("removed something")
	}
}
