package store

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
)

var (
	commands = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metric.Namespace,
		Subsystem: "store",
		Name:      "commands_total",
		Help:      "Commands to a shared store by outcome: ok, refused, busy, timeout, away.",
	}, []string{"store", "outcome"})

	upGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: metric.Namespace,
		Subsystem: "store",
		Name:      "up",
		Help:      "Whether a shared store answered the last time.",
	}, []string{"store"})

	collectors = []prometheus.Collector{commands, upGauge}
)

// outcomes are the counters of one store.
type outcomes struct {
	ok, refused, busy, timeout, away prometheus.Counter
}

func outcomesOf(store string) outcomes {
	of := func(outcome string) prometheus.Counter { return commands.WithLabelValues(store, outcome) }
	return outcomes{ok: of("ok"), refused: of(ReasonRefused), busy: of(ReasonBusy), timeout: of(ReasonTimeout), away: of(ReasonAway)}
}

// shown counts the clients of each gauge: two configurations of one store have
// clients of one name while the second replaces the first.
var shown = struct {
	sync.Mutex
	clients map[string]int
}{clients: make(map[string]int)}

func shownGauge(store string) prometheus.Gauge {
	shown.Lock()
	defer shown.Unlock()
	shown.clients[store]++
	return upGauge.WithLabelValues(store)
}

func hideGauge(store string) {
	shown.Lock()
	defer shown.Unlock()
	if shown.clients[store]--; shown.clients[store] == 0 {
		delete(shown.clients, store)
		upGauge.DeleteLabelValues(store)
	}
}
