package detect

// Number reports whether a JSON number is one of what the set looks for, and
// returns its digits if so: an integer that is a card number, also in the form
// that programs give a number they hold as floating point, as in
// 4.111111111111111E15 and 4111111111111111.0. A sign is ignored. literal has to be
// a number of RFC 8259.
func (s *Set) Number(literal []byte) (digits string, ok bool) {
	if !s.cards || len(literal) < 12 {
		return "", false
	}
	number, ok := integer(literal)
	if !ok || !isCard(number) {
		return "", false
	}
	return string(number), true
}

// integer returns the digits of a number, if it is whole and neither longer
// than a card's nor shorter than one digit.
func integer(literal []byte) (number []byte, ok bool) {
	i := 0
	if literal[0] == '-' {
		i++
	}
	number = make([]byte, 0, maxCard)
	point, seen, zeros := 0, false, 0 // places in front of the decimal point; trailing zeros not yet in number
	for ; i < len(literal); i++ {
		c := literal[i]
		if c == '.' {
			seen = true
			continue
		}
		if !digit[c] {
			break
		}
		if !seen && (c != '0' || len(number) > 0) {
			point++
		} else if seen && len(number) == 0 && c == '0' {
			point--
		}
		switch {
		case c == '0' && len(number) > 0:
			zeros++
		case c != '0':
			for ; zeros > 0; zeros-- {
				if number = append(number, '0'); len(number) > maxCard {
					return nil, false
				}
			}
			if number = append(number, c); len(number) > maxCard {
				return nil, false
			}
		}
	}
	if i < len(literal) { // e or E
		point += exponent(literal[i+1:])
	}
	if len(number) == 0 || point < len(number) || point > maxCard {
		return nil, false
	}
	for len(number) < point {
		number = append(number, '0')
	}
	return number, true
}

// exponent reads the exponent of a number. Beyond a thousand its value makes no
// difference.
func exponent(b []byte) int {
	e, negative := 0, false
	for _, c := range b {
		switch {
		case c == '-':
			negative = true
		case digit[c] && e < 1<<20:
			e = e*10 + int(c-'0')
		}
	}
	if negative {
		return -e
	}
	return e
}
