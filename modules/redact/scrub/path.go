package scrub

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A path is written in a part of JSONPath (RFC 9535): "$", then steps.
//
//	.name    the member of that name
//	..name   the members of that name at any depth
//	[3]      an element of an array, counted from 0
//	[*]      every element of an array
//
// Names are letters, digits, "_", "-" and whatever is not ASCII, and are compared
// as those of keys. At least one step is a name.
type step struct {
	kind  stepKind
	name  string // folded
	index int
}

type stepKind uint8

const (
	stepName stepKind = iota
	stepDeep
	stepIndex
	stepEvery
)

const (
	maxSteps = 32
	maxIndex = 1_000_000
)

// parsePath reads a path.
func parsePath(text string) ([]step, error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return nil, errors.New("a path begins with $")
	}
	var steps []step
	named := false
	for rest != "" {
		var s step
		var err error
		if rest[0] == '[' {
			s, rest, err = bracketStep(rest[1:])
		} else {
			s, rest, err = nameStep(rest)
			named = true
		}
		if err != nil {
			return nil, err
		}
		if steps = append(steps, s); len(steps) > maxSteps {
			return nil, fmt.Errorf("more than %d steps", maxSteps)
		}
	}
	if !named {
		return nil, errors.New("no step is the name of a member")
	}
	return steps, nil
}

func bracketStep(text string) (s step, rest string, err error) {
	inside, rest, ok := strings.Cut(text, "]")
	if ok && inside == "*" {
		return step{kind: stepEvery}, rest, nil
	}
	n, err := strconv.Atoi(inside)
	if !ok || err != nil || n < 0 || n > maxIndex || strconv.Itoa(n) != inside {
		return s, "", fmt.Errorf("brackets hold * or a number from 0 to %d", maxIndex)
	}
	return step{kind: stepIndex, index: n}, rest, nil
}

func nameStep(text string) (s step, rest string, err error) {
	name, ok := strings.CutPrefix(text, "..")
	if s.kind = stepDeep; !ok {
		s.kind = stepName
		if name, ok = strings.CutPrefix(text, "."); !ok {
			return s, "", errors.New("a step begins with a dot or a bracket")
		}
	}
	n := strings.IndexFunc(name, func(r rune) bool {
		return r < utf8.RuneSelf && r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if n < 0 {
		n = len(name)
	}
	folded, ok := fold(nil, []byte(name[:n]))
	if !ok || len(folded) == 0 || !utf8.ValidString(name[:n]) {
		return s, "", fmt.Errorf("a name has 1 to %d letters, digits, _ and -", maxName)
	}
	s.name = string(folded)
	return s, name[n:], nil
}

// lastName is the name by which a path is found in text, where there is no way to
// tell how deep a member is.
func lastName(steps []step) string {
	for _, s := range slices.Backward(steps) {
		if s.kind == stepName || s.kind == stepDeep {
			return s.name
		}
	}
	return ""
}

// paths is all paths of a policy, as one automaton: its state in a container says
// which steps of which paths lead there, and one look-up what a member or element
// is. It is made when the policy is compiled.
type paths struct {
	rules   [][]step
	sels    []int          // the selector of each
	symbols map[string]int // of folded names
	indices map[int]int    // symbols of indices
	count   int            // of symbols

	table  []edge // by state and symbol
	loops  []bool // by state: whatever no path names leads to the same state
	counts []bool // by state: elements of an array there have to be counted or may be selected
}

// edge is what a symbol leads to: the state inside, and the selector of what is
// there, negative if there is none.
type edge struct {
	state uint16
	sel   int16
}

const (
	symMember  = iota // of a name that is in no path
	symElement        // of an index that is in no path
	symbols

	start     = 1    // the state of a text's outermost container; 0 leads nowhere
	maxStates = 4096 // bounds what .. in many paths can make of each other
)

func (p *paths) add(steps []step, sel int) {
	p.rules, p.sels = append(p.rules, steps), append(p.sels, sel)
}

// position is a path and how many of its steps were taken.
type position struct{ rule, taken int }

// compile builds the table. conflict tells of a place that two paths select.
func (p *paths) compile(conflict func(a, b int)) error {
	p.symbols, p.indices, p.count = make(map[string]int), make(map[int]int), symbols
	for _, rule := range p.rules {
		for _, s := range rule {
			if _, known := p.symbols[s.name]; s.name != "" && !known {
				p.symbols[s.name] = p.count
				p.count++
			}
			if _, known := p.indices[s.index]; s.kind == stepIndex && !known {
				p.indices[s.index] = p.count
				p.count++
			}
		}
	}
	begin := make([]position, len(p.rules))
	for i := range begin {
		begin[i].rule = i
	}
	states := [][]position{nil, begin}
	known := map[string]uint16{fmt.Sprint(states[0]): 0, fmt.Sprint(begin): start}
	reported := make(map[[2]int]bool)
	for n := 0; n < len(states); n++ {
		counted := false
		for symbol := range p.count {
			next, sel := p.follow(states[n], symbol, func(a, b int) {
				if !reported[[2]int{a, b}] {
					reported[[2]int{a, b}] = true
					conflict(a, b)
				}
			})
			key := fmt.Sprint(next)
			state, ok := known[key]
			if !ok {
				if len(states) == maxStates {
					return errors.New("the paths are too many, or have too many steps with two dots")
				}
				state = uint16(len(states))
				known[key] = state
				states = append(states, next)
			}
			e := edge{state, int16(sel)}
			p.table = append(p.table, e)
			counted = counted || p.isElement(symbol) && (sel >= 0 || e != p.table[n*p.count+symElement])
		}
		p.counts = append(p.counts, counted)
		p.loops = append(p.loops, !counted && int(p.edge(uint16(n), symMember).state) == n && int(p.edge(uint16(n), symElement).state) == n)
	}
	return nil
}

func (p *paths) isElement(symbol int) bool {
	if symbol == symElement {
		return true
	}
	for _, s := range p.indices {
		if s == symbol {
			return true
		}
	}
	return false
}

// follow takes the steps that a symbol allows.
func (p *paths) follow(from []position, symbol int, conflict func(a, b int)) (next []position, sel int) {
	sel = -1
	for _, at := range from {
		rule := p.rules[at.rule]
		s := rule[at.taken]
		if s.kind == stepDeep {
			next = append(next, at) // deeper
		}
		if !p.takes(s, symbol) {
			continue
		}
		if at.taken+1 < len(rule) {
			next = append(next, position{at.rule, at.taken + 1})
			continue
		}
		if other := sel; other >= 0 && other != p.sels[at.rule] {
			conflict(other, p.sels[at.rule])
		}
		sel = p.sels[at.rule]
	}
	slices.SortFunc(next, func(a, b position) int {
		if a.rule != b.rule {
			return a.rule - b.rule
		}
		return a.taken - b.taken
	})
	return slices.Compact(next), sel
}

func (p *paths) takes(s step, symbol int) bool {
	switch s.kind {
	case stepEvery:
		return p.isElement(symbol)
	case stepIndex:
		return p.indices[s.index] == symbol
	}
	return p.symbols[s.name] == symbol
}

func (p *paths) edge(state uint16, symbol int) edge { return p.table[int(state)*p.count+symbol] }

// element returns the symbol of an index.
func (p *paths) element(index uint32) int {
	if s, ok := p.indices[int(index)]; ok {
		return s
	}
	return symElement
}

// place is where a stream is among the paths.
type place struct {
	states  [maxDepth]uint16 // of the open containers
	indices [maxDepth]uint32 // of the next element, in those whose elements are counted
}
