package auth_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// groups are alternatives of every shape that share places: a key with a token of
// A, tokens of B at the same place alone, keys elsewhere alone, two tokens in two ways.
const groups = `
		all {
			api_key {
				keys_file DIR/keys.json
				pepper {file.DIR/pepper}
			}` + blockA + `
		}` + blockB + `
		api_key {
			header X-Admin-Key
			keys_file DIR/keys.json
			pepper {file.DIR/pepper}
		}
		all {
			jwt https://a.example {
				audience api
				key_file DIR/a.pem
				from cookie session
			}
			jwt https://b.example {
				audience api
				key_file DIR/b.pem
				from header X-Second
				forward
			}
		}
		all {
			jwt https://b.example {
				audience api
				key_file DIR/b.pem
				from cookie session
			}
			jwt https://a.example {
				audience api
				key_file DIR/a.pem
				from header X-Second
			}
		}`

func TestGroupsNeedAllTheirCredentialsAndNoOther(t *testing.T) {
	dir, key, revoked := files(t)
	g := gatetest.Run(t, strings.Replace(site(dir, groups), "reverse_proxy {$BACKEND}",
		"reverse_proxy {$BACKEND} {\n\t\t\theader_up X-User-Id {http.auth.user.id}/{http.auth.user.method}/{http.auth.user.tier}\n\t\t}", 1))
	a, b := token(keyA, issuerA, map[string]any{"tier": "token"}), token(keyB, issuerB, nil)
	forged := token(keyB, issuerA, nil)
	withKey := func(header ...string) []string { return append(header, "X-Api-Key", key) }
	cookie := func(header ...string) []string { return append(header, "Cookie", "session="+a) }
	tests := []struct {
		name   string
		header []string
		status int
		reason string
		user   string
	}{
		{"both members: the first is the caller, and the other's claims are not its", withKey(bearer(a)...), 204, "", "acme/api_key/gold"},
		{"a single alternative at the place of a member", bearer(b), 204, "", "alice/jwt/"},
		{"a single alternative elsewhere", []string{"X-Admin-Key", key}, 204, "", "acme/api_key/gold"},
		{"two tokens", cookie("X-Second", b), 204, "", "alice/jwt/"},

		{"the first member alone", withKey(), 401, "auth.incomplete", ""},
		{"the second member alone", bearer(a), 401, "auth.incomplete", ""},
		{"a member alone whose place nobody else has", []string{"X-Second", b}, 401, "auth.incomplete", ""},
		{"nothing", nil, 401, "auth.no_credential", ""},

		{"a bad member alone is not even judged", []string{"X-Api-Key", revoked}, 401, "auth.incomplete", ""},

		{"a bad first member", []string{"X-Api-Key", revoked, "Authorization", "Bearer " + a}, 401, "auth.key_revoked", ""},
		{"a bad second member", withKey(bearer(forged)...), 401, "auth.token_signature", ""},
		{"two bad members: the cheap one decides", []string{"X-Api-Key", revoked, "Authorization", "Bearer " + forged}, 401, "auth.key_revoked", ""},
		{"a bad member alone, where a single alternative could be", bearer(forged), 401, "auth.token_signature", ""},
		{"a bad token of the single alternative", bearer(token(keyA, issuerB, nil)), 401, "auth.token_signature", ""},

		{"a member and a single alternative's token", withKey(bearer(b)...), 400, "auth.several_credentials", ""},
		{"a complete group and a single alternative", withKey("Authorization", "Bearer "+a, "X-Admin-Key", key), 400, "auth.several_credentials", ""},
		{"a complete group and a member of another", withKey(cookie(bearer(a)...)...), 400, "auth.several_credentials", ""},
		{"two complete groups", withKey(cookie("Authorization", "Bearer "+a, "X-Second", b)...), 400, "auth.several_credentials", ""},
		{"members of two groups at the places of both", cookie("X-Second", a), 400, "auth.several_credentials", ""},
		{"members of two groups", withKey("X-Second", b), 400, "auth.several_credentials", ""},
		{"two single alternatives", []string{"Authorization", "Bearer " + b, "X-Admin-Key", key}, 400, "auth.several_credentials", ""},
		{"a member twice", []string{"X-Api-Key", key + "," + key, "Authorization", "Bearer " + a}, 400, "auth.several_credentials", ""},
		{"five credentials", withKey(cookie("Authorization", "Bearer "+a, "X-Second", b, "X-Admin-Key", key)...), 400, "auth.several_credentials", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := seen(g)
			resp := g.Do(t, "GET", "/", append(slices.Clone(tt.header), "X-Forwarded-For", address)...)
			if resp.Status != tt.status || resp.Header.Get("X-Test-Reason") != tt.reason {
				t.Fatalf("got %d %s, want %d %s", resp.Status, resp.Header.Get("X-Test-Reason"), tt.status, tt.reason)
			}
			if (got.Header != nil) != (tt.status == 204) {
				t.Fatalf("the backend saw the request: %v", got.Header != nil)
			}
			if tt.status != 204 {
				return
			}
			if user := got.Header.Get("X-User-Id"); user != tt.user {
				t.Errorf("the backend is told %q, want %q", user, tt.user)
			}
			for _, name := range []string{"Authorization", "X-Api-Key", "X-Admin-Key", "Cookie"} {
				if got.Header[name] != nil {
					t.Errorf("the backend got %s", name)
				}
			}
			if forwarded := got.Header.Get("X-Second") == b; forwarded != (tt.name == "two tokens") {
				t.Errorf("the credential that stays was forwarded: %v", forwarded)
			}
		})
	}
}

// Nothing in the answer says which member of a group is wrong or missing: they
// could be guessed one by one.
func TestGroupsDoNotSayWhichMemberIsWrong(t *testing.T) {
	dir, key, revoked := files(t)
	g := gatetest.Run(t, site(dir, groups))
	answer := func(header ...string) string {
		resp := g.Do(t, "GET", "/", append(header, "X-Forwarded-For", address)...)
		for _, name := range []string{"Date", "X-Test-Reason", "Content-Length"} {
			resp.Header.Del(name)
		}
		body, _, _ := strings.Cut(resp.Body, `,"request_id"`)
		return fmt.Sprint(resp.Status, resp.Header, body)
	}
	a, forged := token(keyA, issuerA, nil), token(keyB, issuerA, nil)
	want := answer("X-Api-Key", revoked, "Authorization", "Bearer "+forged)
	if !strings.HasPrefix(want, "401 ") || !strings.Contains(want, `error="invalid_token"`) {
		t.Fatal(want)
	}
	for name, header := range map[string][]string{
		"a good key and a bad token": {"X-Api-Key", key, "Authorization", "Bearer " + forged},
		"a bad key and a good token": {"X-Api-Key", revoked, "Authorization", "Bearer " + a},
		"a good token alone":         bearer(a),
		"a bad token alone":          bearer(forged),
	} {
		if got := answer(header...); got != want {
			t.Errorf("%s:\n%s\n%s", name, got, want)
		}
	}
	if good, bad := answer("X-Api-Key", key), answer("X-Api-Key", revoked); good != bad {
		t.Errorf("a key alone, good and bad:\n%s\n%s", good, bad)
	}
}

// A failure of ours in one member is not an answer about the credentials.
func TestATechnicalFailureOfAMemberIs503(t *testing.T) {
	noLeaks(t)
	dir, key, _ := files(t)
	i := newIssuer(t)
	i.says(500, "")
	g := gatetest.Run(t, site(dir, "all {"+blockKey+blockJWKS(i)+"\n}\noptional\napi_key {\n header X-Other\n keys_file DIR/keys.json\n pepper {file.DIR/pepper}\n}"))
	good := []string{"X-Api-Key", key, "Authorization", "Bearer " + token(keyA, issuerA, nil), "X-Forwarded-For", address}
	resp := g.Do(t, "GET", "/", good...)
	if resp.Status != 503 || resp.Header.Get("Retry-After") != "5" || resp.Header["Www-Authenticate"] != nil || resp.Header.Get("X-Test-Reason") != "auth.keys_unavailable" {
		t.Errorf("got %d %v", resp.Status, resp.Header)
	}
	if resp := g.Do(t, "GET", "/", "X-Other", key, "X-Forwarded-For", address); resp.Status != 200 {
		t.Errorf("another alternative: got %d", resp.Status)
	}
}

func TestACertificateCountsInTheGroupThatNamesIt(t *testing.T) {
	p := newPKI(t)
	inGroup := "all {\n mtls {\n allow_issuer CN=Ours\n }" + blockA + "\n}" + blockB
	last := "all {" + blockKey + "\n mtls\n}"
	g := gatetest.Run(t, direct+secure(p.dir, "a.example", asking("verify_if_given", "both.pem"), inGroup)+
		secure(p.dir, "b.example", asking("request", ""), inGroup)+
		secure(p.dir, "c.example", asking("verify_if_given", "ours.pem"), last+"\noptional"))
	foreign := p.theirs.Issue(t, x509.Certificate{DNSNames: []string{"partner.example"}})
	a, b := token(keyA, issuerA, nil), token(keyB, issuerB, nil)
	client := func(site, holder string) *http.Client {
		switch holder {
		case "partner":
			return client(t, g, site, &p.partner)
		case "foreign":
			return client(t, g, site, &foreign)
		}
		return client(t, g, site, nil)
	}
	tests := []struct {
		name, site, certificate string
		header                  []string
		status                  int
		reason                  string
		user                    string
	}{
		{"both", "a.example", "partner", bearer(a), 204, "", "partner.example CN=Ours mtls"},
		{"the certificate alone", "a.example", "partner", nil, 401, "auth.incomplete", ""},
		{"the token alone", "a.example", "", bearer(a), 401, "auth.incomplete", ""},
		{"nothing", "a.example", "", nil, 401, "auth.no_credential", ""},
		{"a certificate that is not good", "a.example", "foreign", bearer(a), 401, "auth.certificate_issuer", ""},
		{"a certificate that is not good, alone", "a.example", "foreign", nil, 401, "auth.certificate_issuer", ""},
		{"one that nobody verified", "b.example", "partner", bearer(a), 401, "auth.certificate_unverified", ""},
		{"a bad token", "a.example", "partner", bearer(token(keyB, issuerA, nil)), 401, "auth.token_signature", ""},
		{"the single alternative, whatever the certificate", "a.example", "foreign", bearer(b), 204, "", "alice https://b.example jwt"},
		{"a bad token of the single alternative", "a.example", "partner", bearer(token(keyA, issuerB, nil)), 401, "auth.token_signature", ""},
		{"a certificate as the last member", "c.example", "partner", []string{"X-Api-Key", p.key}, 204, "", "acme  api_key"},
		{"a key without its certificate", "c.example", "", []string{"X-Api-Key", p.key}, 401, "auth.incomplete", ""},
		{"optional: a certificate without its key is no anonymous caller", "c.example", "partner", nil, 401, "auth.incomplete", ""},
		{"optional: nothing", "c.example", "", nil, 204, "", "  "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := seen(g)
			resp := get(t, g, client(tt.site, tt.certificate), tt.site, tt.header...)
			if resp.Status != tt.status || resp.Header.Get("X-Test-Reason") != tt.reason {
				t.Fatalf("got %d %s %s, want %d %s", resp.Status, resp.Header.Get("X-Test-Reason"), resp.Body, tt.status, tt.reason)
			}
			if tt.status != 204 {
				return
			}
			if user := got.Header.Get("X-User-Id") + " " + got.Header.Get("X-User-Issuer") + " " + got.Header.Get("X-User-Method"); user != tt.user {
				t.Errorf("the backend is told %q, want %q", user, tt.user)
			}
		})
	}
}
