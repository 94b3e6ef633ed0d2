package jwt

import "math/big"

// rocaPrimes are those primes up to 167 modulo which the powers of 65537 are not
// all numbers.
var rocaPrimes = []uint64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157}

// rocaPowers are, for each of them, which numbers are powers of 65537.
var rocaPowers = func() (powers [][]bool) {
	for _, p := range rocaPrimes {
		is := make([]bool, p)
		for n := uint64(1); !is[n]; n = n * 65537 % p {
			is[n] = true
		}
		powers = append(powers, is)
	}
	return powers
}()

// weakPrimes reports whether n has the mark of the keys of a broken generator, which
// was in millions of smart cards and TPMs (ROCA, CVE-2017-15361): such a key can be
// factored. One good key in a hundred million has it by chance.
func weakPrimes(n *big.Int) bool {
	rest := new(big.Int)
	for i, p := range rocaPrimes {
		if !rocaPowers[i][rest.Mod(n, new(big.Int).SetUint64(p)).Uint64()] {
			return false
		}
	}
	return true
}
