package openapi

import (
	"encoding/json"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxPointer bounds a JSON pointer in bytes.
const maxPointer = 256

// evaluation judges one value. It stops at the first violation.
type evaluation struct {
	steps       int  // what is left of the budget
	speculative int  // a violation decides nothing yet
	found       bool // pointer is set
	path        []segment
	pointer     string
}

// segment is a step from a value into one of its parts.
type segment struct {
	name         string
	index        int
	undocumented bool // the name is the caller's
	isIndex      bool
}

// budget is how many steps the evaluation of a value of so many bytes may take:
// each schema is one for each value, and texts cost what is read of them.
func budget(size int) int { return 10_000 + 8*size }

// evaluate judges v, which was decoded from size bytes. exhausted says that the
// budget did not suffice, and then the value is refused.
func evaluate(s *schema, v any, size int) (ok, exhausted bool, pointer string) {
	e := &evaluation{steps: budget(size)}
	ok = e.eval(s, v)
	if e.steps < 0 {
		return false, true, ""
	}
	return ok, false, e.pointer
}

// spend takes from the budget and reports whether there was enough.
func (e *evaluation) spend(n int) bool {
	e.steps -= n
	return e.steps >= 0
}

// spendExact takes from the budget what n costs as an exact fraction.
func (e *evaluation) spendExact(n json.Number) bool {
	if strings.ContainsAny(string(n), "eE") {
		return e.spend(25)
	}
	return e.spend(8)
}

// spendCompared is spendExact for what canonicalNumber and isWhole do to n.
func (e *evaluation) spendCompared(n json.Number) bool {
	return !strings.ContainsAny(string(n), ".eE") || e.spendExact(n)
}

// fail records where the first violation is that decides.
func (e *evaluation) fail() bool {
	if e.speculative > 0 || e.found {
		return false
	}
	e.found = true
	var b strings.Builder
	for _, s := range e.path {
		if s.undocumented {
			break
		}
		text := strconv.Itoa(s.index)
		if !s.isIndex {
			text = strings.NewReplacer("~", "~0", "/", "~1").Replace(s.name)
		}
		if b.Len()+1+len(text) > maxPointer {
			break
		}
		b.WriteString("/" + text)
	}
	e.pointer = b.String()
	return false
}

func (e *evaluation) in(at segment, s *schema, v any) bool {
	e.path = append(e.path, at)
	ok := e.eval(s, v)
	e.path = e.path[:len(e.path)-1]
	return ok
}

// try judges v where a violation does not decide.
func (e *evaluation) try(s *schema, v any) bool {
	e.speculative++
	ok := e.eval(s, v)
	e.speculative--
	return ok
}

func (e *evaluation) eval(s *schema, v any) bool {
	if s == nil {
		return true
	}
	if !e.spend(1) || s.never {
		return e.fail()
	}
	if v == nil && s.nullable {
		return true
	}
	if n, ok := v.(json.Number); ok && s.types&(typeNumber|typeInteger) == typeInteger && !e.spendCompared(n) {
		return e.fail()
	}
	if s.types != 0 && s.types&typeOf(v, s.types) == 0 || v == nil && s.noNull {
		return e.fail()
	}
	if s.enum != nil && !slices.ContainsFunc(s.enum, func(want any) bool { return e.equal(want, v) }) ||
		s.hasConst && !e.equal(s.constant, v) {
		return e.fail()
	}
	var ok bool
	switch v := v.(type) {
	case json.Number:
		ok = e.evalNumber(s, v)
	case string:
		ok = e.evalString(s, v)
	case []any:
		ok = e.evalArray(s, v)
	case map[string]any:
		ok = e.evalObject(s, v)
	default:
		ok = true
	}
	return ok && e.combinations(s, v)
}

// typeOf is the type of v. A number is an integer if it is whole.
func typeOf(v any, wanted types) types {
	switch v := v.(type) {
	case nil:
		return typeNull
	case bool:
		return typeBoolean
	case json.Number:
		if wanted&(typeNumber|typeInteger) == typeInteger && !isWhole(v) {
			return typeNumber
		}
		return typeNumber | typeInteger
	case string:
		return typeString
	case []any:
		return typeArray
	default:
		return typeObject
	}
}

func isWhole(n json.Number) bool {
	if !strings.ContainsAny(string(n), ".eE") {
		return true
	}
	r, ok := new(big.Rat).SetString(string(n))
	return ok && r.IsInt()
}

func (e *evaluation) evalNumber(s *schema, n json.Number) bool {
	f, err := n.Float64()
	if err != nil || math.IsInf(f, 0) {
		return e.fail()
	}
	if s.low != nil && (f < *s.low || s.exclusiveLow && f <= *s.low) ||
		s.high != nil && (f > *s.high || s.exclusiveHigh && f >= *s.high) {
		return e.fail()
	}
	if s.number != nil && !(e.spendCompared(n) && s.number(n)) {
		return e.fail()
	}
	if s.multipleOf != nil {
		if !e.spendExact(n) {
			return e.fail()
		}
		r, ok := new(big.Rat).SetString(string(n))
		if !ok || !r.Quo(r, s.multipleOf).IsInt() {
			return e.fail()
		}
	}
	return true
}

func (e *evaluation) evalString(s *schema, v string) bool {
	if s.minLength > 0 || s.maxLength >= 0 {
		if !e.spend(len(v) / 32) {
			return e.fail()
		}
		if n := utf8.RuneCountInString(v); n < s.minLength || s.maxLength >= 0 && n > s.maxLength {
			return e.fail()
		}
	}
	if s.format != nil && !(e.spend(len(v)/8) && s.format(v)) {
		return e.fail()
	}
	if s.pattern != nil && !(e.spend(len(v)) && s.pattern.MatchString(v)) {
		return e.fail()
	}
	return true
}

func (e *evaluation) evalArray(s *schema, v []any) bool {
	if len(v) < s.minItems || s.maxItems >= 0 && len(v) > s.maxItems {
		return e.fail()
	}
	if !e.spend(len(v) / 32) { // also where nothing is said of the items
		return e.fail()
	}
	for i, item := range v {
		sub := s.items
		if i < len(s.prefix) {
			sub = s.prefix[i]
		}
		if sub != nil && !e.in(segment{index: i, isIndex: true}, sub, item) {
			return false
		}
	}
	if s.contains != nil {
		matched := 0
		for _, item := range v {
			if e.try(s.contains, item) {
				matched++
			}
		}
		if matched < s.minContains || s.maxContains >= 0 && matched > s.maxContains {
			return e.fail()
		}
	}
	if s.unique {
		seen := make(map[string]bool, len(v))
		for _, item := range v {
			var b strings.Builder
			if !e.write(&b, item) || seen[b.String()] {
				return e.fail()
			}
			seen[b.String()] = true
		}
	}
	return true
}

func (e *evaluation) evalObject(s *schema, v map[string]any) bool {
	if len(v) < s.minProps || s.maxProps >= 0 && len(v) > s.maxProps {
		return e.fail()
	}
	for _, name := range s.required {
		if _, ok := v[name]; !ok && !(s.properties[name] != nil && s.properties[name].readOnly) {
			e.path = append(e.path, segment{name: name})
			e.fail()
			e.path = e.path[:len(e.path)-1]
			return false
		}
	}
	if !e.spend(len(v)) {
		return e.fail()
	}
	for name, value := range v {
		if !e.member(s, name, value) {
			return false
		}
	}
	for name, needed := range s.dependentRequired {
		if _, ok := v[name]; !ok {
			continue
		}
		for _, n := range needed {
			if _, ok := v[n]; !ok {
				return e.fail()
			}
		}
	}
	for name, sub := range s.dependentSchemas {
		if _, ok := v[name]; ok && !e.eval(sub, v) {
			return false
		}
	}
	return true
}

func (e *evaluation) member(s *schema, name string, value any) bool {
	if s.propertyNames != nil && !e.try(s.propertyNames, name) {
		return e.fail()
	}
	at := segment{name: name}
	documented := false
	if sub, ok := s.properties[name]; ok {
		documented = true
		if sub.readOnly {
			e.path = append(e.path, at)
			e.fail()
			e.path = e.path[:len(e.path)-1]
			return false
		}
		if !e.in(at, sub, value) {
			return false
		}
	}
	at.undocumented = !documented
	for _, p := range s.patterns {
		if !e.spend(len(name)) {
			return e.fail()
		}
		if p.pattern.MatchString(name) {
			documented = true
			if !e.in(at, p.schema, value) {
				return false
			}
		}
	}
	if !documented && s.additional != nil {
		return e.in(at, s.additional, value)
	}
	return true
}

func (e *evaluation) combinations(s *schema, v any) bool {
	for _, sub := range s.allOf {
		if !e.eval(sub, v) {
			return false
		}
	}
	if s.discriminator != nil {
		if !e.discriminate(s.discriminator, v) {
			return false
		}
	} else {
		if len(s.anyOf) > 0 && !slices.ContainsFunc(s.anyOf, func(sub *schema) bool { return e.try(sub, v) }) {
			return e.fail()
		}
		if len(s.oneOf) > 0 {
			matched := 0
			for _, sub := range s.oneOf {
				if e.try(sub, v) {
					matched++
				}
			}
			if matched != 1 {
				return e.fail()
			}
		}
	}
	if s.not != nil && e.try(s.not, v) {
		return e.fail()
	}
	if s.condition != nil {
		if e.try(s.condition, v) {
			return e.eval(s.then, v)
		}
		return e.eval(s.otherwise, v)
	}
	return true
}

func (e *evaluation) discriminate(d *discriminator, v any) bool {
	object, ok := v.(map[string]any)
	if !ok {
		return e.fail()
	}
	name, ok := object[d.property].(string)
	if choice := d.choices[name]; ok && choice != nil {
		return e.eval(choice, v)
	}
	e.path = append(e.path, segment{name: d.property})
	e.fail()
	e.path = e.path[:len(e.path)-1]
	return false
}

// equal compares as JSON Schema does: numbers by their value, objects without
// order.
func (e *evaluation) equal(a, b any) bool {
	if !e.spend(1) {
		return false
	}
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		return ok && (a == b || e.spendCompared(b) && canonicalNumber(a) == canonicalNumber(b))
	case string:
		b, ok := b.(string)
		return ok && a == b
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, e.equal)
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for name, value := range a {
			if other, ok := b[name]; !ok || !e.equal(value, other) {
				return false
			}
		}
		return true
	}
	return a == b
}

// canonicalNumber is one text for each value of a number.
func canonicalNumber(n json.Number) string {
	if !strings.ContainsAny(string(n), ".eE") && n != "-0" {
		return string(n)
	}
	if r, ok := new(big.Rat).SetString(string(n)); ok {
		return r.RatString()
	}
	return string(n)
}

// write writes v so that equal values have equal texts.
func (e *evaluation) write(b *strings.Builder, v any) bool {
	before := b.Len()
	switch v := v.(type) {
	case json.Number:
		if !e.spendCompared(v) {
			return false
		}
		b.WriteString(canonicalNumber(v))
	case []any:
		b.WriteByte('[')
		for _, item := range v {
			if !e.write(b, item) {
				return false
			}
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		b.WriteByte('{')
		for _, name := range names {
			b.WriteString(strconv.Quote(name))
			b.WriteByte(':')
			if !e.write(b, v[name]) {
				return false
			}
			b.WriteByte(',')
		}
		b.WriteByte('}')
	case string:
		b.WriteString(strconv.Quote(v))
	case bool:
		b.WriteString(strconv.FormatBool(v))
	default:
		b.WriteString("null")
	}
	return e.spend(1 + (b.Len()-before)/8)
}
