package policy

import (
	"maps"
	"os"
	"slices"
	"strings"
)

// counted are the members of a configuration that name files which are part of
// the policy: who signs, who is trusted, who may call, what is a valid request.
// A name with a dot in front of it counts only inside a member of that name.
//
// Which member names a file cannot be seen in the JSON, so the table is checked:
// a test goes through the fields of every module that is compiled in and fails
// for one that may name a file and is in neither table.
var counted = map[string]bool{
	"allow_files":                true, // allowlist
	"deny_files":                 true, // allowlist
	"key_file":                   true, // auth: keys of a token's issuer
	"openapi":                    true, // validate
	"pem_files":                  true, // tls.ca_pool.source.file
	"trust_pool_files":           true, // auth: whom the fetch of an issuer's keys trusts, and whose clients' certificates a balancer reports
	"leaf_certs_loaders.files":   true, // which client certificates are accepted
	"leaf_certs_loaders.folders": true,
	"root_ca_pem_files":          true, // whom proxies and loaders trust
	"trusted_ca_certs_pem_files": true, // the old word of both
	"trusted_roots_pem_files":    true, // which ACME server is trusted
	"template_file":              true, // what a listing of files shows
}

// uncounted are those that name something else, and why it is no policy.
var uncounted = map[string]string{
	"keys_file": "API keys are made and revoked while the gateway runs",
	"file":      "revocations are made while the gateway runs; else what a file server serves",
	"jwks_file": "a gateway's keys for assertions are rotated every day",

	"certificate":                 "certificates are renewed while the gateway runs",
	"certificates":                "certificates are renewed while the gateway runs",
	"client_certificate":          "certificates are renewed while the gateway runs",
	"client_certificate_file":     "certificates are renewed while the gateway runs",
	"client_certificate_automate": "certificates are renewed while the gateway runs",
	"key":                         "private keys are secrets",
	"client_key":                  "private keys are secrets",
	"client_certificate_key_file": "private keys are secrets",
	"private_key":                 "private keys are secrets",
	"pem_keys":                    "names in Caddy's storage",
	"trusted_ca_certs":            "certificates themselves, in the configuration",
	"trusted_leaf_certs":          "certificates themselves, in the configuration",
	"root_ca_pool":                "certificates themselves, in the configuration",
	"root_common_name":            "a name in a certificate",
	"skip_certificates":           "names of sites",
	"account_key":                 "a key itself, in the configuration",

	"filename":     "what the gateway writes",
	"dir_mode":     "what the gateway writes",
	"file_limit":   "a number",
	"root":         "what a file server serves, and where Caddy's storage is",
	"file_root":    "what a file server serves",
	"try_files":    "what a file server serves",
	"folders":      "certificates are renewed while the gateway runs",
	"files":        "a file server's, or certificates, which are renewed",
	"path":         "a path of requests",
	"paths":        "paths of requests",
	"split_path":   "paths of requests",
	"path_prefix":  "a path of requests",
	"path_regexp":  "paths of requests",
	"profile":      "a word",
	"file_system":  "a module",
	"filesystems":  "modules",
	"file_systems": "modules",

	"etag_file_extensions": "what a file server serves",
	"strip_path_prefix":    "a path of requests",
	"strip_path_suffix":    "a path of requests",
}

// Classify reports whether the files that a member of the configuration names are
// part of the policy, and whether that was decided at all.
func Classify(member string) (part, decided bool) {
	if counted[member] {
		return true, true
	}
	if _, ok := uncounted[member]; ok {
		return false, true
	}
	for name := range counted {
		if _, last, ok := strings.Cut(name, "."); ok && last == member {
			return true, true
		}
	}
	return false, false
}

// namedFiles returns the files that count, each once and in order, and the values
// of members about which nothing was decided.
func namedFiles(config any) (files, others []string) {
	found := map[bool]map[string]bool{true: {}, false: {}}
	visitStrings(config, "", "", func(parent, member, value string) {
		switch _, decided := Classify(member); {
		case value == "":
		case counted[member] || counted[parent+"."+member]:
			found[true][value] = true
		case !decided:
			found[false][value] = true
		}
	})
	return slices.Sorted(maps.Keys(found[true])), slices.Sorted(maps.Keys(found[false]))
}

// visitStrings calls f for every string with the names of the member it is in and
// of the one that this is in.
func visitStrings(v any, parent, member string, f func(parent, member, value string)) {
	switch v := v.(type) {
	case string:
		f(parent, member, v)
	case []any:
		for _, element := range v {
			visitStrings(element, parent, member, f)
		}
	case map[string]any:
		for name, value := range v {
			visitStrings(value, member, name, f)
		}
	}
}

// Overlooked returns the values of a configuration that name files of this
// machine without the digest counting them, in members about which nothing was
// decided: most likely those of a module that is not the suite's.
func Overlooked(config any) []string {
	_, others := namedFiles(config)
	return slices.DeleteFunc(others, func(name string) bool {
		if !strings.ContainsAny(name, "./") || strings.ContainsAny(name, "\n{") {
			return true
		}
		info, err := os.Stat(name)
		return err != nil || !info.Mode().IsRegular()
	})
}
