package policy

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// The names of handlers that find out who calls.
var authenticators = []string{"auth", "authentication", "forward_auth"}

// lookForBypassedGuards finds guards behind what answers already: in a route, whose
// order is the file's, or through the option `order`.
func lookForBypassedGuards(l *lint) {
	for _, c := range l.calls {
		if c.ended == nil || !slices.Contains(l.Guards, c.name) && !slices.Contains(authenticators, c.name) {
			continue
		}
		l.report(c.path, place{call: c, lines: [][]string{{c.name}}},
			fmt.Sprintf("%s stands behind %s (%s), which answers requests that it then never sees", c.name, directive(c.ended), c.ended.path),
			"put it in front, or remove the `order` option that moved it")
	}
}

// directive is the word of the Caddyfile for a handler.
func directive(c *call) string {
	if c.name == "static_response" {
		return "respond"
	}
	return c.name
}

// lookForOpenBackends finds backends behind a balancer that anybody can call.
func lookForOpenBackends(l *lint) {
	reported := make(map[string]bool)
	for _, c := range l.calls {
		site := c.server.path + " " + strings.Join(c.hosts, " ")
		if !c.reachesBackend() || !c.server.isBalanced() || reported[site] || c.server.asksForCertificates() {
			continue
		}
		if c.passed(func(g *call) bool {
			return g.enforces() && !g.isOptional() && (slices.Contains(authenticators, g.name) ||
				g.name == "access_rules" && g.config["otherwise"] != "allow" ||
				g.name == "allowlist" && (len(array(g.config["allow"])) > 0 || len(array(g.config["allow_files"])) > 0))
		}) {
			continue
		}
		reported[site] = true
		l.report(c.path, place{call: c, site: true},
			"everybody who reaches the balancer can call this backend: nothing in front of it asks who they are",
			"add `auth`, an `allowlist` with `allow`, or client certificates")
	}
}

// lookForOptionalAuth finds backends that nobody has to name themselves for, though
// somebody wrote auth: what it lets pass has to be told apart by rules.
func lookForOptionalAuth(l *lint) {
	for _, c := range l.calls {
		if !c.reachesBackend() {
			continue
		}
		var optional *call
		asked := false
		for _, g := range c.guards {
			switch {
			case !g.enforces():
			case g.isOptional():
				optional = g
			case g.name == "access_rules" || slices.Contains(authenticators, g.name):
				asked = true
			}
		}
		if optional != nil && !asked {
			l.report(optional.path, place{call: optional, lines: [][]string{{"optional"}, {"auth"}}},
				"requests without a credential reach "+directive(c)+" ("+c.path+"), and no rules tell them apart",
				"add `access_rules`, which says what anybody may do, or remove `optional`")
		}
	}
}

func (c *call) enforces() bool { return c.config["mode"] != "dry_run" }

// isOptional reports whether c is an auth that lets anybody pass.
func (c *call) isOptional() bool { return c.name == "auth" && c.config["optional"] == true }

// isBalanced reports whether something in front of the server speaks for clients.
func (s *server) isBalanced() bool {
	return s.config["trusted_proxies"] != nil || slices.ContainsFunc(array(s.config["listener_wrappers"]), func(w any) bool {
		name, _ := object(w)["wrapper"].(string)
		return name == "elb" || name == "proxy_protocol"
	})
}

func (s *server) asksForCertificates() bool {
	return slices.ContainsFunc(array(s.config["tls_connection_policies"]), func(p any) bool {
		return len(object(object(p)["client_authentication"])) > 0
	})
}

// lookForPlainUpstreams finds requests that leave the machine unencrypted, to a
// backend that cannot tell the gateway from anybody else.
func lookForPlainUpstreams(l *lint) {
	for _, c := range l.calls {
		if c.name != "reverse_proxy" && c.name != "forward_auth" {
			continue
		}
		transport := object(c.config["transport"])
		if transport["tls"] != nil || len(object(transport["assertion"])) > 0 {
			continue
		}
		away := ""
		for _, upstream := range array(c.config["upstreams"]) {
			if dial, _ := object(upstream)["dial"].(string); away == "" && leavesMachine(dial) {
				away = dial
			}
		}
		if c.config["dynamic_upstreams"] != nil {
			away = "dynamic upstreams"
		}
		if away == "" {
			continue
		}
		l.report(c.path, place{call: c, lines: [][]string{{c.name, away}, {c.name, "http://" + away}, {c.name}}},
			"requests go to "+away+" without TLS and without an assertion: whoever is between reads them, and whoever reaches the backend goes around the gateway",
			"use https:// with `tls_trust_pool`, or `transport sallyport` with an `assertion`")
	}
}

// leavesMachine reports whether an address is of another machine. One that is only
// known at run time is not judged.
func leavesMachine(dial string) bool {
	if dial == "" || strings.Contains(dial, "{") || strings.HasPrefix(dial, "unix") || strings.HasPrefix(dial, "fd") {
		return false
	}
	if _, rest, ok := strings.Cut(dial, "/"); ok { // tcp/…
		dial = rest
	}
	host, _, err := net.SplitHostPort(dial)
	if err != nil {
		host = dial
	}
	return !isLoopback(host)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// lookForUnverifiedUpstreams finds TLS that takes any certificate.
func lookForUnverifiedUpstreams(l *lint) {
	visitObjects(l.Config, "", func(path string, o map[string]any) {
		if o["insecure_skip_verify"] == true {
			l.report(path, place{lines: [][]string{{"tls_insecure_skip_verify"}, {"insecure_skip_verify"}}},
				"any certificate is taken: whoever is between reads and changes what is sent",
				"name who is trusted with `tls_trust_pool`")
		}
	})
}

// lookForReflectedOrigins finds CORS headers that let every web page call with its
// visitors' credentials. The suite's own `cors` refuses to.
func lookForReflectedOrigins(l *lint) {
	type site struct {
		origin      *call
		credentials bool
	}
	sites := make(map[string]*site)
	var order []string
	for _, c := range l.calls {
		key := c.server.path + " " + strings.Join(c.hosts, " ")
		eachHeader(c, func(name, value string) {
			if sites[key] == nil {
				sites[key] = new(site)
				order = append(order, key)
			}
			value = strings.ToLower(value)
			switch strings.ToLower(name) {
			case "access-control-allow-origin":
				if strings.Contains(value, "*") || strings.Contains(value, "{http.request.header.origin}") {
					sites[key].origin = c
				}
			case "access-control-allow-credentials":
				sites[key].credentials = sites[key].credentials || value == "true"
			}
		})
	}
	for _, key := range order {
		if s := sites[key]; s.origin != nil && s.credentials {
			l.report(s.origin.path, place{call: s.origin, lines: [][]string{
				{"header", "Access-Control-Allow-Origin"}, {"header", "+Access-Control-Allow-Origin"}, {"Access-Control-Allow-Origin"},
			}},
				"every web page may call with its visitors' credentials and read the answers",
				"use `cors` with `allow_origins`")
		}
	}
}

// eachHeader calls f for each value that a handler sets in a header.
func eachHeader(c *call, f func(name, value string)) {
	var sets []any
	for _, headers := range []map[string]any{object(c.config["headers"]), c.config} {
		for _, side := range []string{"request", "response"} {
			for _, verb := range []string{"set", "add"} {
				sets = append(sets, dig(headers, side, verb))
			}
		}
	}
	if c.name == "static_response" {
		sets = append(sets, c.config["headers"])
	}
	for _, set := range sets {
		for _, name := range sorted(object(set)) {
			for _, value := range texts(object(set)[name]) {
				f(name, value)
			}
		}
	}
}

var (
	secretName   = regexp.MustCompile(`(?i)^(proxy-)?authorization$|^cookie$|(^|-)(api-?key|token|secret|password)$`)
	placeholders = regexp.MustCompile(`\{[^{}]*\}`)
	schemes      = regexp.MustCompile(`(?i)^\s*(basic|bearer|token|apikey)?\s*$`)
	userinfo     = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@]*:[^/\s@{}]+@`)
)

// lookForInlineSecrets finds credentials in the configuration itself, where the
// admin API shows them: also what a {$VARIABLE} became. It never repeats them.
func lookForInlineSecrets(l *lint) {
	const remedy = "write {env.NAME} or {file.PATH}, which are read when they are needed"
	for _, c := range l.calls {
		eachHeader(c, func(name, value string) {
			if secretName.MatchString(name) && !schemes.MatchString(placeholders.ReplaceAllString(value, "")) {
				l.report(c.path, place{call: c, lines: [][]string{{"header_up", name}, {"header", name}, {"request_header", name}, {"header_down", name}}},
					"the value of "+name+" stands in the configuration", remedy)
			}
		})
	}
	visitObjects(l.Config, "", func(path string, o map[string]any) {
		for _, member := range sorted(o) {
			for _, text := range texts(o[member]) {
				if userinfo.MatchString(text) {
					l.report(path+"/"+member, place{}, "a password stands in a URL of the configuration", remedy)
				}
			}
		}
	})
}
