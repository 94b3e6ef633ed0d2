package elb

import (
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// The Terraform example counts with what the profiles say, in a language of its own.
func TestTheDeploymentCountsWithTheProfiles(t *testing.T) {
	source, err := os.ReadFile("../../examples/deploy/terraform/policy/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	alb, nlb := profileNamed("aws_alb"), tcpProfileOf("aws_nlb")
	for name, want := range map[string]int{
		"alb_default_idle_timeout": int(alb.idle / time.Second),
		"alb_max_request_head":     alb.head,
		"nlb_default_idle_timeout": int(nlb.idle / time.Second),
		"idle_margin":              int(idleMargin / time.Second),
		"idle_at_least":            int(idleAtLeast / time.Second),
	} {
		found := regexp.MustCompile(`(?m)^  ` + name + `\s*= (\d+)\b`).FindSubmatch(source)
		if found == nil {
			t.Errorf("it has no %s", name)
			continue
		}
		if got, err := strconv.Atoi(string(found[1])); err != nil || got != want {
			t.Errorf("%s is %s there, and %d here", name, found[1], want)
		}
	}
}
