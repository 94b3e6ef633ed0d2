package apikey

import (
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// usesOf returns the metric of one file, by key id.
func usesOf(t *testing.T, path string) map[string]float64 {
	t.Helper()
	got := make(map[string]float64)
	for _, m := range uses.metrics() {
		var d dto.Metric
		must(t, m.Write(&d))
		labels := make(map[string]string)
		for _, l := range d.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		if labels["file"] == path {
			got[labels["key_id"]] = d.GetGauge().GetValue()
		}
	}
	return got
}

func wantUses(t *testing.T, path string, want map[string]float64) {
	t.Helper()
	if got := usesOf(t, path); !reflect.DeepEqual(got, want) {
		t.Errorf("last uses %v, want %v", got, want)
	}
}

func spare(changes ...string) string {
	return entryJSON(append([]string{"id", `"spare"`, "hash", fmt.Sprintf("%q", hashOf(testPepper, "x"))}, changes...)...)
}

func TestOnlyAcceptedKeysAreSaidToBeUsed(t *testing.T) {
	s, path := openFile(t, fileJSON(entryJSON("allow", `["192.0.2.0/24"]`, "expires", `"2026-06-01T12:00:05Z"`), spare()))
	good := assemble(testID, testSecret)
	wantUses(t, path, map[string]float64{})
	for _, refused := range []struct {
		key  string
		from string
		at   time.Time
	}{
		{assemble(testID, "1"+testSecret[1:]), "192.0.2.7", noon},
		{assemble("other", testSecret), "192.0.2.7", noon},
		{good, "198.51.100.1", noon},
		{good, "192.0.2.7", noon.Add(time.Minute)},
	} {
		if _, err := s.Verify(refused.key, mustAddr(refused.from), refused.at); err == nil {
			t.Fatalf("%+v is accepted", refused)
		}
	}
	wantUses(t, path, map[string]float64{})
	for i := range 3 {
		if _, err := s.Verify(good, client, noon.Add(time.Duration(i)*time.Second+time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		wantUses(t, path, map[string]float64{testID: float64(noon.Unix() + int64(i))})
	}
}

func TestTheLastUseOutlivesRereadingUntilTheKeyLeavesTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, fileJSON(entryJSON(), spare()))
		defer f.Close()
		must(t, f.verify())
		used := map[string]float64{testID: float64(noon.Unix())}
		wantUses(t, f.path, used)
		writeFile(t, f.path, fileJSON(spare(), entryJSON("status", `"revoked"`)))
		f.later(1)
		wantUses(t, f.path, used)
		writeFile(t, f.path, "")
		f.later(1)
		wantUses(t, f.path, used)
		writeFile(t, f.path, fileJSON(spare()))
		f.later(1)
		wantUses(t, f.path, map[string]float64{})
		// A key that comes back is another one.
		writeFile(t, f.path, fileJSON(entryJSON()))
		f.later(1)
		wantUses(t, f.path, map[string]float64{})
	})
}

func TestTheLastUseIsSharedByStoresOfAFileAndEndsWithTheLast(t *testing.T) {
	s, path := openFile(t, fileJSON(entryJSON()))
	good := assemble(testID, testSecret)
	_, err := s.Verify(good, client, noon)
	must(t, err)
	next, err := Open(path, testPepper) // a reload
	must(t, err)
	must(t, s.Close())
	must(t, s.Close())
	used := map[string]float64{testID: float64(noon.Unix())}
	wantUses(t, path, used)
	rejected, err := Open(path, testPepper)
	must(t, err)
	must(t, rejected.Close())
	if _, err := Open(path, nil); err == nil {
		t.Fatal("no pepper is accepted")
	}
	writeFile(t, path, "{")
	if _, err := Open(path, testPepper); err == nil {
		t.Fatal("half a file is accepted")
	}
	wantUses(t, path, used)
	_, err = next.Verify(good, client, noon.Add(time.Second))
	must(t, err)
	wantUses(t, path, map[string]float64{testID: float64(noon.Unix() + 1)})
	must(t, next.Close())
	wantUses(t, path, map[string]float64{})
	uses.mu.Lock()
	defer uses.mu.Unlock()
	if _, ok := uses.files[path]; ok {
		t.Error("a file without a store is remembered")
	}
}

func TestFilesWithTheSameIDsAreToldApart(t *testing.T) {
	a, pathA := openFile(t, fileJSON(entryJSON()))
	_, pathB := openFile(t, fileJSON(entryJSON()))
	_, err := a.Verify(assemble(testID, testSecret), client, noon)
	must(t, err)
	wantUses(t, pathA, map[string]float64{testID: float64(noon.Unix())})
	wantUses(t, pathB, map[string]float64{})
	if filepath.Dir(pathA) == filepath.Dir(pathB) {
		t.Fatal("the test has one file")
	}
}
