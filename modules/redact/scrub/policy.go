package scrub

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-gateway/sallyport/modules/redact/detect"
)

// Action is what happens to what a rule selects.
type Action string

const (
	// Drop removes a member, with its comma.
	Drop Action = "drop"
	// Mask leaves eight asterisks, whatever the length, and the last
	// characters if the rule keeps some.
	Mask Action = "mask"
	// Replace leaves a text.
	Replace Action = "replace"
	// Hash leaves a token that only the same value has: a keyed hash, as a
	// string. Objects and arrays become null.
	Hash Action = "hash"
)

// MaxKeepLast is the largest Rule.KeepLast.
const MaxKeepLast = 32

// Rule is an action and what it applies to: members by name, members and elements
// by their path, or what detectors find.
type Rule struct {
	Action    Action
	Keys      []string // names of members, at any depth
	Paths     []string
	Detectors []string // names of package detect; not with Drop
	KeepLast  int      // of Mask: characters left at the end, never more than half
	Text      string   // of Replace
	Key       []byte   // of Hash, at least MinKey bytes
}

// Selector is one name of one rule: what finds are counted by.
type Selector struct {
	Action Action
	Kind   string // "keys", "path" or "detect"
	Name   string // as the rule writes it
}

// Policy is a compiled set of rules. It is immutable and safe for concurrent
// use.
type Policy struct {
	selectors []Selector
	effects   []effect // by selector
	set       *detect.Set
	detectors map[string]int // selectors by detector

	names       map[string]int // selectors by folded name
	paths       *paths         // nil without any
	loose       map[string]int // by folded name: selectors of paths, in text
	byPath      map[string]int // selectors by the path's text
	shortest    int            // of the folded names
	longest     int
	first, last [256]bool // the bytes that a name may begin and end with
}

// effect is the action of a selector, with its texts prepared.
type effect struct {
	action Action
	keep   int
	text   []byte     // inside JSON strings and text
	plain  []byte     // inside text
	quoted []byte     // as a JSON value
	number []byte     // in place of a number that a detector found, which stays one
	tokens *sync.Pool // of Hash: HMACs
}

var stars = []byte("********")

// Compile checks the rules and prepares them. All errors are reported
// together: names that no member can have, unknown detectors, and what is
// selected by two rules, which would contradict each other.
func Compile(rules []Rule) (*Policy, error) {
	p := newPolicy()
	var errs []error
	for _, r := range rules {
		errs = append(errs, p.add(r)...)
		if r.Action == Hash && len(r.Key) < MinKey {
			errs = append(errs, fmt.Errorf("the key of hash has fewer than %d bytes", MinKey))
		}
	}
	if len(errs) == 0 && p.paths != nil {
		errs = append(errs, p.compilePaths(0)...)
	}
	if len(rules) == 0 {
		errs = append(errs, errors.New("no rule: nothing would be redacted"))
	}
	if len(p.detectors) > 0 {
		var names []string
		for name := range p.detectors {
			if slices.Contains(detect.Names(), name) { // others were reported
				names = append(names, name)
			}
		}
		slices.Sort(names)
		set, err := detect.Compile(names...)
		if err != nil && len(names) > 0 {
			errs = append(errs, err)
		}
		p.set = set
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

func newPolicy() *Policy {
	return &Policy{names: make(map[string]int), detectors: make(map[string]int), byPath: make(map[string]int), loose: make(map[string]int)}
}

// Checker checks rules one by one as Compile would, for whoever can say where
// each one stands. The zero value is ready.
type Checker struct{ policy *Policy }

// Check returns what is wrong with a rule, also beside those in front. It does not
// look at the key.
func (c *Checker) Check(r Rule) error {
	if c.policy == nil {
		c.policy = newPolicy()
	}
	before := len(c.policy.selectors)
	errs := c.policy.add(r)
	if len(errs) == 0 && len(r.Paths)+len(r.Keys) > 0 && c.policy.paths != nil {
		errs = c.policy.compilePaths(before)
	}
	return errors.Join(errs...)
}

func (p *Policy) add(r Rule) (errs []error) {
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch r.Action {
	case Drop, Mask, Replace, Hash:
	default:
		fail("unknown action %q", r.Action)
		return errs
	}
	if len(r.Keys)+len(r.Paths)+len(r.Detectors) == 0 {
		fail("%s selects nothing", r.Action)
	}
	if r.Action == Drop && len(r.Detectors) > 0 {
		fail("drop takes the names of members and paths: use mask or replace for what detectors find")
	}
	if r.KeepLast < 0 || r.KeepLast > MaxKeepLast {
		fail("keep_last %d is not between 0 and %d", r.KeepLast, MaxKeepLast)
	}
	if r.KeepLast != 0 && r.Action != Mask {
		fail("%s keeps nothing: keep_last is for mask", r.Action)
	}
	if r.Text != "" && r.Action != Replace {
		fail("%s takes no text", r.Action)
	}
	if !utf8.ValidString(r.Text) {
		fail("the text of replace is not valid UTF-8")
	}
	effect := newEffect(r)
	for _, key := range r.Keys {
		folded, ok := fold(nil, []byte(key))
		switch {
		case !ok || len(folded) == 0 || len(folded) > maxName:
			fail("%q is no name of a member: it needs 1 to %d characters beside separators", key, maxName)
			continue
		case !p.claim(p.names, string(folded), &errs, Selector{r.Action, "keys", key}):
			continue
		}
		p.effects = append(p.effects, effect)
		p.admit(folded)
	}
	for _, path := range r.Paths {
		steps, err := parsePath(path)
		if err != nil {
			fail("path %q: %w", path, err)
			continue
		}
		if p.claim(p.byPath, fmt.Sprint(steps), &errs, Selector{r.Action, "path", path}) {
			p.addPath(steps, effect)
		}
	}
	for _, name := range r.Detectors {
		if !slices.Contains(detect.Names(), name) {
			fail("unknown detector %q (there are %v)", name, detect.Names())
			continue
		}
		if p.claim(p.detectors, name, &errs, Selector{r.Action, "detect", name}) {
			p.effects = append(p.effects, effect)
		}
	}
	return errs
}

// claim gives what is selected to a selector, unless it has one.
func (p *Policy) claim(by map[string]int, what string, errs *[]error, s Selector) bool {
	if other, taken := by[what]; taken {
		o := p.selectors[other]
		err := fmt.Errorf("%s %s %s contradicts %s %s %s", s.Action, s.Kind, s.Name, o.Action, o.Kind, o.Name)
		if o == s {
			err = fmt.Errorf("%s %s %s is written twice", s.Action, s.Kind, s.Name)
		}
		*errs = append(*errs, err)
		return false
	}
	by[what] = len(p.selectors)
	p.selectors = append(p.selectors, s)
	return true
}

func newEffect(r Rule) effect {
	e := effect{action: r.Action, keep: r.KeepLast, text: stars, plain: stars, quoted: []byte("null"), number: []byte("0")}
	if r.Action == Hash {
		e.tokens = newTokens(r.Key)
	}
	if r.Action == Replace {
		e.quoted, _ = json.Marshal(r.Text) // a string always has a form
		e.text = e.quoted[1 : len(e.quoted)-1]
		e.plain = []byte(r.Text)
		if r.Text != "" && isNumber(e.plain) {
			e.number = e.plain
		}
	}
	return e
}

// Selectors lists what the policy selects: the meaning of Stream.Counts.
func (p *Policy) Selectors() []Selector { return slices.Clone(p.selectors) }

// addPath gives a path to the selector that was made for it.
func (p *Policy) addPath(steps []step, e effect) {
	if p.paths == nil {
		p.paths = new(paths)
	}
	sel := len(p.effects)
	p.effects = append(p.effects, e)
	p.paths.add(steps, sel)
	for _, s := range steps {
		if s.name != "" {
			p.admit([]byte(s.name))
		}
	}
	if name := lastName(steps); p.loose[name] == 0 {
		p.loose[name] = sel + 1
	}
}

// compilePaths reports places that two selectors select, of which one is from or
// behind it.
func (p *Policy) compilePaths(from int) (errs []error) {
	contradiction := func(a, b int) {
		if max(a, b) < from {
			return
		}
		s, o := p.selectors[max(a, b)], p.selectors[min(a, b)]
		errs = append(errs, fmt.Errorf("%s %s %s contradicts %s %s %s", s.Action, s.Kind, s.Name, o.Action, o.Kind, o.Name))
	}
	for i, steps := range p.paths.rules {
		last := steps[len(steps)-1]
		if sel, named := p.names[last.name]; named && last.name != "" {
			contradiction(sel, p.paths.sels[i])
		}
	}
	p.paths.table, p.paths.counts, p.paths.loops = nil, nil, nil
	if err := p.paths.compile(contradiction); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// HasKeys reports whether a rule names members, also by a path, which can be found
// only in JSON.
func (p *Policy) HasKeys() bool { return len(p.names) > 0 || p.paths != nil }

// maxName bounds the names of rules, without their separators.
const maxName = 128

// admit prepares the quick check of names.
func (p *Policy) admit(folded []byte) {
	if p.shortest == 0 || len(folded) < p.shortest {
		p.shortest = len(folded)
	}
	p.longest = max(p.longest, len(folded))
	for _, set := range []struct {
		bytes *[256]bool
		c     byte
	}{{&p.first, folded[0]}, {&p.last, folded[len(folded)-1]}} {
		set.bytes[set.c] = true
		if set.c >= 'a' && set.c <= 'z' {
			set.bytes[set.c-'a'+'A'] = true
		}
		for _, c := range separators {
			set.bytes[c] = true
		}
		for c := utf8.RuneSelf; c < 256; c++ { // many letters have a form there
			set.bytes[c] = true
		}
	}
}

// separators of the words of a name make no difference: api_key, api-key,
// API.KEY and apiKey are one name.
const separators = "_-. "

// fold appends the form of a name in which names are compared. It reports
// false if the form would be longer than any rule's.
func fold(dst, name []byte) ([]byte, bool) {
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '_' || c == '-' || c == '.' || c == ' ':
			continue
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(name[i:])
			if r == utf8.RuneError {
				break
			}
			if len(dst) > maxName-utf8.UTFMax {
				return dst, false
			}
			// Through the upper case, which more forms of a letter share.
			dst = utf8.AppendRune(dst, unicode.ToLower(unicode.ToUpper(r)))
			i += size - 1
			continue
		}
		if len(dst) == maxName {
			return dst, false
		}
		dst = append(dst, c)
	}
	return dst, true
}

// mayName is the quick check of a name without escape sequences.
func (p *Policy) mayName(raw []byte) bool {
	return len(raw) >= p.shortest && len(raw) > 0 && p.first[raw[0]] && p.last[raw[len(raw)-1]]
}

// selectorOf returns the selector of a decoded name, -1 if there is none, and its
// symbol in paths.
func (p *Policy) selectorOf(name []byte) (sel, symbol int) {
	var buf [maxName]byte
	folded, ok := fold(buf[:0], name)
	if !ok || len(folded) < p.shortest || len(folded) > p.longest {
		return -1, symMember
	}
	if p.paths != nil {
		symbol = p.paths.symbols[string(folded)] // or symMember, which is 0
	}
	if i, ok := p.names[string(folded)]; ok {
		return i, symbol
	}
	return -1, symbol
}

// looseOf returns the selector of a decoded name in text, -1 if there is none.
func (p *Policy) looseOf(name []byte) int {
	sel, symbol := p.selectorOf(name)
	if sel >= 0 || symbol == symMember {
		return sel
	}
	var buf [maxName]byte
	folded, _ := fold(buf[:0], name)
	return p.loose[string(folded)] - 1
}

// candidate returns the first index from i on at which a detector could find
// something.
func (p *Policy) candidate(b []byte, i int) int {
	if p.set == nil {
		return math.MaxInt
	}
	return p.set.Candidate(b, i)
}
