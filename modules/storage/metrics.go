package storage

import (
	"context"
	"errors"
	"io/fs"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
	"github.com/sallyport-gateway/sallyport/modules/internal/store"
)

var storageErrors = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: metric.Namespace,
	Subsystem: "storage",
	Name:      "errors_total",
	Help:      "Operations on Caddy's shared storage that failed, by operation and reason. An absent value is no error.",
}, []string{"operation", "reason"})

var reasons = []struct {
	err    error
	reason string
}{
	{errLockLost, "lock_lost"}, {errNotHeld, "lock_not_held"}, {errNotAFile, "not_a_file"}, {errTooLarge, "too_large"},
	{errAnswer, "answer"},
	{errForeign, "foreign"}, {errVersion, "version"}, {errTruncated, "truncated"}, {errPlain, "plaintext"},
	{errEncrypted, "encrypted"}, {errKeyUnknown, "key_unknown"}, {errKeyWrong, "key_wrong"}, {errTampered, "tampered"},
	{context.Canceled, "cancelled"}, {context.DeadlineExceeded, "cancelled"},
}

func init() {
	// What alerts look at is there before it happens: a rate sees no first error.
	for _, r := range reasons {
		storageErrors.WithLabelValues("load", r.reason)
	}
}

// reasonOf names an error for the metric.
func reasonOf(err error) string {
	var away *store.Error
	if errors.As(err, &away) {
		return away.Reason
	}
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return "other"
}

// counted counts err, which an operation returns.
func counted(operation string, err error) error {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		storageErrors.WithLabelValues(operation, reasonOf(err)).Inc()
	}
	return err
}
