package app

// LoadUnderWay reports whether Caddy is loading a configuration.
func LoadUnderWay() bool {
	if loading.TryRLock() {
		loading.RUnlock()
		return false
	}
	return true
}

// Restoring reports whether the configuration in force waits to be loaded again.
func Restoring() bool { return inForce.restoring.Load() != nil }
