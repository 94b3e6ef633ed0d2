package check

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// number returns what a pattern finds in a file, which has to be one number.
func number(t *testing.T, pattern string, path ...string) int {
	t.Helper()
	found := regexp.MustCompile(pattern).FindAllStringSubmatch(read(t, path...), -1)
	if len(found) != 1 {
		t.Fatalf("%s: %d times %s", strings.Join(path, "/"), len(found), pattern)
	}
	n, err := strconv.Atoi(found[0][1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Whoever ends a gateway waits for its policy, and every way says the same.
func TestEveryWayWaitsForThePolicy(t *testing.T) {
	policy := []string{"image", "policy", "Caddyfile"}
	delay := number(t, `(?m)^\tshutdown_delay (\d+)s`, policy...)
	grace := number(t, `(?m)^\tgrace_period (\d+)s`, policy...)
	variables := []string{"terraform", "policy", "variables.tf"}
	if got := number(t, `variable "shutdown_delay" \{[^}]*default\s*= (\d+)`, variables...); got != delay {
		t.Errorf("terraform has a shutdown_delay of %d, the policy of %d", got, delay)
	}
	if got := number(t, `variable "grace_period" \{[^}]*default\s*= (\d+)`, variables...); got != grace {
		t.Errorf("terraform has a grace_period of %d, the policy of %d", got, grace)
	}
	stop := delay + grace + number(t, `stop_timeout = var\.shutdown_delay \+ var\.grace_period \+ (\d+)`, "terraform", "policy", "main.tf")
	for _, way := range []struct {
		name string
		got  int
	}{
		{"kubernetes", number(t, `terminationGracePeriodSeconds: (\d+)`, "kubernetes", "base", "deployment.yaml")},
		{"systemd", number(t, `TimeoutStopSec=(\d+)`, "systemd", "sallyport.service")},
	} {
		if way.got < stop {
			t.Errorf("%s waits %d s, and has to wait %d", way.name, way.got, stop)
		}
	}
}

// Kubernetes tells the balancer what Terraform tells it.
func TestBothWaysProbeAlike(t *testing.T) {
	variables := []string{"terraform", "policy", "variables.tf"}
	balancer := []string{"kubernetes", "production", "balancer.yaml"}
	for annotation, name := range map[string]string{
		"healthcheck-interval": "interval", "healthcheck-timeout": "timeout", "healthcheck-port": "port",
		"healthcheck-healthy-threshold": "healthy_threshold", "healthcheck-unhealthy-threshold": "unhealthy_threshold",
	} {
		want := number(t, `(?m)^    `+name+`\s*= optional\(number, (\d+)\)`, variables...)
		if got := number(t, annotation+`: "(\d+)"`, balancer...); got != want {
			t.Errorf("%s is %d, with Terraform %d", annotation, got, want)
		}
	}
	want := number(t, `variable "deregistration_delay" \{[^}]*default\s*= (\d+)`, variables...)
	if got := number(t, `deregistration_delay\.timeout_seconds=(\d+)`, balancer...); got != want {
		t.Errorf("the deregistration delay is %d, with Terraform %d", got, want)
	}
	stop := number(t, `terminationGracePeriodSeconds: (\d+)`, "kubernetes", "base", "deployment.yaml")
	if got := number(t, `draining_interval_seconds=(\d+)`, balancer...); got < stop {
		t.Errorf("the balancer cuts connections after %d s, the gateway is given %d", got, stop)
	}
}
