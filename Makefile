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

# The tools that judge the deployments are in modules of their own.
CHECKS = examples/deploy/check examples/deploy/check/kubernetes examples/deploy/check/terraform

test: deps
	go test -race -timeout 18m $(TESTFLAGS) ./...
	for dir in $(CHECKS); do (cd $$dir && go test $(TESTFLAGS) ./...) || exit; done

# What a change has to pass beside the tests. The version of staticcheck is pinned here.
check:
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	go mod tidy -diff
	for dir in $(CHECKS); do (cd $$dir && go mod tidy -diff) || exit; done

# HAProxy is the balancer, Redis the shared store, Chromium the browser and Prometheus the monitoring of the tests, ip makes
# their networks; curl is what README uses. Git is around a build that must not see it, systemd judges its unit.
deps:
	@./integration/deps.sh haproxy:haproxy chromium:chromium ip:iproute2 curl:curl redis-server:redis-server \
		prometheus:prometheus promtool:prometheus git:git systemd-analyze:systemd

fuzz:
	@./integration/fuzz.sh $(FUZZTIME)

bench:
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./...
