package param

import (
	"errors"
	"fmt"
	"strings"
)

// Query are the rules for a query. It is read-only once it is made and then safe
// for concurrent use.
type Query struct {
	rules    []*compiled
	byName   map[string]int
	required []int
	known    bool // other parameters are refused
	max      int
}

// Compile returns the rules for a query, or every error in them. With known, only
// parameters with a rule are accepted; max bounds the number of parameters, 0
// does not.
func Compile(rules []Rule, known bool, max int) (*Query, error) {
	q := &Query{byName: make(map[string]int), known: known, max: max}
	var errs []error
	if len(rules) > MaxRules {
		errs = append(errs, fmt.Errorf("more than %d query parameters", MaxRules))
	}
	for _, r := range rules {
		c, err := compile(r)
		if err != nil {
			errs = append(errs, fmt.Errorf("query %s: %w", r.Name, err))
			continue
		}
		if _, twice := q.byName[r.Name]; twice {
			errs = append(errs, fmt.Errorf("query %s is given twice", r.Name))
			continue
		}
		q.byName[r.Name] = len(q.rules)
		if r.Required {
			q.required = append(q.required, len(q.rules))
		}
		q.rules = append(q.rules, c)
	}
	return q, errors.Join(errs...)
}

// CheckRule returns every error of one rule.
func CheckRule(r Rule) error {
	_, err := compile(r)
	return err
}

// Documented says which parameters beside those with a rule are known; nil for
// none. It is asked with the decoded name.
type Documented func(name string) bool

// Check judges a query as it was sent, with valid percent-encoding. name is that
// of the rule that is broken, "" where there is none. Where the query has a
// semicolon, which some servers read as an ampersand, both readings have to pass.
func (q *Query) Check(raw string, documented Documented) (fault Fault, name string) {
	fault, name = q.check(raw, false, documented)
	if fault == OK && strings.IndexByte(raw, ';') >= 0 {
		fault, name = q.check(raw, true, documented)
	}
	return fault, name
}

func (q *Query) check(raw string, semicolon bool, documented Documented) (Fault, string) {
	var counts [MaxRules]int16
	pairs := 0
	for raw != "" {
		var key, value string
		key, value, raw = Pair(raw, semicolon)
		if key == "" && value == "" {
			continue
		}
		if pairs++; q.max > 0 && pairs > q.max {
			return TooMany, ""
		}
		key = Decode(key)
		i, ok := q.byName[key]
		if !ok {
			if q.known && (documented == nil || !documented(key)) {
				return Unknown, ""
			}
			continue
		}
		rule := q.rules[i]
		if counts[i]++; int(counts[i]) > rule.Repeat {
			return Repeated, rule.Name
		}
		if fault := rule.judge(Decode(value)); fault != OK {
			return fault, rule.Name
		}
	}
	for _, i := range q.required {
		if counts[i] == 0 {
			return Missing, q.rules[i].Name
		}
	}
	return OK, ""
}

// Pair cuts the first pair off a query.
func Pair(raw string, semicolon bool) (key, value, rest string) {
	pair := raw
	for i := range len(raw) {
		if c := raw[i]; c == '&' || c == ';' && semicolon {
			pair, rest = raw[:i], raw[i+1:]
			break
		}
	}
	key, value, _ = strings.Cut(pair, "=")
	return key, value, rest
}

// Decode decodes a name or a value of a query, whose percent-encoding has to be
// valid. It allocates only where there is something to decode.
func Decode(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b.WriteByte(' ')
		case c == '%' && i+2 < len(s):
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return (c | 0x20 - 'a' + 10) & 0xf
}
