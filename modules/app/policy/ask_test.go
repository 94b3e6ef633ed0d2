package policy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestAsk(t *testing.T) {
	mine, other := digestOf([]byte("mine")), digestOf([]byte("other"))
	header := func(status int, digest string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(HeaderName, digest)
			w.WriteHeader(status)
		}
	}
	body := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
	}
	released := make(chan struct{})
	tests := []struct {
		name    string
		handler http.HandlerFunc
		state   string
		err     string
	}{
		{"the same", header(200, mine), StateSame, ""},
		{"the same, not ready", header(503, mine), StateSame, ""},
		{"another", header(200, other), StateDrift, ""},
		{"the same in metrics", body("# TYPE x\nx 1\nsallyport_policy_info{digest=\"" + mine + "\"} 1\ny 2\n"), StateSame, ""},
		{"another in metrics with more labels", body("sallyport_policy_info{digest=\"" + other + "\",pod=\"a\"} 1\n"), StateDrift, ""},
		{"two in metrics", body("sallyport_policy_info{digest=\"" + mine + "\"} 1\nsallyport_policy_info{digest=\"" + other + "\"} 1\n"), StateUnreachable, "several"},
		{"one that was", body("sallyport_policy_info{digest=\"" + mine + "\"} 0\n"), StateUnreachable, "does not say"},
		{"it does not say", body("ready\n"), StateUnreachable, "does not say"},
		{"no digest", header(200, "sha256:x"), StateUnreachable, "not a digest"},
		{"a redirect to one that is the same", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/there" {
				header(200, mine)(w, r)
				return
			}
			http.Redirect(w, r, "/there", http.StatusFound)
		}, StateUnreachable, "302"},
		{"a status line for terminals", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprint(conn, "HTTP/1.1 200 \x1b[2Ksame\r\nContent-Length: 0\r\n\r\n")
		}, StateUnreachable, "200 OK: it does not say"},
		{"it does not answer", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-released:
			case <-r.Context().Done():
			}
		}, StateUnreachable, "imeout"},
	}
	var targets []*url.URL
	for _, tt := range tests {
		server := httptest.NewServer(tt.handler)
		t.Cleanup(server.Close)
		target, err := ParseTarget(strings.Replace(server.URL, "http://", "http://user:secret@", 1))
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	defer close(released)
	answers := Ask(t.Context(), &http.Client{Timeout: 2 * time.Second}, targets, mine)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := answers[i]
			if got.State != tt.state || !strings.Contains(got.Error, tt.err) || (got.Error != "") != (tt.err != "") {
				t.Errorf("got %+v", got)
			}
			if strings.Contains(got.Target+got.Error, "secret") {
				t.Errorf("it shows the password: %+v", got)
			}
		})
	}
}

func TestTargetsAreURLs(t *testing.T) {
	for _, bad := range []string{"", "localhost:8081", "ftp://x/", "http://", "/readyz", "http://%zz"} {
		if _, err := ParseTarget(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestATargetWithoutAPathIsItsReadiness(t *testing.T) {
	for text, want := range map[string]string{
		"http://10.0.1.11:8081":         "http://10.0.1.11:8081/readyz",
		"http://10.0.1.11:8081/":        "http://10.0.1.11:8081/readyz",
		"http://10.0.1.11:8081/metrics": "http://10.0.1.11:8081/metrics",
	} {
		if u, err := ParseTarget(text); err != nil || u.String() != want {
			t.Errorf("%s: got %v, %v", text, u, err)
		}
	}
}
