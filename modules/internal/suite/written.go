package suite

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// written are the modules that the first Caddyfile of the process has in its
// `servers` options, with their positions, until they are provisioned. The
// adapter drops the options of an address that no server has, without a word, and
// a balancer that is dropped is believed by nobody and keeps out nobody.
var written struct {
	sync.Mutex
	positions map[string]string // by the module's JSON
	over      bool              // a configuration has started
}

// Written says that module stands at position of a Caddyfile. Only the first
// configuration of a process is looked after: later ones may be adapted without
// being loaded, or in another process.
func Written(module any, position string) {
	written.Lock()
	defer written.Unlock()
	if written.over {
		return
	}
	if written.positions == nil {
		written.positions = make(map[string]string)
	}
	written.positions[identity(module)] = position
}

// Came says that module is being provisioned; call it before anything in it
// changes.
func Came(module any) {
	written.Lock()
	defer written.Unlock()
	delete(written.positions, identity(module))
}

// Lost returns an error for each module that was written and did not come. From
// then on nothing is looked after.
func Lost() error {
	written.Lock()
	defer written.Unlock()
	var errs []error
	for _, position := range slices.Sorted(maps.Values(written.positions)) {
		errs = append(errs, fmt.Errorf("%s: no server listens on the address of this `servers` block, so that it has no effect", position))
	}
	written.positions, written.over = nil, true
	return errors.Join(errs...)
}

func identity(module any) string {
	text, err := json.Marshal(module)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%T %s", module, text)
}
