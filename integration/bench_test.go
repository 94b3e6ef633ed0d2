package integration

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	golangjwt "github.com/golang-jwt/jwt/v5"
)

// These benchmarks compare whole processes: the CPU time that a gateway takes for a
// request, user and system, by the operating system's accounting. What is compared
// is measured in turns, so that other load on the machine hits all of it, and the
// medians of the rounds are reported as ratios.

const (
	benchConnections = 32
	benchRounds      = 7
	benchRequests    = 24_000 // a round
)

// contender is one gateway and the requests that it gets.
type contender struct {
	name    string
	gateway *benchGateway
	request func() string // one request with its headers; safe for concurrent use
	status  []int         // what may be answered
	body    string        // what stands in the answer
}

// benchGateway is a gateway whose CPU time is read.
type benchGateway struct {
	addr string
	pid  int
}

// startBench runs a gateway with the site's directives, and global options.
func startBench(b *testing.B, global, directives string) *benchGateway {
	b.Helper()
	dir, addr := b.TempDir(), freeAddr(b)
	write(b, dir, "Caddyfile", "{\n\tadmin {$ADMIN}\n\tauto_https off\n"+global+"}\nhttp://:"+port(addr)+" {\nbind 127.0.0.1\n"+directives+"\n}\n")
	g := newGateway(b, dir, freeAddr(b), nil)
	cmd := exec.Command(binary, "run", "--adapter", "caddyfile", "--config", "Caddyfile")
	g.start(b, cmd)
	return &benchGateway{addr, cmd.Process.Pid}
}

// cpu is how much time the process has taken so far.
func (g *benchGateway) cpu(b *testing.B) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // proc_pid_stat(5): utime and stime, in ticks of 10 ms
	fields := strings.Fields(rest)
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// resident is the memory of the process that is in RAM, in bytes.
func (g *benchGateway) resident(b *testing.B) float64 {
	b.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", g.pid))
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.ParseFloat(strings.Fields(string(statm))[1], 64)
	if err != nil {
		b.Fatal(err)
	}
	return pages * float64(os.Getpagesize())
}

// round sends requests over kept connections and returns the CPU time of each.
func (c *contender) round(b *testing.B) time.Duration {
	b.Helper()
	before := c.gateway.cpu(b)
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	for range benchConnections {
		wg.Go(func() {
			if err := c.requests(benchRequests / benchConnections); err != nil {
				failed.Store(&err)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		b.Fatalf("%s: %v", c.name, *err)
	}
	return (c.gateway.cpu(b) - before) / benchRequests
}

func (c *contender) requests(n int) error {
	conn, err := net.Dial("tcp", c.gateway.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for range n {
		if _, err := io.WriteString(conn, c.request()); err != nil {
			return err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
		if !slices.Contains(c.status, resp.StatusCode) {
			return fmt.Errorf("status %d, not %d", resp.StatusCode, c.status)
		}
		if !strings.Contains(string(body), c.body) {
			return fmt.Errorf("the answer is %q, without %q", body, c.body)
		}
	}
	return nil
}

// compare runs the rounds and reports each contender's time and its ratio to the
// first one's.
func compare(b *testing.B, contenders ...contender) {
	b.Helper()
	times := make([][]time.Duration, len(contenders))
	for i := range contenders { // connections, caches and heaps are warm
		contenders[i].round(b)
	}
	for b.Loop() {
		for range benchRounds {
			for i := range contenders {
				times[i] = append(times[i], contenders[i].round(b))
			}
		}
	}
	median := func(i int) float64 {
		slices.Sort(times[i])
		return float64(times[i][len(times[i])/2])
	}
	for i := range contenders {
		b.ReportMetric(median(i)/1e3, contenders[i].name+"-µs/req")
		b.ReportMetric(median(i)/median(0), contenders[i].name+"-×")
	}
}

// benchBackend answers with a small JSON document.
func benchBackend(b *testing.B) string {
	b.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":4711,"state":"paid","amount":"12.50","currency":"EUR"}`)
	}))
	b.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// benchIssuer is a key and the file with its public half.
type benchIssuer struct {
	key  any
	alg  golangjwt.SigningMethod
	kid  string
	file string
}

func newBenchIssuer(b *testing.B, alg golangjwt.SigningMethod) *benchIssuer {
	b.Helper()
	var key, public any
	switch alg.(type) {
	case *golangjwt.SigningMethodRSA:
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			b.Fatal(err)
		}
		key, public = k, k.Public()
	default:
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		key, public = k, k.Public()
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		b.Fatal(err)
	}
	file := write(b, b.TempDir(), "issuer.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	return &benchIssuer{key: key, alg: alg, kid: "k1", file: file}
}

// token is a valid one.
func (i *benchIssuer) token(b *testing.B) string {
	b.Helper()
	t := golangjwt.NewWithClaims(i.alg, golangjwt.MapClaims{
		"iss": "https://issuer.example", "aud": "api", "sub": "user-4711", "scope": "orders:read orders:write",
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "jti": "1f0c2a9e",
	})
	t.Header["kid"] = i.kid
	signed, err := t.SignedString(i.key)
	if err != nil {
		b.Fatal(err)
	}
	return signed
}

func getRequest(path string, header ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: bench\r\nAccept: application/json\r\n" +
		strings.Join(append(header, ""), "\r\n") + "\r\n"
}

func always(request string) func() string { return func() string { return request } }

// What a policy costs beside a proxy without one: shared key figures of the project.
func BenchmarkPolicyAgainstStockProxy(b *testing.B) {
	for _, alg := range []golangjwt.SigningMethod{golangjwt.SigningMethodRS256, golangjwt.SigningMethodES256} {
		b.Run(alg.Alg(), func(b *testing.B) {
			backend, issuer := benchBackend(b), newBenchIssuer(b, alg)
			stock := startBench(b, "", "reverse_proxy "+backend)
			auth := "auth {\n jwt https://issuer.example {\n audience api\n algorithms " + alg.Alg() + "\n key_file " + issuer.file + "\n }\n}\n"
			alone := startBench(b, "", auth+"reverse_proxy "+backend)
			whole := startBench(b, "log {\n format redact\n}\n", `
				allowlist {
					allow 127.0.0.0/8
					deny 192.0.2.66
				}
				security_headers api
				cors {
					allow_origins https://app.example.com
					allow_methods GET POST
				}
				rate_limiter {
					zone per_client {
						key client_ip
						rate 1000000/s
						burst 1000000
					}
				}
				`+auth+`
				access_rules {
					rule read {
						methods GET
						path /orders/*
						require scope orders:read
					}
				}
				quota {
					zone per_consumer {
						key principal
						rate 1000000/s
						burst 1000000
					}
				}
				reverse_proxy `+backend)
			request := always(getRequest("/orders/4711", "Authorization: Bearer "+issuer.token(b)))
			compare(b,
				contender{"stock", stock, request, []int{200}, "4711"},
				contender{"auth", alone, request, []int{200}, "4711"},
				contender{"policy", whole, request, []int{200}, "4711"})
		})
	}
}

// What a flood of forged credentials costs beside a flood of requests for what is
// not there, and what it makes the gateway do: memory, and requests to the issuer.
func BenchmarkFloodAgainstNotFound(b *testing.B) {
	issuer := newBenchIssuer(b, golangjwt.SigningMethodRS256)
	var fetches atomic.Int64
	public := issuer.key.(*rsa.PrivateKey).PublicKey
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "kid": issuer.kid, "alg": "RS256", "use": "sig",
		"n": base64.RawURLEncoding.EncodeToString(public.N.Bytes()), "e": "AQAB",
	}}})
	if err != nil {
		b.Fatal(err)
	}
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetches.Add(1)
		_, _ = w.Write(set)
	}))
	defer keys.Close()
	dir := b.TempDir()
	b.Setenv("BENCH_PEPPER", strings.Repeat("p", 32))
	keysFile := write(b, dir, "keys.json", `{"keys": []}`)
	auth := func(options string) string {
		return "auth {\n" + options + "jwt https://issuer.example {\n audience api\n algorithms RS256\n jwks " + keys.URL + "\n }\n" +
			"api_key {\n keys_file " + keysFile + "\n pepper {env.BENCH_PEPPER}\n }\n}\n respond 200"
	}
	notFound := startBench(b, "", "respond 404")
	limited, unlimited := startBench(b, "", auth("")), startBench(b, "", auth("failures off\n"))

	valid := issuer.token(b)
	head, payload, signature := cutToken(valid)
	random := func(n int) string {
		raw := make([]byte, n)
		for i := range raw {
			raw[i] = byte(mathrand.Uint32())
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	bearer := func(token string) string { return getRequest("/", "Authorization: Bearer "+token) }
	kid := func() string {
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"` + random(9) + `"}`))
		return bearer(header + "." + payload + "." + signature)
	}
	forged := func() string { return bearer(head + "." + payload + "." + random(256)) }
	apiKey := func() string { return getRequest("/", "X-Api-Key: sp_"+random(6)+"_"+random(32)+"_"+random(4)) }

	for _, g := range []*benchGateway{limited, unlimited} {
		c := contender{"valid", g, always(bearer(valid)), []int{200}, ""}
		if err := c.requests(1); err != nil {
			b.Fatal(err)
		}
	}
	start, before := time.Now(), fetches.Load()
	compare(b,
		contender{"404", notFound, always(getRequest("/")), []int{404}, ""},
		contender{"kids-unlimited", unlimited, kid, []int{401}, "request_id"},
		contender{"signatures-unlimited", unlimited, forged, []int{401}, "request_id"},
		contender{"apikeys-unlimited", unlimited, apiKey, []int{401}, "request_id"},
		contender{"kids", limited, kid, []int{429, 401}, "request_id"},
		contender{"signatures", limited, forged, []int{429, 401}, "request_id"},
		contender{"apikeys", limited, apiKey, []int{429, 401}, "request_id"})
	b.ReportMetric(limited.resident(b)/(1<<20), "MiB-resident")
	b.ReportMetric(unlimited.resident(b)/(1<<20), "MiB-resident-unlimited")
	b.ReportMetric(notFound.resident(b)/(1<<20), "MiB-resident-404")
	b.ReportMetric(float64(fetches.Load()-before)/time.Since(start).Minutes(), "fetches/min")
}

func cutToken(token string) (head, payload, signature string) {
	head, rest, _ := strings.Cut(token, ".")
	payload, signature, _ = strings.Cut(rest, ".")
	return head, payload, signature
}
