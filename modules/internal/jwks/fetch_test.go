package jwks

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCheckURL(t *testing.T) {
	for raw, want := range map[string]string{
		"https://issuer.example/.well-known/jwks.json": "",
		"https://issuer.example/keys?p=b2c_policy":     "",
		"http://127.0.0.1:8080/keys":                   "",
		"http://127.8.8.8/keys":                        "",
		"http://[::1]:8080/keys":                       "",
		"http://localhost:8080/keys":                   "",
		"http://issuer.example/keys":                   "not https",
		"http://localhost.evil.example/keys":           "not https",
		"http://127.0.0.1.evil.example/keys":           "not https",
		"http://169.254.169.254/keys":                  "not https",
		"http://10.0.0.1/keys":                         "not https",
		"http://0.0.0.0/keys":                          "not https",
		"file:///etc/passwd":                           "not an absolute URL",
		"ftp://issuer.example/keys":                    "not https",
		"issuer.example/keys":                          "not an absolute URL",
		"https:///keys":                                "not an absolute URL",
		"https:issuer.example":                         "not an absolute URL",
		"":                                             "not an absolute URL",
		"https://2130706433/keys":                      "a number",
		"https://0x7f000001/keys":                      "a number",
		"https://127.1/keys":                           "a number",
		"https://10.0.0.0x1./keys":                     "a number",
		"https://3scale/keys":                          "",
		"https://user:secret@issuer.example/keys":      "credentials",
		"https://issuer.example/keys#a":                "fragment",
		"https://{http.request.host}/keys":             "not a URL",
		"https://issuer.example:port/keys":             "not a URL",
	} {
		err := CheckURL(raw)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", raw, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the password", raw)
		}
	}
	if _, err := New(Config{URL: "http://issuer.example/keys"}, nil); err == nil {
		t.Error("New takes what CheckURL refuses")
	}
}

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

var discard = log.New(io.Discard, "", 0)

// fetchFrom fetches once from a real server over TLS.
func fetchFrom(t *testing.T, handler http.HandlerFunc) (*Source, error) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = discard
	server.StartTLS()
	t.Cleanup(server.Close)
	s, err := New(Config{URL: server.URL + "/keys", TrustPool: pemOf(server.Certificate())}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	_, _, err = s.fetch(false)
	return s, err
}

func TestFetchOverTLS(t *testing.T) {
	var got *http.Request
	s, err := fetchFrom(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		io.WriteString(w, set("a"))
	})
	if err != nil {
		t.Fatal(err)
	}
	keys(t, s, 1)
	if got.Method != http.MethodGet || got.URL.Path != "/keys" || got.Header.Get("Cookie") != "" || got.Header.Get("Authorization") != "" {
		t.Errorf("asked with %s %s %v", got.Method, got.URL, got.Header)
	}
}

func TestUntrustedCertificateIsRefused(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, set("evil")) }))
	server.Config.ErrorLog = discard
	server.StartTLS()
	defer server.Close()
	s, err := New(Config{URL: server.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, _, err := s.fetch(false); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
}

func TestRedirectToAnotherServerIsNotFollowed(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked = true }))
	defer other.Close()
	_, err := fetchFrom(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	if err == nil || asked {
		t.Errorf("got %v, the other server was asked: %v", err, asked)
	}
}

// Errors go to the log and the admin endpoint.
func TestARedirectThatCannotBeReadIsNotRepeated(t *testing.T) {
	run(t, good, func(t *testing.T, s *Source, i *issuer) {
		i.redirects("https://u:hunter2@[x/" + strings.Repeat("a", 10000))
		if _, _, err := s.fetch(false); err == nil || strings.Contains(err.Error(), "hunter2") || len(err.Error()) > maxError {
			t.Errorf("got %.100v", err)
		}
	})
}

// A gigabyte, sent or only announced, and compressed.
func TestHugeBodyIsCutOff(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"sent": func(w http.ResponseWriter, r *http.Request) {
			block := []byte(strings.Repeat(" ", 1<<20))
			for range 1024 {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		},
		"announced": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1073741824")
			w.Write([]byte(strings.Repeat(" ", maxBody+1)))
			panic(http.ErrAbortHandler)
		},
		"endless headers": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Filler", strings.Repeat("a", 1<<20))
			io.WriteString(w, set("evil"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := fetchFrom(t, handler); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestBodyOfExactlyTheLimitIsTaken(t *testing.T) {
	s, err := fetchFrom(t, func(w http.ResponseWriter, r *http.Request) {
		body := set("a")
		io.WriteString(w, body+strings.Repeat(" ", maxBody-len(body)))
	})
	if err != nil {
		t.Fatal(err)
	}
	keys(t, s, 1)
}

func TestCloseEndsARealFetch(t *testing.T) {
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		close(arrived)
		<-r.Context().Done() // a slow loris
	}))
	defer server.Close()
	s, err := New(Config{URL: server.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	select {
	case <-arrived:
	case <-time.After(30 * time.Second):
		t.Fatal("it never asked")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if s.ctx.Err() != context.Canceled {
		t.Error("still running")
	}
}
