package lease

import (
	"errors"
	"testing"
)

type counter struct{ closed *int }

func (c counter) Close() error {
	*c.closed++
	return nil
}

func TestStateLivesAsLongAsOneLease(t *testing.T) {
	pool := NewPool[counter]()
	made, closed := 0, 0
	take := func() *Lease[counter] {
		l, err := pool.Take("zone", func() (counter, error) {
			made++
			return counter{&closed}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	running := take()
	next := take()
	if made != 1 {
		t.Fatalf("made %d values, want one that both share", made)
	}
	if err := errors.Join(next.Release(), next.Release(), next.Release()); err != nil {
		t.Fatal(err)
	}
	if closed != 0 {
		t.Fatal("releasing twice gave back the share of the other lease")
	}
	if err := running.Release(); err != nil || closed != 1 {
		t.Fatalf("closed %d times (%v), want once", closed, err)
	}
	if take(); made != 2 {
		t.Error("a value came back after it was closed")
	}
}

func TestAFailedTakeLeavesNothing(t *testing.T) {
	pool := NewPool[int]()
	broken := errors.New("broken")
	l, err := pool.Take("zone", func() (int, error) { return 0, broken })
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	if err := l.Release(); err != nil {
		t.Errorf("releasing what was never taken: %v", err)
	}
	l, err = pool.Take("zone", func() (int, error) { return 7, nil })
	if err != nil || l.Value() != 7 {
		t.Errorf("got %v, %v after a failure", l, err)
	}
}
