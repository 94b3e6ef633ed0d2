package sallyport

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/sallyport-gateway/sallyport/modules/app/policy"
)

// TestEveryFileThatAModuleMayNameIsJudged fails for a new option that looks as if
// it named a file and of which the policy's digest does not know whether it counts.
func TestEveryFileThatAModuleMayNameIsJudged(t *testing.T) {
	seen := make(map[reflect.Type]bool)
	fields := make(map[string]bool)
	judge := func(module, member string) {
		fields[member] = true
		if _, decided := policy.Classify(member); suspicious.MatchString(member) && !decided {
			t.Errorf("%s: %q may name a file; add it to a table in modules/app/policy/files.go", module, member)
		}
	}
	collect(reflect.TypeFor[caddy.Config](), "Config", seen, judge)
	for _, namespace := range namespaces() {
		for _, info := range caddy.GetModules(namespace) {
			collect(reflect.TypeOf(info.New()), string(info.ID), seen, judge)
		}
	}
	for _, known := range []string{"allow_files", "key_file", "keys_file", "pem_files", "trusted_roots_pem_files", "folders", "template_file"} {
		if !fields[known] {
			t.Errorf("%s was not looked at: the test does not see every module", known)
		}
	}
}

// suspicious are the names of options that may name a file.
var suspicious = regexp.MustCompile(`file|path|pem|cert|folder|dir$|^dir|root|openapi|schema|spec`)

// namespaces are the prefixes of the IDs of all modules that are compiled in, and
// the empty one, of the apps.
func namespaces() []string {
	found := map[string]bool{"": true}
	for _, id := range caddy.Modules() {
		if i := strings.LastIndexByte(id, '.'); i > 0 {
			found[id[:i]] = true
		}
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	return names
}

// collect calls f for every member of a type's JSON that is text, or texts.
func collect(typ reflect.Type, module string, seen map[reflect.Type]bool, f func(module, member string)) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Array || typ.Kind() == reflect.Map {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || seen[typ] {
		return
	}
	seen[typ] = true
	for field := range typ.Fields() {
		member, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if member == "-" || !field.IsExported() && !field.Anonymous {
			continue
		}
		inner := field.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.String && member != "" && inner != reflect.TypeFor[json.Number]() {
			f(module, member)
		}
		collect(field.Type, module, seen, f)
	}
}
