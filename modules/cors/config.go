package cors

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxMaxAge is the longest time for which any browser keeps a preflight's
// answer (Firefox; Chromium keeps it for two hours, Safari for ten minutes).
const maxMaxAge = 24 * time.Hour

// Config is a CORS policy as it is written. Compile makes a Policy of it.
type Config struct {
	// AllowOrigins are the origins whose pages may read responses:
	// "https://app.example.com", "https://*.example.com" for the names below
	// example.com, or "*" alone for all. At least one.
	AllowOrigins []string
	// AllowMethods are the methods allowed beside GET, HEAD and POST, which
	// browsers send without asking; "*" alone allows all.
	AllowMethods []string
	// AllowHeaders are the request headers that pages may set; "*" allows all
	// but Authorization, which can stand beside it.
	AllowHeaders []string
	// ExposeHeaders are the response headers that pages may read; "*" alone
	// shows all.
	ExposeHeaders []string
	// AllowCredentials lets pages send cookies and read the answer.
	AllowCredentials bool
	// MaxAge is how long browsers keep a preflight's answer, in whole seconds up
	// to 24 hours. Zero leaves it to the browser.
	MaxAge time.Duration
}

// Compile checks the whole of c. Its error joins everything that is wrong with
// it, and there is no Policy then: a policy that is half in force is worse than
// none.
func Compile(c Config) (*Policy, error) {
	if faults := c.faults(); faults != nil {
		return nil, errors.Join(faults...)
	}
	p := &Policy{
		methods:   newMethodSet(c.AllowMethods),
		headers:   newNameSet(c.AllowHeaders),
		exposed:   strings.Join(c.ExposeHeaders, ","),
		anyOrigin: slices.Contains(c.AllowOrigins, "*"),
	}
	if c.AllowCredentials {
		p.allowCredentials, p.origins.oneOwner = "true", true
	}
	if c.MaxAge > 0 {
		p.maxAge = strconv.FormatInt(int64(c.MaxAge/time.Second), 10)
	}
	if p.anyOrigin {
		return p, nil
	}
	for _, origin := range c.AllowOrigins {
		pattern, err := parsePattern(origin)
		if err != nil {
			return nil, err
		}
		p.origins.insert(origin, pattern)
	}
	return p, nil
}

var errNoOrigins = errors.New("allow_origins is missing: without it the policy allows nothing")

// faults are all the things that are wrong with c: values that are bad by
// themselves, and values that are bad together.
func (c *Config) faults() []error {
	var faults []error
	for _, list := range []struct {
		option string
		values []string
		check  func(string) error
	}{
		{"allow_origins", c.AllowOrigins, checkOrigin},
		{"allow_methods", c.AllowMethods, checkMethod},
		{"allow_headers", c.AllowHeaders, checkRequestHeader},
		{"expose_headers", c.ExposeHeaders, checkExposedHeader},
	} {
		check := once(list.check)
		for i, value := range list.values {
			if err := check(value); err != nil {
				faults = append(faults, fmt.Errorf("%s[%d] %q: %w", list.option, i, value, err))
			}
		}
	}
	if err := checkMaxAge(c.MaxAge); err != nil && c.MaxAge != 0 {
		faults = append(faults, fmt.Errorf("max_age %s: %w", c.MaxAge, err))
	}
	if len(c.AllowOrigins) == 0 {
		faults = append(faults, errNoOrigins)
	}
	return append(faults, c.contradictions()...)
}

// contradictions are the faults that show only when options are seen together.
func (c *Config) contradictions() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if slices.Contains(c.AllowOrigins, "*") && len(c.AllowOrigins) > 1 {
		fault("allow_origins * stands alone: it allows the others already")
	}
	if slices.Contains(c.AllowMethods, "*") && len(c.AllowMethods) > 1 {
		fault("allow_methods * stands alone: it allows the others already")
	}
	if slices.Contains(c.ExposeHeaders, "*") && len(c.ExposeHeaders) > 1 {
		fault("expose_headers * stands alone: it exposes the others already")
	}
	if slices.Contains(c.AllowHeaders, "*") {
		for _, name := range c.AllowHeaders {
			if name != "*" && !strings.EqualFold(name, "authorization") {
				fault("allow_headers * allows %q already; only Authorization has to be named beside it", name)
			}
		}
	}
	if !c.AllowCredentials {
		return faults
	}
	if slices.Contains(c.ExposeHeaders, "*") {
		fault("expose_headers * with allow_credentials: browsers then take * for a name (Fetch, CORS protocol); list the headers")
	}
	for _, origin := range c.AllowOrigins {
		if origin == "*" {
			fault("allow_origins * with allow_credentials: every site could act as the user who visits it; list the origins")
			continue
		}
		p, err := parsePattern(origin)
		if err != nil {
			continue // reported with its position
		}
		if !p.secure() {
			fault("allow_origins %q with allow_credentials: whoever is on the network path can be this origin; use https", origin)
		}
		if p.spansRegistrants() {
			fault("allow_origins %q with allow_credentials: anyone can register a name below this public suffix", origin)
		}
	}
	return faults
}

// checkOrigin says why a value cannot be in allow_origins.
func checkOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	_, err := parsePattern(origin)
	return err
}

func checkMaxAge(d time.Duration) error {
	if d < time.Second || d > maxMaxAge {
		return fmt.Errorf("not between 1s and %s", maxMaxAge)
	}
	if d%time.Second != 0 {
		return errors.New("not a whole number of seconds")
	}
	return nil
}

// once makes of check one that also refuses a value it has seen. Header names
// are equal in any case; of origins and methods only one case passes check.
func once(check func(string) error) func(string) error {
	seen := make(map[string]bool)
	return func(value string) error {
		if err := check(value); err != nil {
			return err
		}
		key := strings.ToLower(value)
		if seen[key] {
			return errors.New("given twice")
		}
		seen[key] = true
		return nil
	}
}
