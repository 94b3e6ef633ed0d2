package jwks

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	testIssuer   = "https://issuer.example"
	testMetadata = testIssuer + "/.well-known/openid-configuration"
)

var discovered = Config{URL: testMetadata, Issuer: testIssuer}

func metadata(issuer, at string) string {
	return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q,"authorization_endpoint":"https://issuer.example/auth"}`, issuer, at)
}

// serves answers by URL; what it does not have is 404, and "down" no answer.
func (i *issuer) serves(documents map[string]string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = func(r *http.Request) (*http.Response, error) {
		body, ok := documents[r.URL.String()]
		switch {
		case body == "down":
			return nil, errors.New("down")
		case !ok:
			return &http.Response{StatusCode: 404, Body: http.NoBody, Request: r}, nil
		}
		return &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=600"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

func discover(t *testing.T, documents map[string]string, body func(*testing.T, *Source, *issuer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		i := new(issuer)
		i.serves(documents)
		s := newSource(discovered, i, nil)
		defer s.Close()
		s.Start()
		synctest.Wait()
		body(t, s, i)
	})
}

func TestWhereAnIssuerHasItsMetadata(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://issuer.example":          "https://issuer.example/.well-known/openid-configuration",
		"https://issuer.example/":         "https://issuer.example/.well-known/openid-configuration",
		"https://issuer.example/realms/a": "https://issuer.example/realms/a/.well-known/openid-configuration",
		"http://127.0.0.1:8080":           "http://127.0.0.1:8080/.well-known/openid-configuration",
		"http://issuer.example":           "",
		"accounts.example":                "",
		"https://issuer.example?a=b":      "",
		"https://issuer.example?":         "",
		"https://issuer.example#":         "",
	} {
		got, err := DiscoveryURL(issuer)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v", issuer, got, err)
		}
	}
}

func TestMetadata(t *testing.T) {
	const at = "https://keys.example/set"
	local := Config{URL: "http://127.0.0.1:8080/.well-known/openid-configuration", Issuer: testIssuer}
	allowed := Config{URL: testMetadata, Issuer: testIssuer, AllowPrivate: true}
	tests := []struct {
		name, body string
		config     Config
		want       string // the error, "" if it is taken
	}{
		{"keys at another host", metadata(testIssuer, at), discovered, ""},
		{"keys at the same host", metadata(testIssuer, testIssuer+"/keys"), discovered, ""},
		{"another issuer", metadata("https://evil.example", at), discovered, `of the issuer "https://evil.example"`},
		{"the issuer with a slash", metadata(testIssuer+"/", at), discovered, "of the issuer"},
		{"the issuer in capitals", metadata("https://ISSUER.example", at), discovered, "of the issuer"},
		{"an endless issuer", metadata(strings.Repeat("a", 10000), at), discovered, "of the issuer"},
		{"no issuer", `{"jwks_uri":"` + at + `"}`, discovered, "no issuer"},
		{"an issuer that is no text", `{"issuer":["` + testIssuer + `"],"jwks_uri":"` + at + `"}`, discovered, "no issuer"},
		{"Issuer in another case", `{"Issuer":"` + testIssuer + `","jwks_uri":"` + at + `"}`, discovered, "no issuer"},
		{"two issuers", `{"issuer":"https://evil.example","issuer":"` + testIssuer + `","jwks_uri":"` + at + `"}`, discovered, "twice"},
		{"two places of keys", `{"issuer":"` + testIssuer + `","jwks_uri":"` + at + `","jwks_uri":"https://evil.example"}`, discovered, "twice"},
		{"no keys", `{"issuer":"` + testIssuer + `"}`, discovered, "no jwks_uri"},
		{"a number for keys", `{"issuer":"` + testIssuer + `","jwks_uri":1}`, discovered, "no jwks_uri"},
		{"an empty URL of keys", metadata(testIssuer, ""), discovered, "no jwks_uri"},
		{"keys over http", metadata(testIssuer, "http://keys.example/set"), discovered, "not https"},
		{"keys over http from this machine", metadata(testIssuer, "http://127.0.0.1/set"), discovered, "not https"},
		{"keys over http from this machine, where private is allowed", metadata(testIssuer, "http://127.0.0.1/set"), allowed, "not https"},
		{"keys with a password", metadata(testIssuer, "https://u:hunter2@keys.example/set"), discovered, "credentials"},
		{"keys in a file", metadata(testIssuer, "file:///etc/passwd"), discovered, "not an absolute URL"},
		{"keys at a private address", metadata(testIssuer, "https://10.0.0.1/set"), discovered, "allow_private"},
		{"keys at the metadata service", metadata(testIssuer, "https://169.254.169.254/set"), discovered, "allow_private"},
		{"keys at a mapped address", metadata(testIssuer, "https://[::ffff:10.0.0.1]/set"), discovered, "allow_private"},
		{"keys on this machine", metadata(testIssuer, "https://localhost/set"), discovered, "allow_private"},
		{"keys on this machine, in capitals", metadata(testIssuer, "https://LOCALHOST/set"), discovered, "allow_private"},
		{"keys on this machine, by another name", metadata(testIssuer, "https://keys.localhost./set"), discovered, "allow_private"},
		{"keys at an address in other digits", metadata(testIssuer, "https://１６９.２５４.１６９.２５４/set"), discovered, "not ASCII"},
		{"keys at an address with other dots", metadata(testIssuer, "https://169。254。169。254/set"), discovered, "not ASCII"},
		{"keys at a number", metadata(testIssuer, "https://2130706433/set"), discovered, "a number"},
		{"keys at a private address that is allowed", metadata(testIssuer, "https://10.0.0.1/set"), allowed, ""},
		{"keys beside the metadata, both on this machine", metadata(testIssuer, "http://127.0.0.1:9090/set"), local, ""},
		{"keys at another loopback address", metadata(testIssuer, "http://127.0.0.2:8080/set"), local, "not https"},
		{"keys over https at another loopback address", metadata(testIssuer, "https://127.0.0.2:8080/set"), local, "allow_private"},
		{"HTML", "<html></html>", discovered, "not a JSON object"},
		{"nothing", "", discovered, "not a JSON object"},
		{"an array", "[]", discovered, "not a JSON object"},
		{"something behind it", metadata(testIssuer, at) + "{}", discovered, "data after"},
		{"no UTF-8", metadata(testIssuer, at) + "\xff", discovered, "UTF-8"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.config.readMetadata([]byte(test.body))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if err != nil && (len(err.Error()) > 300 || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("the error repeats too much: %v", err)
			}
		})
	}
}

func TestKeysAreFoundThroughTheIssuersMetadata(t *testing.T) {
	discover(t, map[string]string{testMetadata: metadata(testIssuer, "https://keys.example/set"), "https://keys.example/set": set("a")}, func(t *testing.T, s *Source, i *issuer) {
		keys(t, s, 1)
		if i.count() != 2 {
			t.Errorf("%d requests", i.count())
		}
		if state := s.state(time.Now()); state.Kind != "discovery" || state.Issuer != testIssuer || state.KeySet != "https://keys.example/set" {
			t.Errorf("got %+v", state)
		}
	})
}

func TestKeysThatMovedAreFound(t *testing.T) {
	before := map[string]string{testMetadata: metadata(testIssuer, "https://keys.example/1"), "https://keys.example/1": set("a")}
	after := map[string]string{testMetadata: metadata(testIssuer, "https://keys.example/2"), "https://keys.example/1": set("a"), "https://keys.example/2": set("a", "b")}
	t.Run("with time", func(t *testing.T) {
		discover(t, before, func(t *testing.T, s *Source, i *issuer) {
			i.serves(after)
			pass(20 * time.Minute)
			keys(t, s, 2)
		})
	})
	t.Run("at once where a token needs them", func(t *testing.T) {
		discover(t, before, func(t *testing.T, s *Source, i *issuer) {
			i.serves(after)
			if newer, err := miss(s); err != nil || newer.Len() != 2 {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("when the old place is gone", func(t *testing.T) {
		discover(t, before, func(t *testing.T, s *Source, i *issuer) {
			delete(after, "https://keys.example/1")
			i.serves(after)
			pass(10*time.Minute + time.Minute)
			keys(t, s, 2)
		})
	})
}

func TestAnOutageOfTheMetadataAloneIsNone(t *testing.T) {
	discover(t, map[string]string{testMetadata: metadata(testIssuer, "https://keys.example/set"), "https://keys.example/set": set("a")}, func(t *testing.T, s *Source, i *issuer) {
		i.serves(map[string]string{testMetadata: "down", "https://keys.example/set": set("a", "b")})
		pass(time.Hour)
		keys(t, s, 2)
		pass(22 * time.Hour)
		keys(t, s, 2)
		// Not for ever: nobody confirms any more that this is the issuer's place.
		pass(26 * time.Hour)
		if _, err := s.Keys(time.Now()); err != ErrStale {
			t.Errorf("got %v", err)
		}
	})
}

func TestMetadataThatBecameAnotherIssuersReplaceNothing(t *testing.T) {
	discover(t, map[string]string{testMetadata: metadata(testIssuer, "https://keys.example/set"), "https://keys.example/set": set("a")}, func(t *testing.T, s *Source, i *issuer) {
		i.serves(map[string]string{testMetadata: metadata("https://evil.example", "https://evil.example/set"), "https://evil.example/set": set("a", "b"), "https://keys.example/set": set("a")})
		pass(time.Hour)
		keys(t, s, 1)
		if state := s.state(time.Now()); state.State != StateFailing || !strings.Contains(state.LastError, "evil.example") {
			t.Errorf("got %s, %s", state.State, state.LastError)
		}
		pass(24 * time.Hour)
		if _, err := s.Keys(time.Now()); err != ErrStale {
			t.Errorf("got %v", err)
		}
	})
}

// Hanging metadata leave time for the keys.
func TestMetadataThatHangDoNotKeepFromTheKeys(t *testing.T) {
	discover(t, map[string]string{testMetadata: metadata(testIssuer, "https://keys.example/set"), "https://keys.example/set": set("a")}, func(t *testing.T, s *Source, i *issuer) {
		i.serves(map[string]string{"https://keys.example/set": set("a", "b")})
		i.mu.Lock()
		answer := i.answer
		i.answer = func(r *http.Request) (*http.Response, error) {
			if r.URL.String() == testMetadata {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return answer(r)
		}
		i.mu.Unlock()
		pass(time.Hour)
		keys(t, s, 2)
	})
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(metadata(testIssuer, "https://keys.example/set")))
	f.Add([]byte(metadata("https://evil.example", "https://keys.example/set")))
	f.Add([]byte(metadata(testIssuer, "https://10.0.0.1/set")))
	f.Add([]byte(`{"issuer":"a","issuer":"https://issuer.example","jwks_uri":"https://[::1]/"}`))
	f.Add([]byte(`{"issuer":"https://issuer.example","jwks_uri":"https://\u0000/","x":[[[]]]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		at, err := discovered.readMetadata(body)
		if err != nil {
			if at != "" || len(err.Error()) > 1000 {
				t.Errorf("%q, %v", at, err)
			}
			return
		}
		if !strings.HasPrefix(strings.ToLower(at), "https://") || CheckURL(at) != nil || !strings.Contains(string(body), "issuer") {
			t.Errorf("took %q", at)
		}
	})
}
