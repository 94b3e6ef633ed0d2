package policy

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// lookForOpenAdmin finds an admin endpoint that other machines reach: it asks for
// no credential.
func lookForOpenAdmin(l *lint) {
	admin := object(dig(l.Config, "admin"))
	listen, _ := admin["listen"].(string)
	if admin["disabled"] == true || listen == "" || strings.HasPrefix(listen, "unix") || strings.HasPrefix(listen, "fd") {
		return
	}
	if _, rest, ok := strings.Cut(listen, "/"); ok { // tcp/…
		listen = rest
	}
	host, _, err := net.SplitHostPort(listen)
	if err == nil && isLoopback(host) {
		return
	}
	l.report("admin/listen", place{lines: [][]string{{"admin"}}},
		"other machines reach the admin endpoint, which asks nobody who they are",
		"listen on localhost or on a Unix socket")
}

// lookForPersistedConfig finds a sealed configuration that Caddy saves on disk, to
// be started from with --resume instead of the image's.
func lookForPersistedConfig(l *lint) {
	if dig(l.Config, "apps", "sallyport", "seal") == true && dig(l.Config, "admin", "config", "persist") != false {
		l.report("admin/config", place{lines: [][]string{{"seal"}}},
			"the configuration is sealed, and yet a copy of it that can be changed is saved and can be resumed from",
			"add `persist_config off`")
	}
}

// What balancers and orchestrators do unless they are told otherwise.
const (
	defaultDelay = 10 * time.Second // ours, with a health directive
	defaultGrace = 15 * time.Second // ours
	leastDelay   = 5 * time.Second  // shorter than any default interval of probes
	stopTimeout  = 30 * time.Second // Kubernetes and ECS end a process then
)

// lookForDrainTiming finds exits that are too short for a balancer's probes or too
// long for the orchestrator.
func lookForDrainTiming(l *lint) {
	if !slices.ContainsFunc(l.calls, func(c *call) bool { return c.name == "health" }) {
		return
	}
	http := object(dig(l.Config, "apps", "http"))
	delay, delaySet := duration(http["shutdown_delay"])
	grace, graceSet := duration(http["grace_period"])
	if delaySet && delay < leastDelay {
		l.report("apps/http/shutdown_delay", place{lines: [][]string{{"shutdown_delay"}}},
			fmt.Sprintf("a balancer that probes does not notice within %s that the gateway is about to end", delay),
			"make it longer than the probes' interval times the failures they need")
	}
	if !delaySet {
		delay = defaultDelay
	}
	if !graceSet {
		grace = defaultGrace
	}
	if delay+grace >= stopTimeout {
		l.report("apps/http/grace_period", place{lines: [][]string{{"grace_period"}, {"shutdown_delay"}}},
			fmt.Sprintf("shutdown_delay and grace_period are %s together; Kubernetes and ECS end the process after %s unless told otherwise", delay+grace, stopTimeout),
			"shorten them, or give the orchestrator more time and waive this")
	}
}

// duration reads one as Caddy does: a number of nanoseconds or a text.
func duration(v any) (d time.Duration, set bool) {
	switch v := v.(type) {
	case float64:
		return time.Duration(v), v != 0
	case string:
		d, err := time.ParseDuration(v)
		return d, err == nil && d != 0
	}
	return 0, false
}

// lookForUnredactedLogs finds logs that credentials and personal data get into.
func lookForUnredactedLogs(l *lint) {
	if len(l.servers) == 0 {
		return
	}
	const remedy = "add `format redact` to this log"
	logs := object(dig(l.Config, "logging", "logs"))
	if logs["default"] == nil {
		l.report("logging/logs/default", place{}, "the default log, which is not written down, is without redaction", "add the global option `log { format redact }`")
	}
	for _, name := range sorted(logs) {
		log := object(logs[name])
		if dig(log, "writer", "output") == "discard" || isRedacted(object(log["encoder"])) {
			continue
		}
		lines := [][]string{{"log", name}, {"log"}}
		l.report("logging/logs/"+name, place{lines: lines}, "the log "+name+" is without redaction", remedy)
	}
	for _, s := range l.servers {
		if dig(s.config, "logs", "should_log_credentials") == true {
			l.report(s.path+"/logs/should_log_credentials", place{lines: [][]string{{"log_credentials"}}},
				"credentials of requests are logged", "remove `log_credentials`")
		}
	}
}

// isRedacted reports whether an encoder is the redacting one, or wraps it.
func isRedacted(encoder map[string]any) bool {
	for ; encoder != nil; encoder = object(encoder["wrap"]) {
		if encoder["format"] == "redact" {
			return true
		}
	}
	return false
}

// The longest prefixes that are more than one's own network of balancers.
const (
	wideIPv4 = 15
	wideIPv6 = 31
)

// lookForWideProxies finds servers that believe more than their balancers about
// the client's address. `elb` has its own checks.
func lookForWideProxies(l *lint) {
	for _, s := range l.servers {
		source := object(s.config["trusted_proxies"])
		if source["source"] == "static" {
			lines := [][]string{{"trusted_proxies", "static"}}
			if wide := widest(source["ranges"]); wide != "" {
				l.report(s.path+"/trusted_proxies", place{lines: lines},
					"everybody in "+wide+" is believed about the client's address, and can claim any",
					"name the balancer's addresses, best with `trusted_proxies elb`")
			}
			if strict, _ := s.config["trusted_proxies_strict"].(float64); strict == 0 {
				l.report(s.path+"/trusted_proxies_strict", place{lines: lines},
					"the client's address is taken from the left of X-Forwarded-For, where the client writes",
					"add `trusted_proxies_strict`")
			}
		}
		for _, element := range array(s.config["listener_wrappers"]) {
			wrapper := object(element)
			if wrapper["wrapper"] != "proxy_protocol" {
				continue
			}
			wide := widest(wrapper["allow"])
			if len(array(wrapper["allow"])) == 0 {
				wide = "any network"
			}
			if wide != "" {
				l.report(s.path+"/listener_wrappers", place{lines: [][]string{{"proxy_protocol"}}},
					"everybody in "+wide+" is believed about the client's address, and can claim any",
					"name the balancer's addresses with `allow`, best with the listener wrapper `elb`")
			}
		}
	}
}

// widest returns the first prefix of a list that is wide.
func widest(ranges any) string {
	for _, text := range texts(ranges) {
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Addr().IsLoopback() {
			continue
		}
		if p.Addr().Is4() && p.Bits() <= wideIPv4 || p.Addr().Is6() && p.Bits() <= wideIPv6 {
			return text
		}
	}
	return ""
}

// lookForLostServers finds `servers` blocks of addresses that no server has. The
// adapter drops them: a balancer in one is believed by nobody and keeps out nobody.
func lookForLostServers(l *lint) {
	if l.Source == nil {
		return
	}
	words := l.Source.Global
	depth := 0
	for i, word := range words {
		first := i == 0 || words[i-1].File != word.File || words[i-1].Line != word.Line
		if depth == 0 && first && word.Text == "servers" && i+1 < len(words) && words[i+1].Line == word.Line && words[i+1].Text != "{" {
			address := words[i+1].Text
			if !slices.ContainsFunc(l.servers, func(s *server) bool { return slices.Contains(s.listen, address) }) {
				l.add(&word, Finding{Rule: l.rule.id, Severity: l.rule.severity,
					Reason: "no server listens on " + address + ", so that this block has no effect" + l.haveInstead(),
					Remedy: "write the address as the server has it, or remove the block"})
			}
		}
		switch word.Text {
		case "{":
			depth++
		case "}":
			depth--
		}
	}
}

func (l *lint) haveInstead() string {
	var addresses []string
	for _, s := range l.servers {
		addresses = append(addresses, s.listen...)
	}
	if len(addresses) == 0 {
		return ""
	}
	return " (servers listen on " + strings.Join(addresses, ", ") + ")"
}
