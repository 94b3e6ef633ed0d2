package detect

import "strings"

// ibanLengths is the length of the account numbers of each country, from the
// registry of ISO 13616.
const ibanLengths = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 " +
	"ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 " +
	"LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 " +
	"RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"

// ibans has the lengths by country, as two letters counted from A.
var ibans = func() (table [26][26]uint8) {
	for entry := range strings.FieldsSeq(ibanLengths) {
		table[entry[0]-'A'][entry[1]-'A'] = (entry[2]-'0')*10 + entry[3] - '0'
	}
	return table
}()

var upperAlnum = newClass(digits + upper)

func (s *Set) addIBANs() {
	for first, countries := range ibans {
		second := ""
		for i, n := range countries {
			if n > 0 {
				second += upper[i : i+1]
			}
		}
		if second != "" {
			s.add([]string{upper[first : first+1], second, digits, digits}, iban)
		}
	}
}

// iban decides the account number whose country and check digits stand at b[at:]:
// in one piece, or in the groups of four that it is printed in.
func iban(b []byte, from, at int, final bool) (m Match, v verdict) {
	m = Match{Start: at, End: at, Detector: IBAN}
	if wordBefore(b, at) {
		return m, no
	}
	length, rest := int(ibans[b[at]-'A'][b[at+1]-'A']), 0
	var separator byte
	for n := 0; n < length; m.End++ {
		if m.End == len(b) {
			return m, undecided(final)
		}
		c := b[m.End]
		if grouped := n > 0 && n%4 == 0 && m.End > at && upperAlnum[b[m.End-1]]; grouped {
			if n == 4 && (c == ' ' || c == '-') {
				separator = c
			}
			if separator != 0 && c != separator {
				return m, no
			}
			if separator != 0 {
				continue
			}
		}
		if !upperAlnum[c] {
			return m, no
		}
		n++
		if n > 4 {
			rest = mod97(rest, c)
		}
	}
	if m.End == len(b) && !final {
		return m, more
	}
	if m.End < len(b) && word[b[m.End]] {
		return m, no
	}
	for _, c := range b[at : at+4] {
		rest = mod97(rest, c)
	}
	if rest != 1 {
		return m, no
	}
	return m, yes
}

func undecided(final bool) verdict {
	if final {
		return no
	}
	return more
}

// mod97 goes on with a remainder, ISO 7064: letters count from 10.
func mod97(rest int, c byte) int {
	if digit[c] {
		return (rest*10 + int(c-'0')) % 97
	}
	return (rest*100 + int(c-'A') + 10) % 97
}
