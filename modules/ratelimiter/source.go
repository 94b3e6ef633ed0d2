package ratelimiter

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/sallyport-gateway/sallyport/modules/internal/guard"
)

// source is where one part of a key comes from.
type source struct {
	kind sourceKind
	name string // of the header or placeholder
}

type sourceKind int

const (
	fromClientIP sourceKind = iota
	fromPrincipal
	fromHeader
	fromHost
	fromMethod
	fromPath
	fromPlaceholder
)

// The words of a key, as in the configuration.
const (
	wordClientIP  = "client_ip"
	wordPrincipal = "principal"
	wordHeader    = "header"
)

// parseSource reads one part of a key: client_ip, principal, "header NAME" or
// "{placeholder}".
func parseSource(s string) (source, error) {
	switch s {
	case wordClientIP:
		return source{kind: fromClientIP}, nil
	case wordPrincipal:
		return source{kind: fromPrincipal}, nil
	}
	if name, ok := strings.CutPrefix(s, wordHeader+" "); ok {
		return headerSource(name)
	}
	if name, ok := strings.CutPrefix(s, "{"); ok {
		if name, ok = strings.CutSuffix(name, "}"); ok {
			return placeholderSource(name)
		}
	}
	return source{}, errors.New("not client_ip, principal, header NAME or a single {placeholder}")
}

// forwarding headers name the client only where a trusted proxy wrote them.
var forwarding = []string{
	"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip",
	"Cf-Connecting-Ip", "Fastly-Client-Ip", "X-Originating-Ip", "X-Remote-Ip", "X-Remote-Addr", "X-Azure-Clientip",
}

func headerSource(name string) (source, error) {
	if !httpguts.ValidHeaderFieldName(name) {
		return source{}, errors.New("not the name of a header")
	}
	name = http.CanonicalHeaderKey(name)
	if name == "Host" {
		return source{}, errors.New("use {http.request.host}")
	}
	if slices.Contains(forwarding, name) {
		return source{}, fmt.Errorf("anybody can write %s: use client_ip, which believes it only from trusted_proxies", name)
	}
	return source{kind: fromHeader, name: name}, nil
}

// Placeholders that are no key, by how they begin: what they should have been.
var notKeys = []struct{ prefix, instead string }{
	{"http.vars.client_ip", "use client_ip, which knows prefixes"},
	{"http.request.remote", "it is the balancer's address, or changes with each connection: use client_ip"},
	{"http.request.uuid", "it changes with each request"},
	{"http.request.duration", "it changes with each request"},
	{"time.", "it changes with each request"},
	{"http.request.body", "it would hold the whole body in memory"},
	{"http.request.hostport", "a client can write it in several ways: use {http.request.host}"},
	{"http.auth.user.id", "use principal"},
}

// placeholderSource reads a placeholder. Those that a client can write in several
// ways are taken from the canonical request, or a client would have as many
// buckets as it knows ways.
func placeholderSource(name string) (source, error) {
	switch name {
	case "http.request.host":
		return source{kind: fromHost}, nil
	case "http.request.method":
		return source{kind: fromMethod}, nil
	case "http.request.uri.path":
		return source{kind: fromPath}, nil
	}
	for _, no := range notKeys {
		if strings.HasPrefix(name, no.prefix) {
			return source{}, errors.New(no.instead)
		}
	}
	if header, ok := strings.CutPrefix(name, "http.request.header."); ok {
		return headerSource(header)
	}
	if name == "" || strings.ContainsAny(name, "{} \t\r\n") {
		return source{}, errors.New("not a single placeholder; several parts of a key are several words")
	}
	return source{kind: fromPlaceholder, name: name}, nil
}

// key makes the hash of a request's key in one zone.
type key struct {
	sources    []source
	ipv4, ipv6 int
}

func (k *key) hash(r *http.Request, req *guard.Request) uint64 {
	var b keyBytes
	for i := range k.sources {
		switch s := &k.sources[i]; s.kind {
		case fromClientIP:
			b.addAddress(req.Client, k.ipv4, k.ipv6)
		case fromPrincipal:
			if p := req.Principal; p != nil && p.ID != "" {
				b.addPrincipal(p.Method, p.Issuer, p.ID)
			} else {
				b.addAddress(req.Client, k.ipv4, k.ipv6)
			}
		case fromHeader:
			b.addHeader(r.Header[s.name])
		case fromHost:
			b.addString(req.Host)
		case fromMethod:
			b.addString(req.Method)
		case fromPath:
			b.addString(req.Path)
		case fromPlaceholder:
			b.addString(replaced(r, s.name))
		}
	}
	return b.sum()
}

// replaced is the value of a placeholder, or "" if nothing defines it.
func replaced(r *http.Request, name string) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	value, _ := repl.GetString(name)
	return value
}
