package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	dto "github.com/prometheus/client_model/go"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

const dryRules = `
	rule orders {
		path /orders/*
		require scope orders
	}
	rule office {
		path /orders/*
		require role clerk
		dry_run
	}
	rule old {
		path /orders/old/*
		deny
		dry_run
	}
	rule secret {
		path /orders/secret/*
		deny
	}
	rule more {
		path /more
		require scope orders
		dry_run
	}
`

// counted returns the value of a counter with all of these labels, "name=value".
func counted(t *testing.T, metric string, labels ...string) float64 {
	t.Helper()
	active := caddy.ActiveContext()
	families, err := active.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	has := func(m *dto.Metric) bool {
		n := 0
		for _, l := range m.GetLabel() {
			for _, want := range labels {
				if l.GetName()+"="+l.GetValue() == want {
					n++
				}
			}
		}
		return n == len(labels)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == metric && has(m) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestARuleInDryRunIsCountedAndLetsPass(t *testing.T) {
	g := gatetest.Run(t, rules(dryRules))
	clerk := strings.Replace(holder, `"Scopes"`, `"Roles":["clerk"],"Scopes"`, 1)
	tests := []struct {
		name, target, caller string
		status               int
		rules                string // that would refuse
		verdicts             string // that are counted
	}{
		{"it would refuse", "/orders/1", holder, 200, "office", "would_deny access.role"},
		{"it is satisfied", "/orders/1", clerk, 200, "", "allow "},
		{"two would refuse", "/orders/old/1", holder, 200, "office old", "would_deny access.role, would_deny access.denied"},
		{"a rule that is enforced refuses", "/orders/secret/1", holder, 403, "", "deny access.denied"},
		{"a rule that is enforced is not satisfied", "/orders/old/1", keyed[:len(keyed)-len(`,"Scopes":["orders"]}`)] + "}", 403, "", "deny access.scope"},
		{"it opens nothing", "/more", holder, 403, "", "deny access.not_allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state := func() map[string]float64 {
				state := make(map[string]float64)
				for _, rule := range []string{"office", "old", "more", "orders", "secret"} {
					state[rule] = counted(t, "sallyport_access_rule_would_deny_total", "guard=access_rules", "rule="+rule)
				}
				for _, verdict := range []string{"allow ", "would_deny access.role", "would_deny access.denied", "deny access.denied", "deny access.scope", "deny access.not_allowed"} {
					word, reason, _ := strings.Cut(verdict, " ")
					state[verdict] = counted(t, "sallyport_decisions_total", "guard=access_rules", "verdict="+word, "reason="+reason)
				}
				return state
			}
			before := state()
			resp := g.Do(t, "GET", tt.target, "X-Forwarded-For", address, "X-Test-Caller", tt.caller)
			if resp.Status != tt.status {
				t.Errorf("got %d %s", resp.Status, resp.Body)
			}
			if tt.status == 200 && (resp.Header.Get("WWW-Authenticate") != "" || resp.Header.Get("X-Test-Reason") != "") {
				t.Errorf("the caller is told: %v", resp.Header)
			}
			for name, n := range state() {
				want := 0.0
				if strings.Contains(" "+tt.rules+" ", " "+name+" ") || strings.Contains(", "+tt.verdicts+", ", ", "+name+", ") {
					want = 1
				}
				if n-before[name] != want {
					t.Errorf("%s: counted %v, want %v", name, n-before[name], want)
				}
			}
		})
	}
}

// An override that nobody asked about is not judged, also where a rule in dry_run
// would: it changes no decision.
func TestARuleInDryRunDoesNotMakeOthersJudgeOverrides(t *testing.T) {
	globals := strings.Replace(gatetest.Globals, "{\n", "{\n\tsallyport {\n\t\tcanonical {\n\t\t\tallow method_override encoded_slash\n\t\t}\n\t}\n", 1)
	g := gatetest.Run(t, globals+rules(`
	rule all {
		require method jwt
	}
	rule try_delete {
		methods DELETE
		deny
		dry_run
	}
	rule try_path {
		path /a/b
		deny
		dry_run
	}`))
	ask := func(target string, header ...string) {
		t.Helper()
		if resp := g.Do(t, "GET", target, append([]string{"X-Forwarded-For", address, "X-Test-Caller", holder}, header...)...); resp.Status != 200 {
			t.Errorf("%v: got %d %s", header, resp.Status, resp.Body)
		}
	}
	would := func(rule string) float64 {
		return counted(t, "sallyport_access_rule_would_deny_total", "rule="+rule)
	}
	ask("/", "X-HTTP-Method-Override", "DELETE, GET")
	if would("try_delete") != 0 {
		t.Error("a rule is told of what is no method")
	}
	ask("/", "X-HTTP-Method-Override", "delete", "X-Method-Override", "DELETE")
	if would("try_delete") != 1 {
		t.Errorf("another reading of the method: counted %v", would("try_delete"))
	}
	ask("/a%2Fb")
	if would("try_path") != 1 {
		t.Errorf("another reading of the path: counted %v", would("try_path"))
	}
}

// logged returns the lines of a file that have text, once there are n of them.
func logged(t *testing.T, path, text string, n int) []map[string]any {
	t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for {
		content, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		var found []map[string]any
		for line := range strings.Lines(string(content)) {
			if !strings.Contains(line, text) || !strings.HasSuffix(line, "\n") {
				continue
			}
			var entry map[string]any
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			found = append(found, entry)
		}
		if len(found) >= n {
			return found
		}
		select {
		case <-deadline:
			t.Fatalf("%d lines with %s, want %d", len(found), text, n)
		case <-tick.C:
		}
	}
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// The rule is for operators alone: in events and in the log at level debug.
func TestTheEventAndTheLogNameTheRule(t *testing.T) {
	dir := t.TempDir()
	events, debug := filepath.Join(dir, "events.json"), filepath.Join(dir, "debug.json")
	globals := strings.Replace(gatetest.Globals, "output discard", "output file "+debug+"\n\t\tlevel DEBUG\n\t\tformat json", 1)
	globals = strings.Replace(globals, "{\n", "{\n\tsallyport {\n\t\tevents file "+events+"\n\t}\n", 1)
	g := gatetest.Run(t, globals+rules(dryRules))
	token := strings.Replace(holder, `"Scopes"`, `"ID":"alice","Claims":{"jti":"a-jti","key_id":"not this"},"Scopes"`, 1)
	key := strings.Replace(keyed, `"Scopes"`, `"ID":"acme","Claims":{"key_id":"k1","jti":"not this"},"Scopes"`, 1)
	tests := []struct {
		name, target, caller string
		want                 map[string]any // nil: the field is not there
	}{
		{"a rule in dry_run", "/orders/1", token, map[string]any{
			"verdict": "would_deny", "rule": "office", "reason": "access.role", "principal": "alice", "key_id": nil, "jti_sha256": hashed("a-jti")}},
		{"a rule that is enforced", "/orders/secret/1", key, map[string]any{
			"verdict": "deny", "rule": "secret", "reason": "access.denied", "principal": "acme", "key_id": "k1", "jti_sha256": nil}},
		{"no rule at all", "/", "", map[string]any{"verdict": "deny", "rule": nil, "reason": "access.not_allowed", "principal": nil, "key_id": nil, "jti_sha256": nil}},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := g.Do(t, "GET", tt.target, "X-Forwarded-For", address, "X-Test-Caller", tt.caller)
			event := logged(t, events, `"schema"`, i+1)[i]
			for field, want := range tt.want {
				if event[field] != want {
					t.Errorf("%s is %v, want %v in %v", field, event[field], want, event)
				}
			}
			entry := logged(t, debug, `"msg":"refused"`, i+1)[i]
			if rule, _ := tt.want["rule"].(string); entry["rule"] != rule || entry["verdict"] != tt.want["verdict"] || entry["level"] != "debug" {
				t.Errorf("logged: %v", entry)
			}
			for _, header := range append(resp.Header["Www-Authenticate"], resp.Body) {
				if strings.Contains(header, "office") || strings.Contains(header, "secret") {
					t.Errorf("the caller is told the rule: %s", header)
				}
			}
		})
	}
	content, err := os.ReadFile(events)
	if err != nil || strings.Contains(string(content), "a-jti") {
		t.Errorf("%v, or the jti stands in %s", err, content)
	}
}
