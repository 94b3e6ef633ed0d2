package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// lintFinding is what `caddy sallyport lint --json` prints.
type lintFinding struct{ Rule, Severity, Path, Position, Reason, Remedy, Waived string }

// lint looks at a Caddyfile of dir, and returns the findings that are not waived,
// and those that are.
func lint(t *testing.T, dir, config string) (open, waived []lintFinding) {
	t.Helper()
	cmd := exec.Command(binary, "sallyport", "lint", "--json", "--config", config)
	cmd.Dir = dir
	var stderr buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output()
	var all []lintFinding
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatalf("%v: %s\n%s", err, out, &stderr)
	}
	for _, f := range all {
		if f.Waived != "" {
			waived = append(waived, f)
			continue
		}
		open = append(open, f)
	}
	want := 0
	if len(open) > 0 {
		want = 2
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("%d findings, exit code %d", len(open), got)
	}
	return open, waived
}

// clean is a configuration in which nothing is found. Tests replace its parts.
const clean = `{
	admin localhost:2019
	persist_config off
	log {
		format redact
	}
	shutdown_delay 10s
	grace_period 15s
	sallyport {
		seal on
	}
	servers :8080 {
		trusted_proxies static 10.0.1.0/24
		trusted_proxies_strict
	}
}
http://api.example.com:8080 {
	allowlist {
		allow 192.0.2.0/24
	}
	header X-Frame-Options DENY
	reverse_proxy https://backend.example {
		header_up Authorization "Bearer {env.TOKEN}"
	}
}
http://:8081 {
	health
}
`

func TestLint(t *testing.T) {
	dir := t.TempDir()
	if open, _ := lint(t, dir, write(t, dir, "Caddyfile", clean)); len(open) > 0 {
		t.Fatalf("in the clean one: %+v", open)
	}
	const (
		guard = "\tallowlist {\n\t\tallow 192.0.2.0/24\n\t}\n"
		proxy = "\treverse_proxy https://backend.example {\n\t\theader_up Authorization \"Bearer {env.TOKEN}\"\n\t}\n"
		frame = "\theader X-Frame-Options DENY\n"
		elb   = "\t\ttrusted_proxies static 10.0.1.0/24\n\t\ttrusted_proxies_strict\n"
	)
	// Each pair replaces a part of the clean one: `bad` with what the rule finds, on
	// the line that ends in # HERE, and `good` with what is like it and is not found.
	tests := []struct{ name, rule, part, bad, good string }{
		{"a guard behind a proxy in a route", "guard-bypassed", guard + frame + proxy,
			"\troute {\n\t\treverse_proxy https://backend.example\n\t\tallowlist { # HERE\n\t\t\tallow 192.0.2.0/24\n\t\t}\n\t}\n\tauth {\n\t\tapi_key {\n\t\t\theader X-Api-Key\n\t\t\tkeys_file keys.json\n\t\t\tpepper {env.PEPPER}\n\t\t}\n\t}\n",
			"\troute {\n\t\tallowlist {\n\t\t\tallow 192.0.2.0/24\n\t\t}\n\t\treverse_proxy https://backend.example\n\t}\n"},
		{"a guard behind a proxy of some paths", "guard-bypassed", guard + frame + proxy,
			"\troute {\n\t\tallowlist {\n\t\t\tallow 192.0.2.0/24\n\t\t}\n\t\treverse_proxy /open/* https://backend.example\n\t\tcors { # HERE\n\t\t\tallow_origins https://app.example.com\n\t\t}\n\t\treverse_proxy https://backend.example\n\t}\n",
			"\troute {\n\t\tallowlist {\n\t\t\tallow 192.0.2.0/24\n\t\t}\n\t\tredir /old /new\n\t\tcors {\n\t\t\tallow_origins https://app.example.com\n\t\t}\n\t\treverse_proxy https://backend.example\n\t}\n"},
		{"a guard behind a handle that proxies", "guard-bypassed", guard + frame + proxy,
			"\troute {\n\t\tallowlist {\n\t\t\tallow 192.0.2.0/24\n\t\t}\n\t\thandle /open/* {\n\t\t\treverse_proxy https://backend.example\n\t\t}\n\t\tcors { # HERE\n\t\t\tallow_origins https://app.example.com\n\t\t}\n\t\treverse_proxy https://backend.example\n\t}\n",
			"\tallowlist {\n\t\tallow 192.0.2.0/24\n\t}\n\thandle /open/* {\n\t\treverse_proxy https://backend.example\n\t}\n\thandle {\n\t\tcors {\n\t\t\tallow_origins https://app.example.com\n\t\t}\n\t\treverse_proxy https://backend.example\n\t}\n"},
		{"a guard that `order` moved behind the answer", "guard-bypassed", "\tadmin localhost:2019\n",
			"\tadmin localhost:2019\n\torder cors after reverse_proxy\n", "\tadmin localhost:2019\n\torder cors after header\n"},
		{"a backend that nothing protects", "no-auth", "http://api.example.com:8080 {\n" + guard,
			"http://api.example.com:8080 { # HERE\n\tallowlist {\n\t\tdeny 192.0.2.0/24\n\t}\n", "http://api.example.com:8080 {\n\tforward_auth 127.0.0.1:9091 {\n\t\turi /verify\n\t}\n"},
		{"a backend outside of the handle with the guard", "no-auth", "http://api.example.com:8080 {\n" + guard,
			"http://api.example.com:8080 { # HERE\n\thandle /x/* {\n\t\tallowlist {\n\t\t\tallow 192.0.2.0/24\n\t\t}\n\t}\n", "http://api.example.com:8080 {\n\thandle /x/* {\n\t\trespond x\n\t}\n" + guard},
		{"a guard that only counts", "no-auth", "http://api.example.com:8080 {\n\tallowlist {\n",
			"http://api.example.com:8080 { # HERE\n\tallowlist {\n\t\tmode dry_run\n", "http://api.example.com:8080 {\n\tallowlist {\n\t\tmode enforce\n"},
		{"a backend behind an auth that asks nobody", "auth-optional", proxy,
			"\tauth {\n\t\toptional # HERE\n\t\tmtls\n\t}\n" + proxy, "\tauth {\n\t\toptional\n\t\tmtls\n\t}\n\taccess_rules {\n\t\trule all {\n\t\t\tpath /*\n\t\t\trequire method mtls\n\t\t}\n\t}\n" + proxy},
		{"rules that only count behind an auth that asks nobody", "auth-optional", proxy,
			"\tauth {\n\t\toptional # HERE\n\t\tmtls\n\t}\n\taccess_rules {\n\t\tmode dry_run\n\t\trule all {\n\t\t\tpath /*\n\t\t\trequire method mtls\n\t\t}\n\t}\n" + proxy, "\tauth {\n\t\tmtls\n\t}\n" + proxy},
		{"an auth that asks nobody protects nothing", "no-auth", "http://api.example.com:8080 {\n" + guard,
			"http://api.example.com:8080 { # HERE\n\tauth {\n\t\tmtls\n\t\toptional\n\t}\n\taccess_rules {\n\t\totherwise allow\n\t\trule all {\n\t\t\tpath /x\n\t\t\tdeny\n\t\t}\n\t}\n",
			"http://api.example.com:8080 {\n\tauth {\n\t\tmtls\n\t\toptional\n\t}\n\taccess_rules {\n\t\trule all {\n\t\t\tpath /x\n\t\t\trequire method mtls\n\t\t}\n\t}\n"},
		{"a backend for what guards refused", "no-auth", "http://api.example.com:8080 {\n",
			"http://api.example.com:8080 { # HERE\n\thandle_errors {\n\t\treverse_proxy https://backend.example\n\t}\n", "http://api.example.com:8080 {\n\thandle_errors {\n\t\trespond {err.status_code}\n\t}\n"},
		{"a backend elsewhere in plain HTTP", "upstream-plain", proxy,
			"\treverse_proxy 10.0.2.10:8080 # HERE\n", "\treverse_proxy 127.0.0.1:8080 unix//run/backend [::1]:80 localhost:81\n"},
		{"a backend elsewhere by its URL", "upstream-plain", proxy,
			"\treverse_proxy http://backend.example # HERE\n", "\treverse_proxy {http.vars.backend}\n"},
		{"a backend whose certificate nobody looks at", "upstream-unverified", proxy,
			"\treverse_proxy https://backend.example {\n\t\ttransport http {\n\t\t\ttls_insecure_skip_verify # HERE\n\t\t}\n\t}\n",
			"\treverse_proxy https://backend.example {\n\t\ttransport http {\n\t\t\ttls_server_name backend.example\n\t\t}\n\t}\n"},
		{"an origin that is whoever asks", "cors-reflected", frame,
			"\theader Access-Control-Allow-Origin {http.request.header.Origin} # HERE\n\theader Access-Control-Allow-Credentials true\n",
			"\theader Access-Control-Allow-Origin https://app.example.com\n\theader Access-Control-Allow-Credentials true\n"},
		{"any origin, and credentials from the proxy's header", "cors-reflected", frame + proxy,
			"\theader Access-Control-Allow-Origin * # HERE\n\treverse_proxy https://backend.example {\n\t\theader_down Access-Control-Allow-Credentials true\n\t}\n",
			"\theader Access-Control-Allow-Origin *\n" + proxy},
		{"a token in the configuration", "inline-secret", `		header_up Authorization "Bearer {env.TOKEN}"` + "\n",
			"\t\theader_up Authorization \"Bearer hunter2\" # HERE\n", "\t\theader_up Authorization {http.request.header.Authorization}\n"},
		{"a variable that became a token", "inline-secret", frame,
			"\trequest_header X-Api-Key {$UNSET:hunter2} # HERE\n", "\trequest_header X-Api-Key {env.UNSET}\n"},
		{"a password in a URL", "inline-secret", frame,
			"\theader Link https://user:hunter2@x.example\n", "\theader Link https://user:{env.X}@x.example:443/a:b@c\n"},
		{"an admin endpoint for all", "admin-open", "\tadmin localhost:2019\n", "\tadmin :2019 # HERE\n", "\tadmin unix//run/admin.sock\n"},
		{"an admin endpoint for a network", "admin-open", "\tadmin localhost:2019\n", "\tadmin 10.0.0.1:2019 # HERE\n", "\tadmin [::1]:2019\n"},
		{"a sealed configuration on disk", "config-persisted", "\tpersist_config off\n\tlog {\n\t\tformat redact\n\t}\n\tshutdown_delay 10s\n\tgrace_period 15s\n\tsallyport {\n\t\tseal on\n",
			"\tlog {\n\t\tformat redact\n\t}\n\tshutdown_delay 10s\n\tgrace_period 15s\n\tsallyport {\n\t\tseal on # HERE\n", "\tlog {\n\t\tformat redact\n\t}\n\tsallyport {\n\t\tseal off\n"},
		{"no time for a probe", "drain-timing", "\tshutdown_delay 10s\n", "\tshutdown_delay 1s # HERE\n", "\tshutdown_delay 5s\n"},
		{"more time than there is", "drain-timing", "\tgrace_period 15s\n", "\tgrace_period 20s # HERE\n", "\tgrace_period 19s\n"},
		{"a bare log", "log-unredacted", "\tlog {\n\t\tformat redact\n\t}\n", "\tlog { # HERE\n\t\tformat json\n\t}\n", "\tlog {\n\t\tformat filter {\n\t\t\twrap redact\n\t\t}\n\t}\n"},
		{"no log", "log-unredacted", "\tlog {\n\t\tformat redact\n\t}\n", "", "\tlog {\n\t\toutput discard\n\t}\n"},
		{"a site's own log", "log-unredacted", frame, "\tlog {\n\t\toutput stdout\n\t}\n", "\tlog\n"},
		{"credentials in logs", "log-unredacted", elb, elb + "\t\tlog_credentials # HERE\n", elb},
		{"every private network is believed", "proxies-wide", elb,
			"\t\ttrusted_proxies static private_ranges # HERE\n\t\ttrusted_proxies_strict\n", "\t\ttrusted_proxies elb aws_alb {\n\t\t\tfrom 10.0.0.0/16\n\t\t}\n\t\ttrusted_proxies_strict\n"},
		{"the left of X-Forwarded-For is believed", "proxies-wide", elb, "\t\ttrusted_proxies static 10.0.1.0/24 # HERE\n", "\t\ttrusted_proxies static 10.1.0.0/16 2001:db8::/32\n\t\ttrusted_proxies_strict\n"},
		{"everybody's PROXY header is believed", "proxies-wide", elb, "\t\tlistener_wrappers {\n\t\t\tproxy_protocol # HERE\n\t\t}\n", "\t\tlistener_wrappers {\n\t\t\tproxy_protocol {\n\t\t\t\tallow 10.0.1.0/24\n\t\t\t}\n\t\t}\n"},
		{"a balancer of no server", "servers-lost", "\tservers :8080 {\n", "\tservers :80 { # HERE\n\t\tmetrics\n\t}\n\tservers :8080 {\n", "\tservers :8081 {\n\t\tmetrics\n\t}\n\tservers :8080 {\n"},
	}
	for _, tt := range tests {
		t.Run(tt.rule+": "+tt.name, func(t *testing.T) {
			dir := t.TempDir()
			config := func(part string) string {
				if strings.Count(clean, tt.part) != 1 {
					t.Fatalf("the clean configuration does not have the part once:\n%s", tt.part)
				}
				return strings.Replace(clean, tt.part, part, 1)
			}
			bad, good := config(tt.bad), config(tt.good)
			if strings.Contains(tt.bad, "order cors") {
				const cors = "\tcors {\n\t\tallow_origins https://app.example.com\n\t}\n"
				bad, good = strings.Replace(bad, frame, cors, 1), strings.Replace(good, frame, cors, 1)
				bad = strings.Replace(bad, "\tcors {", "\tcors { # HERE", 1)
			}
			open, _ := lint(t, dir, write(t, dir, "Caddyfile", bad))
			if len(open) != 1 || open[0].Rule != tt.rule || open[0].Remedy == "" {
				t.Fatalf("got %+v in\n%s", open, bad)
			}
			if strings.Contains(open[0].Reason, "hunter2") {
				t.Errorf("it repeats the secret: %+v", open[0])
			}
			for i, line := range strings.Split(bad, "\n") {
				if strings.HasSuffix(line, "# HERE") && !strings.HasSuffix(open[0].Position, "Caddyfile:"+strconv.Itoa(i+1)) {
					t.Errorf("it is on line %d, the finding says %s", i+1, open[0].Position)
				}
			}
			if open, _ := lint(t, dir, write(t, dir, "Caddyfile", good)); len(open) > 0 {
				t.Errorf("got %+v in\n%s", open, good)
			}
			if strings.Contains(bad, "# HERE") {
				waivedHere := strings.Replace(bad, "# HERE", "# lint:ignore "+tt.rule+" it is a test", 1)
				if open, waived := lint(t, dir, write(t, dir, "Caddyfile", waivedHere)); len(open) > 0 || len(waived) != 1 || waived[0].Waived != "it is a test" {
					t.Errorf("waived: got %+v and %+v", open, waived)
				}
			}
		})
	}
}

func TestAWaiverAboveALineIsOfThatLine(t *testing.T) {
	dir := t.TempDir()
	above := strings.Replace(clean, "\tadmin localhost:2019\n", "\t# lint:ignore admin-open it is a test\n\n\t# The admin endpoint.\n\tadmin :2019\n", 1)
	if open, waived := lint(t, dir, write(t, dir, "Caddyfile", above)); len(open) > 0 || len(waived) != 1 {
		t.Errorf("got %+v and %+v", open, waived)
	}
	further := strings.Replace(above, "\tadmin :2019\n", "\tpersist_config off\n\tadmin :2019\n", 1)
	further = strings.Replace(further, "\tadmin :2019\n\tpersist_config off\n", "\tadmin :2019\n", 1)
	if open, waived := lint(t, dir, write(t, dir, "Caddyfile", further)); len(open) != 2 || len(waived) > 0 {
		t.Errorf("two lines above: got %+v and %+v", open, waived)
	}
}

func TestWaiversThatWaiveNothingAreFound(t *testing.T) {
	for _, tt := range []struct{ name, comment, reason string }{
		{"without a reason", "# lint:ignore admin-open", "has no reason"},
		{"of no rule", "# lint:ignore admin-opened it is a test", "no rule"},
		{"without anything", "# lint:ignore", "no rule"},
		{"of what is not there", "# lint:ignore no-auth it is a test", "finds nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			open, waived := lint(t, dir, write(t, dir, "Caddyfile", strings.Replace(clean, "admin localhost:2019", "admin :2019 "+tt.comment, 1)))
			if len(open) != 2 || open[0].Rule != "admin-open" || open[1].Rule != "waiver" || !strings.Contains(open[1].Reason, tt.reason) || len(waived) > 0 {
				t.Errorf("got %+v and %+v", open, waived)
			}
		})
	}
}

func TestEveryExampleLintsClean(t *testing.T) {
	files, err := filepath.Glob("../examples/*/Caddyfile")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range append(files, "testdata/reference.Caddyfile") {
		absolute, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		if open, _ := lint(t, t.TempDir(), absolute); len(open) > 0 {
			t.Errorf("%s: %+v", file, open)
		}
	}
}

func TestLintSaysWhatItCouldNotLookAt(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "broken", "{\n")
	write(t, dir, "good.json", `{"admin":{"listen":":2019"},"apps":{}}`)
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 1, ""},
		{[]string{"--config", "missing"}, 1, ""},
		{[]string{"--config", "broken", "--adapter", "caddyfile"}, 1, ""},
		{[]string{"--config", "good.json"}, 2, "admin/listen: error: admin-open: "},
		{[]string{"good.json"}, 1, ""},
	} {
		cmd := exec.Command(binary, append([]string{"sallyport", "lint"}, tt.args...)...)
		cmd.Dir, cmd.Env = dir, os.Environ()
		out, _ := cmd.Output()
		if got := cmd.ProcessState.ExitCode(); got != tt.code || !strings.HasPrefix(string(out), tt.want) {
			t.Errorf("%q: exit code %d, %s", tt.args, got, out)
		}
	}
}
