package apikey

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Collectors are the metrics of all stores.
var Collectors = []prometheus.Collector{uses}

var uses = &lastUses{files: make(map[string]map[string]*use)}

var lastUsed = prometheus.NewDesc("sallyport_api_key_last_used_timestamp_seconds",
	"When an API key was last accepted, in Unix time, by key file and id; absent until the gateway has seen it.",
	[]string{"file", "key_id"}, nil)

// use is when a key was last accepted.
type use struct {
	holders int // tables in force that have the key
	at      atomic.Int64
}

// mark takes note of a use. Most requests find their second noted already, so
// that processors do not fight over its memory.
func (u *use) mark(now time.Time) {
	if second := now.Unix(); u.at.Load() != second {
		u.at.Store(second)
	}
}

// lastUses has the last use of every key that a store has in force, by file and
// id. What two stores of one file share, as over a reload, is counted once and
// lasts as long as one of them; a key that left the file is forgotten.
type lastUses struct {
	mu    sync.Mutex
	files map[string]map[string]*use
}

// take gives the entries of t, before it is in force, what is known of their keys.
func (l *lastUses) take(path string, t *table) {
	l.mu.Lock()
	defer l.mu.Unlock()
	file := l.files[path]
	if file == nil {
		file = make(map[string]*use, len(t.entries))
		l.files[path] = file
	}
	for _, e := range t.entries {
		u := file[e.id]
		if u == nil {
			u = new(use)
			file[e.id] = u
		}
		u.holders++
		e.used = u
	}
}

// drop forgets the keys of t that no other table has. t may be nil.
func (l *lastUses) drop(path string, t *table) {
	if t == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	file := l.files[path]
	for _, e := range t.entries {
		if e.used.holders--; e.used.holders == 0 {
			delete(file, e.id)
		}
	}
	if len(file) == 0 {
		delete(l.files, path)
	}
}

// Describe implements prometheus.Collector.
func (*lastUses) Describe(ch chan<- *prometheus.Desc) { ch <- lastUsed }

// Collect implements prometheus.Collector.
func (l *lastUses) Collect(ch chan<- prometheus.Metric) {
	for _, m := range l.metrics() {
		ch <- m
	}
}

func (l *lastUses) metrics() []prometheus.Metric {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []prometheus.Metric
	for path, file := range l.files {
		for id, u := range file {
			if at := u.at.Load(); at != 0 {
				out = append(out, prometheus.MustNewConstMetric(lastUsed, prometheus.GaugeValue, float64(at), path, id))
			}
		}
	}
	return out
}
