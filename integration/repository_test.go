package integration

import (
	"encoding/base64"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/caddyfile/order"
)

// suiteModules is every module of the suite.
var suiteModules = []string{
	"admin.api.sallyport",
	"admin.api.sallyport_jwks",
	"caddy.listeners.desync",
	"caddy.listeners.elb",
	"caddy.logging.encoders.redact",
	"caddy.storage.redis",
	"http.authentication.providers.sallyport_api_key",
	"http.authentication.providers.sallyport_aws_alb_mtls",
	"http.authentication.providers.sallyport_aws_alb_oidc",
	"http.authentication.providers.sallyport_cloudflare_access",
	"http.authentication.providers.sallyport_gcp_iap",
	"http.authentication.providers.sallyport_jwt",
	"http.authentication.providers.sallyport_mtls",
	"http.handlers.access_rules",
	"http.handlers.allowlist",
	"http.handlers.auth",
	"http.handlers.auth_error_route",
	"http.handlers.cors",
	"http.handlers.elb_requests",
	"http.handlers.health",
	"http.handlers.problem",
	"http.handlers.problem_fallback",
	"http.handlers.quota",
	"http.handlers.rate_limiter",
	"http.handlers.redact",
	"http.handlers.security_headers",
	"http.handlers.telemetry",
	"http.handlers.tls_policy",
	"http.handlers.validate",
	"http.handlers.verify_gateway",
	"http.ip_sources.elb",
	"http.reverse_proxy.transport.sallyport",
	"sallyport",
	"tls.get_certificate.mounted",
	"tls.stek.shared",
}

func TestTheBinaryHasEveryModule(t *testing.T) {
	// The binary is this repository's own build, so Caddy knows no package to name
	// behind a module; everything that is not standard is of the suite.
	var got []string
	for line := range strings.Lines(caddy(t, t.TempDir(), "list-modules", "--skip-standard")) {
		if name := strings.TrimSpace(line); name != "" && !strings.Contains(name, " ") {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, suiteModules) {
		t.Errorf("got %q", got)
	}
}

func TestTheReferenceUsesEveryDirective(t *testing.T) {
	dir := t.TempDir()
	reference := read(t, "testdata/reference.Caddyfile")
	for _, entry := range order.Table {
		if !regexp.MustCompile(`(?m)^\t+` + entry.Directive + `\b`).MatchString(reference) {
			t.Errorf("it lacks %s", entry.Directive)
		}
	}
	caddy(t, dir, "adapt", "--config", write(t, dir, "Caddyfile", reference))
}

func TestEveryExampleAdaptsAndProvisions(t *testing.T) {
	files, err := filepath.Glob("../examples/*/Caddyfile")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), "README.md")); err != nil {
				t.Error(err)
			}
			dir := t.TempDir()
			secrets := filepath.Join(dir, "build", "quickstart") // where the quickstart has them
			if err := os.MkdirAll(secrets, 0o755); err != nil {
				t.Fatal(err)
			}
			credentials(t, secrets)
			certificate, key := selfSigned(t, secrets)
			for name, value := range map[string]string{
				"CERTIFICATE": certificate, "KEY": key, "TOKEN_KEY": filepath.Join(secrets, "issuer.pub.pem"),
				"KEYS": filepath.Join(secrets, "keys.json"), "PEPPER": filepath.Join(secrets, "pepper"),
				"PARTNERS_CA": certificate, "PARTNERS": write(t, secrets, "partners.txt", "192.0.2.0/24\n"),
				"STORAGE_KEY": base64.StdEncoding.EncodeToString(make([]byte, 32)),
			} {
				t.Setenv(name, value)
			}
			absolute, err := filepath.Abs(file)
			if err != nil {
				t.Fatal(err)
			}
			caddy(t, dir, "validate", "--adapter", "caddyfile", "--config", absolute)
		})
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	comments := map[string]int{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "build" || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") && entry.Name() != "..") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		comments[dir] += 0
		if file.Doc != nil && strings.HasPrefix(file.Doc.Text(), "Package "+file.Name.Name+" ") {
			comments[dir]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir, n := range comments {
		if n != 1 && filepath.Base(dir) != "xcaddy" { // a program that xcaddy writes
			t.Errorf("%s has %d package comments, want one", dir, n)
		}
	}
}

func TestNoTestIsSkipped(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "repository_test.go") {
			return err
		}
		for _, word := range []string{".Skip(", ".SkipNow(", ".Skipf(", "testing.Short("} {
			if strings.Contains(read(t, path), word) {
				t.Errorf("%s has %s", path, word)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
