package policy

import (
	"slices"
	"strconv"
	"strings"
)

// server is an HTTP server of the configuration.
type server struct {
	path   string
	config map[string]any
	listen []string
}

// call is a handler at one place of a server's routes.
type call struct {
	server *server
	path   string
	name   string
	config map[string]any
	flow
}

// flow is what a request has been through when it comes to a handler.
type flow struct {
	hosts  []string // of the site; none for any
	guards []*call  // those it passed, unless a condition kept it from them
	ended  *call    // what answers it, or some of its like, before it comes here
}

// reader collects the calls of a configuration.
type reader struct {
	server *server
	calls  []*call
	named  map[string]any // routes that `invoke` names
	depth  int
}

// maxDepth bounds routes within routes; a named route may invoke itself.
const maxDepth = 64

func readServers(config any) (servers []*server, calls []*call) {
	list := object(dig(config, "apps", "http", "servers"))
	for _, name := range sorted(list) {
		s := &server{path: "apps/http/servers/" + name, config: object(list[name])}
		s.listen = texts(s.config["listen"])
		servers = append(servers, s)
		r := reader{server: s, named: object(s.config["named_routes"])}
		r.routes(s.config["routes"], s.path+"/routes", flow{})
		// What a guard refused comes here, so that it is none in front of these.
		r.routes(dig(s.config, "errors", "routes"), s.path+"/errors/routes", flow{})
		calls = append(calls, r.calls...)
	}
	return servers, calls
}

// routes reads routes one after the other and returns what a request has been
// through that none of them answered. Those of one group exclude each other.
func (r *reader) routes(list any, path string, in flow) flow {
	before := make(map[string]flow)
	for i, element := range array(list) {
		route := object(element)
		matched := len(array(route["match"])) > 0
		group, _ := route["group"].(string)
		begin := in
		if group != "" {
			if first, ok := before[group]; ok {
				begin = first
			} else {
				before[group] = in
			}
		}
		if hosts := hostsOf(route); len(hosts) > 0 {
			begin.hosts = hosts
		}
		out := r.handlers(route["handle"], path+"/"+strconv.Itoa(i)+"/handle", begin)
		ends := out.ended != nil && out.ended != begin.ended
		switch {
		case matched && route["terminal"] == true:
			// Requests that match go no further, others were not here.
		case !matched && group == "":
			out.hosts = in.hosts
			in = out
		case !matched && ends:
			in.ended = out.ended
		case matched && ends && out.ended.reachesBackend():
			// Some go on to a backend and see nothing of what follows. What answers
			// by itself under a condition, such as a redirect, is no way around a guard.
			in.ended = out.ended
		}
	}
	return in
}

func (r *reader) handlers(list any, path string, in flow) flow {
	for i, element := range array(list) {
		config := object(element)
		name, _ := config["handler"].(string)
		c := &call{server: r.server, path: path + "/" + strconv.Itoa(i), name: name, config: config, flow: in}
		if c.isForwardAuth() {
			c.name = "forward_auth"
		}
		r.calls = append(r.calls, c)
		switch {
		case c.name == "subroute":
			in = r.enter(config["routes"], c.path+"/routes", in)
		case c.name == "invoke":
			route, _ := config["name"].(string)
			in = r.enter([]any{r.named[route]}, r.server.path+"/named_routes/"+route, in)
		case c.ends() && in.ended == nil:
			in.ended = c
		default:
			in.guards = append(slices.Clip(in.guards), c)
		}
	}
	return in
}

func (r *reader) enter(routes any, path string, in flow) flow {
	if r.depth == maxDepth {
		return in
	}
	r.depth++
	defer func() { r.depth-- }()
	return r.routes(routes, path, in)
}

// ends reports whether no handler behind c sees a request.
func (c *call) ends() bool {
	switch c.name {
	case "static_response", "error":
		return true
	case "file_server":
		return c.config["pass_thru"] != true
	}
	return c.reachesBackend()
}

func (c *call) reachesBackend() bool { return c.name == "reverse_proxy" }

// isForwardAuth reports whether a proxy only asks another server about a request:
// what the directive forward_auth adapts to.
func (c *call) isForwardAuth() bool {
	return c.name == "reverse_proxy" && len(object(c.config["rewrite"])) > 0 && len(array(c.config["handle_response"])) > 0
}

// passed reports whether a request came through one of the handlers.
func (f flow) passed(accept func(*call) bool) bool { return slices.ContainsFunc(f.guards, accept) }

func hostsOf(route map[string]any) []string {
	var hosts []string
	for _, set := range array(route["match"]) {
		for _, host := range texts(object(set)["host"]) {
			hosts = append(hosts, strings.ToLower(host))
		}
	}
	return hosts
}

// What follows reads JSON; a value of another kind is an empty one, which Caddy
// refuses.

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func array(v any) []any {
	a, _ := v.([]any)
	return a
}

// texts returns the strings of an array, or a string alone.
func texts(v any) []string {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	var list []string
	for _, element := range array(v) {
		if s, ok := element.(string); ok {
			list = append(list, s)
		}
	}
	return list
}

func dig(v any, names ...string) any {
	for _, name := range names {
		v = object(v)[name]
	}
	return v
}

func sorted(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// visitObjects calls f for every object of a configuration, in order.
func visitObjects(v any, path string, f func(path string, o map[string]any)) {
	switch v := v.(type) {
	case []any:
		for i, element := range v {
			visitObjects(element, path+"/"+strconv.Itoa(i), f)
		}
	case map[string]any:
		f(path, v)
		for _, name := range sorted(v) {
			visitObjects(v[name], strings.TrimPrefix(path+"/"+name, "/"), f)
		}
	}
}
