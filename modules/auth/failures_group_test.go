package auth_test

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// What is expired is no failure, also where it is a group's member that nobody
// attached.
func TestAnExpiredMemberOfAGroupIsNoFailure(t *testing.T) {
	dir, key, _ := files(t)
	ours := gatetest.NewAuthority(t, "Ours")
	names := []string{"partner.example"}
	good := ours.Issue(t, x509.Certificate{DNSNames: names})
	past := ours.Issue(t, x509.Certificate{DNSNames: names, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	s := newSigners(t)
	for _, tt := range []struct{ name, vendor, block, header, good, past, reason string }{
		{"a certificate", "aws_alb", "aws_alb_mtls {\n mode verify\n}", "X-Amzn-Mtls-Clientcert-Leaf",
			escaped(good.Certificate[0]), escaped(past.Certificate[0]), "auth.certificate_expired"},
		{"an assertion", "gcp_alb", "gcp_iap {\n audience " + googleAudience + "\n jwks " + s.URL + "/google {\n allow_private\n}\n}", "X-Goog-Iap-Jwt-Assertion",
			s.googleSays(nil), s.googleSays(map[string]any{"iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(-50 * time.Minute).Unix()}), "auth.assertion_expired"},
		{"an assertion from the future", "gcp_alb", "gcp_iap {\n audience " + googleAudience + "\n jwks " + s.URL + "/google {\n allow_private\n}\n}", "X-Goog-Iap-Jwt-Assertion",
			s.googleSays(nil), s.googleSays(map[string]any{"iat": time.Now().Add(time.Hour).Unix(), "exp": time.Now().Add(65 * time.Minute).Unix()}), "auth.assertion_not_yet_valid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := gatetest.Run(t, behindELB(tt.vendor, "127.0.0.1/32")+told(dir, "all {"+blockKey+"\n"+tt.block+"\n}\nfailures 1/h burst 2"))
			seen(g)
			send := func(value, key string) (int, string) {
				resp := g.Do(t, "GET", "/", append(writtenBy(tt.vendor), tt.header, value, "X-Api-Key", key)...)
				return resp.Status, resp.Header.Get("X-Test-Reason")
			}
			for range 5 {
				if status, reason := send(tt.past, key); status != 401 || reason != tt.reason {
					t.Fatalf("got %d %s", status, reason)
				}
			}
			if status, reason := send(tt.good, key); status != 204 {
				t.Errorf("the client with a good one: got %d %s", status, reason)
			}
			for range 2 {
				if status, reason := send(tt.good, "junk"); status != 401 || reason != "auth.key_malformed" {
					t.Fatalf("a guess: got %d %s", status, reason)
				}
			}
			if status, _ := send(tt.good, "junk"); status != 429 {
				t.Errorf("a guess too many: got %d", status)
			}
		})
	}
}

// Beyond the limit nothing is judged: not which members are there either.
func TestWhoFailedTooOftenIsNotToldWhatIsMissing(t *testing.T) {
	dir, key, _ := files(t)
	ours := gatetest.NewAuthority(t, "Ours")
	bad := escaped(ours.Issue(t, x509.Certificate{DNSNames: []string{"a.example", "b.example"}}).Certificate[0])
	g := gatetest.Run(t, behindELB("aws_alb", "127.0.0.1/32")+told(dir, "all {"+blockKey+"\naws_alb_mtls {\n mode verify\n}\n}\nall {"+blockA+
		"\napi_key {\n header X-Other\n keys_file DIR/keys.json\n pepper {file.DIR/pepper}\n}\n}\nfailures 1/h burst 2"))
	send := func(header ...string) (int, string) {
		resp := g.Do(t, "GET", "/", append(writtenBy("aws_alb"), header...)...)
		return resp.Status, resp.Header.Get("X-Test-Reason")
	}
	cases := map[string][]string{
		"an incomplete group":                         {"X-Other", key},
		"a group without its certificate":             {"X-Api-Key", key},
		"a group with a certificate that is not good": {"X-Api-Key", key, "X-Amzn-Mtls-Clientcert-Leaf", bad},
	}
	for range 2 {
		if status, reason := send("X-Other", key); status != 401 || reason != "auth.incomplete" {
			t.Fatalf("got %d %s", status, reason)
		}
	}
	for name, header := range cases {
		if status, reason := send(slices.Clone(header)...); status != 429 || reason != "auth.too_many_failures" {
			t.Errorf("%s: got %d %s", name, status, reason)
		}
	}
}
