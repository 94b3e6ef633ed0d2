package detect

// maxCard is the length of the longest card numbers, ISO/IEC 7812-1.
const maxCard = 19

func (s *Set) addCards() {
	s.cards = true
	for _, a := range digits {
		for _, b := range digits {
			s.pairs[pairOf(byte(a), byte(b))] |= digitPair
		}
		for _, sep := range " -" {
			s.pairs[pairOf(byte(a), byte(sep))] |= digitPair
			s.pairs[pairOf(byte(sep), byte(a))] |= digitPair
		}
	}
}

// issuer is a range of issuer numbers with the lengths of its cards.
type issuer struct {
	low, high int // first and last prefix, both of as many digits
	lengths   uint32
}

func lengths(from, to int) (set uint32) {
	for n := from; n <= to; n++ {
		set |= 1 << n
	}
	return set
}

// issuers by the number of digits of their prefixes: the more specific come
// first, because the ranges of national schemes lie inside those of the large
// ones.
var issuers = [...][]issuer{
	6: {
		{606282, 606282, lengths(16, 19)}, // Hipercard
		{622126, 622925, lengths(16, 19)}, // Discover and UnionPay
	},
	4: {
		{2200, 2204, lengths(16, 19)}, // Mir
		{2221, 2720, lengths(16, 16)}, // Mastercard
		{3095, 3095, lengths(14, 19)}, // Diners Club
		{3528, 3589, lengths(16, 19)}, // JCB
		{6011, 6011, lengths(16, 19)}, // Discover
		{9792, 9792, lengths(16, 16)}, // Troy
	},
	3: {
		{300, 305, lengths(14, 19)}, // Diners Club
		{644, 649, lengths(16, 19)}, // Discover
	},
	2: {
		{34, 34, lengths(15, 15)}, // American Express
		{37, 37, lengths(15, 15)},
		{36, 36, lengths(14, 19)}, // Diners Club
		{38, 39, lengths(14, 19)},
		{50, 50, lengths(12, 19)}, // Maestro
		{51, 55, lengths(16, 16)}, // Mastercard
		{56, 58, lengths(12, 19)}, // Maestro
		{60, 60, lengths(16, 16)}, // RuPay
		{62, 62, lengths(16, 19)}, // UnionPay
		{63, 63, lengths(12, 19)}, // Maestro
		{65, 65, lengths(16, 19)}, // Discover
		{67, 67, lengths(12, 19)}, // Maestro
		{81, 82, lengths(16, 19)}, // UnionPay, RuPay
	},
	1: {
		{4, 4, lengths(16, 16) | lengths(19, 19)}, // Visa
	},
}

// isCard validates the digits of a number.
func isCard(number []byte) bool {
	if len(number) < 12 || len(number) > maxCard {
		return false
	}
	return issued(number) && luhn(number)
}

func issued(number []byte) bool {
	prefix, n := 0, uint32(1)<<len(number)
	for i := range 6 {
		prefix = prefix*10 + int(number[i]-'0')
		if i+1 >= len(issuers) {
			break
		}
		for _, r := range issuers[i+1] {
			if r.low <= prefix && prefix <= r.high && r.lengths&n != 0 {
				return true
			}
		}
	}
	return false
}

// luhn checks the last digit, ISO/IEC 7812-1 annex B.
func luhn(number []byte) bool {
	sum, double := 0, false
	for i := len(number) - 1; i >= 0; i-- {
		d := int(number[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		double = !double
	}
	return sum%10 == 0
}

// layouts are the groups of digits that a number is printed in. The longer
// of two that begin alike comes first.
var layouts = [...][]int{
	{4, 4, 4, 4, 3}, {4, 4, 4, 4, 2}, {4, 4, 4, 4, 1}, {4, 4, 4, 4},
	{4, 6, 5}, {4, 6, 4}, {4, 4, 5}, {6, 13},
}

// card decides the run of digits and separators of which b[p:p+8] is a part.
// Without a match, m.End is the end of the group of digits there.
func card(b []byte, from, p int, final bool) (m Match, v verdict) {
	if !digit[b[p]] {
		p++
	}
	group := p // the beginning of the group of digits at p
	for group > 0 && digit[b[group-1]] {
		if group--; p-group > maxCard {
			break
		}
	}
	m.End = p + digit.run(b, p, len(b))
	// The number may begin with one of the groups in front.
	first := group
	for range 4 {
		g := first - 1
		if g < 1 || b[g] != ' ' && b[g] != '-' || !digit[b[g-1]] {
			break
		}
		start := g - 1
		for start > 0 && g-start < 7 && digit[b[start-1]] {
			start--
		}
		if g-start > 6 {
			break
		}
		first = start
	}
	for first <= group {
		if first >= from {
			if end, v := cardAt(b, first, final); v != no {
				return Match{Start: first, End: end, Detector: Card}, v
			}
		}
		first += digit.run(b, first, len(b)) + 1
	}
	// In a URL, a number may follow an encoded character.
	if group >= from && group > 0 && b[group-1] == '%' && m.End-group > 12 {
		if end, v := cardAt(b, group+2, final); v != no {
			return Match{Start: group + 2, End: end, Detector: Card}, v
		}
	}
	return m, no
}

// cardAt decides the number that begins at b[start:], with a group of digits.
func cardAt(b []byte, start int, final bool) (end int, v verdict) {
	if b[start] < '2' || !cardMayStart(b, start) {
		return 0, no
	}
	n := digit.run(b, start, maxCard+1) // what may go on behind b is held, see cardTail
	if n >= 12 {
		return cardEnd(b, start, start+n, final)
	}
	if n != 4 && n != 6 || start+n >= len(b) {
		return 0, no
	}
	sep := b[start+n]
	if sep != ' ' && sep != '-' {
		return 0, no
	}
	// Most runs are dates, and end here.
	second := start + n + 1
	if n := digit.run(b, second, maxCard); n != 4 && n != 6 && n != 13 && second+n < len(b) {
		return 0, no
	}
	for _, layout := range layouts {
		end, v := fitGroups(b, start, layout, sep, final)
		if v == yes {
			end, v = cardEnd(b, start, end, final)
		}
		if v != no {
			return end, v
		}
	}
	return 0, no
}

// fitGroups measures groups of digits with one separator between them.
func fitGroups(b []byte, start int, layout []int, sep byte, final bool) (end int, v verdict) {
	end = start
	for i, n := range layout {
		if i > 0 {
			if end == len(b) && !final {
				return 0, more
			}
			if end == len(b) || b[end] != sep {
				return 0, no
			}
			end++
		}
		got := digit.run(b, end, n+1)
		if got < n && end+got == len(b) && !final {
			return 0, more
		}
		if got != n {
			return 0, no
		}
		end += n
	}
	return end, yes
}

// cardMayStart reports whether a number may begin at b[start:], judging from
// what stands in front: not inside a word, a decimal fraction or a UUID.
func cardMayStart(b []byte, start int) bool {
	if start == 0 {
		return true
	}
	switch c := b[start-1]; {
	case c == '.':
		return start < 2 || !digit[b[start-2]]
	case c == '-':
		return !inUUID(b, start)
	default:
		return !wordBefore(b, start)
	}
}

// inUUID reports whether b[start:] follows the first four groups of a UUID.
func inUUID(b []byte, start int) bool {
	if start < 24 {
		return false
	}
	for i, c := range b[start-24 : start] {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !hex[c] {
			return false
		}
	}
	return true
}

// cardEnd validates the number b[start:end], and that it ends there.
func cardEnd(b []byte, start, end int, final bool) (int, verdict) {
	var number [maxCard]byte
	n := 0
	for _, c := range b[start:end] {
		if !digit[c] {
			continue
		}
		if n == maxCard {
			return 0, no
		}
		number[n] = c
		n++
	}
	if !isCard(number[:n]) {
		return 0, no
	}
	if end == len(b) {
		if final {
			return end, yes
		}
		return 0, more
	}
	switch c := b[end]; {
	case word[c]:
		return 0, no
	case c == '.':
		// Spreadsheets write whole numbers with a fraction of zeros.
		i := end + 1
		for i < len(b) && b[i] == '0' && i-end < 8 {
			i++
		}
		if i == len(b) {
			if final {
				return end, yes
			}
			return 0, more
		}
		if digit[b[i]] && b[i] != '0' {
			return 0, no
		}
	}
	return end, yes
}

// cardTail returns where the digits that end b begin, as far as they may
// belong to one number.
func cardTail(b []byte, from int) int {
	i := len(b)
	for i > from && len(b)-i < maxCard+4 && (digit[b[i-1]] || b[i-1] == ' ' || b[i-1] == '-') {
		i--
	}
	for i < len(b) && !digit[b[i]] {
		i++
	}
	return i
}
