//go:build !race

package apikey

import (
	"crypto/sha256"
	"testing"
)

// The race detector makes sync.Pool forget values on purpose, so this is not
// built with it.
func TestVerifyDoesNotAllocate(t *testing.T) {
	whole := entryJSON("id", `"legacy"`, "form", `"whole"`, "hash", `"`+hashOfWhole(testPepper, sha256.Sum256([]byte(foreign)))+`"`)
	s, _ := openFile(t, fileJSON(entryJSON("allow", `["192.0.2.0/24"]`, "expires", `"2027-01-01T00:00:00Z"`), whole))
	for name, key := range map[string]string{
		"the right key": assemble(testID, testSecret), "an unknown id": assemble("other", testSecret), "malformed": "sp_",
		"one made elsewhere": foreign, "an unknown one": foreign + "0",
	} {
		if n := testing.AllocsPerRun(200, func() { s.Verify(key, client, noon) }); n >= 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
