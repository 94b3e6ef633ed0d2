//go:build !race

package apikey

import "testing"

// The race detector makes sync.Pool forget values on purpose, so this is not
// built with it.
func TestVerifyDoesNotAllocate(t *testing.T) {
	s, _ := openFile(t, fileJSON(entryJSON("allow", `["192.0.2.0/24"]`, "expires", `"2027-01-01T00:00:00Z"`)))
	for name, key := range map[string]string{
		"the right key": assemble(testID, testSecret), "an unknown id": assemble("other", testSecret), "malformed": "sp_",
	} {
		if n := testing.AllocsPerRun(200, func() { s.Verify(key, client, noon) }); n >= 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
