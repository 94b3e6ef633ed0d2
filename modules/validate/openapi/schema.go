package openapi

import (
	"encoding/json"
	"math/big"
	"regexp"
)

// types are the types a schema lets pass; zero is all of them.
type types uint8

const (
	typeNull types = 1 << iota
	typeBoolean
	typeInteger
	typeNumber
	typeString
	typeArray
	typeObject
)

var typeNames = map[string]types{
	"null": typeNull, "boolean": typeBoolean, "integer": typeInteger, "number": typeNumber,
	"string": typeString, "array": typeArray, "object": typeObject,
}

// schema is a compiled schema. It is read-only once it is compiled.
type schema struct {
	never    bool // the schema false
	types    types
	nullable bool // null passes whatever else is said
	noNull   bool // null passes only if nullable, or a combination lets it
	readOnly bool

	enum     []any // nil for none
	hasConst bool
	constant any

	low, high                   *float64
	exclusiveLow, exclusiveHigh bool
	multipleOf                  *big.Rat
	number                      func(json.Number) bool

	minLength int
	maxLength int // -1 for none
	pattern   *regexp.Regexp
	format    func(string) bool

	items, contains          *schema
	prefix                   []*schema
	minItems, maxItems       int
	minContains, maxContains int
	unique                   bool

	properties         map[string]*schema
	patterns           []patternProperty
	additional         *schema // nil lets all pass
	propertyNames      *schema
	required           []string
	minProps, maxProps int
	dependentRequired  map[string][]string
	dependentSchemas   map[string]*schema

	allOf, anyOf, oneOf []*schema
	not                 *schema
	condition           *schema
	then, otherwise     *schema
	discriminator       *discriminator
}

type patternProperty struct {
	pattern *regexp.Regexp
	schema  *schema
}

// discriminator chooses one schema of oneOf or anyOf by a member's value.
type discriminator struct {
	property string
	choices  map[string]*schema
}

func (s *schema) hasCombination() bool {
	return len(s.allOf)+len(s.anyOf)+len(s.oneOf) > 0 || s.not != nil || s.condition != nil
}

// inPlace are the schemas that judge the same value as s.
func (s *schema) inPlace() []*schema {
	var all []*schema
	for _, list := range [][]*schema{s.allOf, s.anyOf, s.oneOf, {s.not, s.condition, s.then, s.otherwise}} {
		all = append(all, list...)
	}
	for _, d := range s.dependentSchemas {
		all = append(all, d)
	}
	if s.discriminator != nil {
		for _, c := range s.discriminator.choices {
			all = append(all, c)
		}
	}
	return all
}

// shape are the types that a value which s lets pass can have, as far as s says
// so itself or in its combinations; zero is any.
func (s *schema) shape() types {
	if s.types != 0 {
		return s.types
	}
	for _, sub := range s.allOf {
		if t := sub.shape(); t != 0 {
			return t
		}
	}
	var union types
	for _, list := range [][]*schema{s.oneOf, s.anyOf} {
		for _, sub := range list {
			t := sub.shape()
			if t == 0 {
				return 0
			}
			union |= t
		}
	}
	return union
}

// itemsOf is the schema of the items of an array that s describes.
func (s *schema) itemsOf() *schema {
	if s.items != nil {
		return s.items
	}
	for _, sub := range s.allOf {
		if i := sub.itemsOf(); i != nil {
			return i
		}
	}
	return nil
}
