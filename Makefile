# make run   builds the gateway and starts the quickstart
# make test  installs what the tests need and runs them all
# make fuzz  fuzzes every parser of hostile bytes, FUZZTIME each
# make bench runs the benchmarks beside the code

FUZZTIME ?= 1m
BENCH ?= .

.PHONY: build run test check deps fuzz bench

build:
	go build -o build/caddy ./xcaddy

run: build
	@./examples/quickstart/run.sh

test: deps
	go test -race -timeout 18m $(TESTFLAGS) ./...

# What a change has to pass beside the tests. The version of staticcheck is pinned here.
check:
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	go mod tidy -diff

# HAProxy is the balancer, Redis the shared store, Chromium the browser and Prometheus the monitoring of the tests, ip makes
# their networks; curl is what README uses.
deps:
	@./integration/deps.sh haproxy:haproxy chromium:chromium ip:iproute2 curl:curl redis-server:redis-server prometheus:prometheus promtool:prometheus

fuzz:
	@./integration/fuzz.sh $(FUZZTIME)

bench:
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./...
