package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Rule is one rule as it is configured.
type Rule struct {
	// Name identifies the rule in logs: letters, digits, - _ and ., unique.
	// Required.
	Name string `json:"name,omitempty"`
	// Methods the rule is about, in capitals. GET includes HEAD. Default: all.
	Methods []string `json:"methods,omitempty"`
	// Path patterns the rule is about; see the package's documentation. Default: all.
	Path []string `json:"path,omitempty"`
	// Host names the rule is about, without port; *.example.com stands for one
	// label in front. Default: all.
	Host []string `json:"host,omitempty"`
	// Require is what the caller must have: all of it. A rule requires or denies.
	Require []Requirement `json:"require,omitempty"`
	// Deny refuses what the rule is about, whoever calls. Default: false.
	Deny bool `json:"deny,omitempty"`
	// DryRun only records what the rule would refuse of the requests that are allowed.
	// Decisions are as if the rule were not there. Default: false.
	DryRun bool `json:"dry_run,omitempty"`
}

// Requirement is one condition on the caller. Exactly one field is set; of its
// values the caller must have one.
type Requirement struct {
	// Scope is what the caller was granted (RFC 6749 section 3.3). The first one
	// is what a challenge to a token's holder names.
	Scope []string `json:"scope,omitempty"`
	// Role is what the caller is.
	Role []string `json:"role,omitempty"`
	// Issuer is who vouches for the caller, exactly: the token's issuer, or the
	// distinguished name of the certificate's authority.
	Issuer []string `json:"issuer,omitempty"`
	// Method is how the caller was authenticated: one of AuthMethods.
	Method []string `json:"method,omitempty"`
	// Tier is the caller's class of service.
	Tier []string `json:"tier,omitempty"`
	// Claim is a claim of the caller's token.
	Claim *Claim `json:"claim,omitempty"`
	// Expression is a condition in CEL over the caller and the request; see the
	// package's documentation.
	Expression string `json:"expression,omitempty"`

	compiled *expression // set by Compile, in its copy
	steps    []string    // of the claim's name, set by Compile too
}

// Claim is a condition on one claim. A list holds if one of its elements does;
// numbers and booleans are compared as they are written in JSON.
type Claim struct {
	// Name of the claim, exactly: case counts. Dots lead into objects, as in
	// realm_access.roles; a claim that has the whole name, as URLs have, wins.
	Name string `json:"name,omitempty"`
	// Values of which the claim must have one.
	Values []string `json:"values,omitempty"`
}

// AuthMethods are the values of Requirement.Method: the credentials that auth reads
// itself, and what balancers say about callers.
var AuthMethods = []string{"jwt", "api_key", "mtls", "aws_alb_oidc", "aws_alb_mtls", "gcp_iap", "cloudflare_access"}

// methods are the registered ones (IANA HTTP Method Registry) that reach a
// guard, and PURGE. Others are refused: a mistyped method protects nothing.
var methods = []string{
	"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "PURGE",
	"ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK", "MERGE", "MKACTIVITY",
	"MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "ORDERPATCH", "PROPFIND", "PROPPATCH", "REBIND",
	"REPORT", "SEARCH", "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL",
}

// ParseMethod accepts a method of HTTP and returns it.
func ParseMethod(s string) (string, error) {
	if slices.Contains(methods, s) {
		return s, nil
	}
	if slices.Contains(methods, strings.ToUpper(s)) {
		return "", errors.New("write methods in capitals: case counts in them")
	}
	return "", errors.New("not a registered method of HTTP that reaches this gateway")
}

// ParsePath accepts a path pattern and returns it.
func ParsePath(s string) (string, error) {
	_, err := compilePattern(s)
	return s, err
}

// ParseHost accepts a host, without port, that may begin with "*.".
func ParseHost(s string) (string, error) {
	name := strings.TrimPrefix(s, "*.")
	switch {
	case strings.Contains(name, "*"):
		return "", errors.New("* stands for the first label only, as in *.example.com")
	case strings.ContainsAny(name, ":/["):
		return "", errors.New("write a host name alone, without scheme, port and path (and no IPv6 address, which has many spellings)")
	case name == "" || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, ".."):
		return "", errors.New("not a host name")
	case strings.ContainsFunc(name, func(c rune) bool {
		return c >= utf8.RuneSelf || !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '-' && c != '.' && c != '_'
	}):
		return "", errors.New("not a host name (write international names in their xn-- form)")
	}
	return s, nil
}

// ParseScope accepts a scope-token of RFC 6749 section 3.3.
func ParseScope(s string) (string, error) {
	if s == "" || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
		return "", errors.New("not one scope: no spaces, quotes, backslashes (RFC 6749 section 3.3)")
	}
	return s, nil
}

// ParseWord accepts a value without commas and control characters, with which
// somebody would mean a list.
func ParseWord(s string) (string, error) {
	if s == "" || strings.TrimSpace(s) != s || strings.ContainsRune(s, ',') || strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) {
		return "", errors.New("not one value: no commas, control characters or spaces around it")
	}
	return s, nil
}

// ParseIssuer accepts a name without commas, or the distinguished name of an
// authority, whose parts have commas between them (RFC 4514).
func ParseIssuer(s string) (string, error) {
	attribute, _, ok := strings.Cut(s, "=")
	if ok && attribute != "" && !strings.ContainsFunc(attribute, func(c rune) bool {
		return c >= utf8.RuneSelf || !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '-' && c != '.'
	}) {
		return ParseText(s)
	}
	return ParseWord(s)
}

// ParseText accepts the value of a claim.
func ParseText(s string) (string, error) {
	if s == "" || strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) {
		return "", errors.New("not one value: empty or with control characters")
	}
	return s, nil
}

// ParseClaim accepts the name of a claim, or names with dots between them.
func ParseClaim(s string) (string, error) {
	if strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.Contains(s, "..") {
		return "", errors.New("nothing stands before, behind or between its dots, which lead into objects")
	}
	return ParseText(s)
}

// ParseAuthMethod accepts one of AuthMethods.
func ParseAuthMethod(s string) (string, error) {
	if !slices.Contains(AuthMethods, s) {
		return "", fmt.Errorf("not one of %s", strings.Join(AuthMethods, ", "))
	}
	return s, nil
}

// ParseName accepts the name of a rule.
func ParseName(s string) (string, error) {
	if s == "" || len(s) > 64 || strings.ContainsFunc(s, func(c rune) bool {
		return c >= utf8.RuneSelf || !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '-' && c != '_' && c != '.'
	}) {
		return "", errors.New("a name has up to 64 letters, digits, hyphens, underscores and dots")
	}
	return s, nil
}

// Check returns every error of the rule by itself.
func (r *Rule) Check() []error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, err := ParseName(r.Name); err != nil {
		fail("name %q: %w", r.Name, err)
	}
	errs = append(errs, checkWords("methods", r.Methods, ParseMethod)...)
	errs = append(errs, checkWords("path", r.Path, ParsePath)...)
	errs = append(errs, checkWords("host", r.Host, ParseHost)...)
	for i := range r.Require {
		errs = append(errs, r.Require[i].check(i)...)
	}
	everything := len(r.Methods)+len(r.Path)+len(r.Host) == 0
	switch {
	case !r.Deny && len(r.Require) == 0:
		fail("it neither requires anything nor denies: add require or deny (`require method %s` asks for any caller who is known)", strings.Join(AuthMethods, " "))
	case r.Deny && len(r.Require) > 0:
		fail("deny and require exclude each other: a deny rule refuses every caller")
	case r.Deny && everything:
		fail("it denies every request: give it methods, path or host")
	}
	return append(errs, r.contradictions()...)
}

// contradictions finds lines that no caller can satisfy together: a caller has
// one issuer, one method, one tier.
func (r *Rule) contradictions() (errs []error) {
	for _, single := range []struct {
		kind string
		of   func(*Requirement) []string
	}{
		{"issuer", func(q *Requirement) []string { return q.Issuer }},
		{"method", func(q *Requirement) []string { return q.Method }},
		{"tier", func(q *Requirement) []string { return q.Tier }},
	} {
		var common []string
		seen := false
		for i := range r.Require {
			values := single.of(&r.Require[i])
			if len(values) == 0 {
				continue
			}
			if !seen {
				common, seen = slices.Clone(values), true
				continue
			}
			common = slices.DeleteFunc(common, func(s string) bool { return !slices.Contains(values, s) })
			if len(common) == 0 {
				errs = append(errs, fmt.Errorf("no caller satisfies its lines `require %s`: a caller has one, so write the alternatives on one line", single.kind))
				break
			}
		}
	}
	return errs
}

func (q *Requirement) check(i int) (errs []error) {
	given := 0
	for _, list := range []struct {
		kind   string
		values []string
		parse  func(string) (string, error)
	}{
		{"scope", q.Scope, ParseScope},
		{"role", q.Role, ParseWord},
		{"issuer", q.Issuer, ParseIssuer},
		{"method", q.Method, ParseAuthMethod},
		{"tier", q.Tier, ParseWord},
	} {
		if list.values == nil {
			continue
		}
		given++
		if len(list.values) == 0 {
			errs = append(errs, fmt.Errorf("require[%d]: %s has no values", i, list.kind))
		}
		errs = append(errs, checkWords("require "+list.kind, list.values, list.parse)...)
	}
	if q.Claim != nil {
		given++
		if _, err := ParseClaim(q.Claim.Name); err != nil {
			errs = append(errs, fmt.Errorf("require claim: name %q: %w", q.Claim.Name, err))
		}
		if len(q.Claim.Values) == 0 {
			errs = append(errs, fmt.Errorf("require claim %s: no values", q.Claim.Name))
		}
		errs = append(errs, checkWords("require claim "+q.Claim.Name, q.Claim.Values, ParseText)...)
	}
	if q.Expression != "" {
		given++
		if _, err := compileExpression(q.Expression); err != nil {
			errs = append(errs, fmt.Errorf("require expression %q: %w", q.Expression, err))
		}
	}
	if given != 1 {
		errs = append(errs, fmt.Errorf("require[%d] has %d kinds of conditions, not one", i, given))
	}
	return errs
}

func checkWords(what string, words []string, parse func(string) (string, error)) (errs []error) {
	for i, s := range words {
		if _, err := parse(s); err != nil {
			errs = append(errs, fmt.Errorf("%s %q: %w", what, s, err))
		} else if slices.Contains(words[:i], s) {
			errs = append(errs, fmt.Errorf("%s %q is given twice", what, s))
		}
	}
	return errs
}
