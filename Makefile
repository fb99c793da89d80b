# siemrelay. "make test" is all that a clean checkout needs: Go fetches the rest.
# CI (.ci/run) runs "make ci".

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.0.0-dev)
FUZZTIME ?= 15s
LOADTIME ?= 4s
ROUNDS   ?= 5
PENDING  ?= 10000000
VULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
BENCHSTAT := golang.org/x/perf/cmd/benchstat@latest

.PHONY: build test acceptance race mutants fuzz bench bench-base load lint licences sbom reproducible alerts unit vulncheck check update-golden ci clean

build: ## bin/siemrelay, static
	VERSION=$(VERSION) deploy/build.sh bin/siemrelay

# -count=1: Go does not know that most tests build the binary, and would not run them again.
test: ## every test but the mutants; as root also full disks and power cuts, with Java and Maven also real peers, with Chromium also the console
	go test -count=1 -timeout 20m ./...

acceptance: ## what takes long: three Kafka brokers, 250 rounds of kill -9, ten times the faults of the machine, attacks, an outage of a day, a soak
	go test -count=1 -timeout 30m -run '^TestRealLeaderChange$$' ./outputs/kafka -kafka.brokers 3
	go test -count=1 -timeout 60m -run 'Killed' ./cmd/siemrelay -ledger.rounds 50
	go test -count=1 -timeout 2h -v ./internal/soak -soak.kills 200 -soak.for 20m -soak.outage 4320000
	go test -count=1 -timeout 30m -v ./internal/faults -faults.rounds 10
	go test -count=1 -timeout 30m -v ./internal/hostile -hostile.seconds 20 -hostile.idle 10000 -hostile.thorough

# Most tests of the command watch the built binary, which is the same here.
race: ## with the race detector (needs a C compiler), without real peers and the built binary
	go test -race -timeout 25m -skip '^TestReal|Killed|Hostile' $$(go list ./... | grep -v '/cmd/\|/internal/faults\|/internal/hostile\|/internal/soak')
	go test -race -timeout 10m -run 'Lanes|Feeds|Backlog|Memory|When|Desk' ./cmd/siemrelay

mutants: ## break one rule at a time and expect a test to fail
	go test -count=1 -timeout 20m -tags mutants ./internal/mutants

fuzz: ## each fuzz target for FUZZTIME
	@set -e; for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "fuzz $$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

bench: ## benchmarks, compared with those of "make bench-base"
	go test -run '^$$' -bench . -benchmem -count 6 ./... | tee /tmp/siemrelay-bench-new.txt
	@if [ -f /tmp/siemrelay-bench-base.txt ]; then go run $(BENCHSTAT) /tmp/siemrelay-bench-base.txt /tmp/siemrelay-bench-new.txt; fi

load: ## the built binary under load, beside bare yardsticks: bin/performance.md; LOADTIME=1s ROUNDS=1 PENDING=100000 for a quick look
	mkdir -p bin
	go test -count=1 -timeout 6h -v ./internal/performance -performance.all -performance.for $(LOADTIME) -performance.rounds $(ROUNDS) -performance.pending $(PENDING) -performance.report $(CURDIR)/bin/performance.md

bench-base: ## benchmarks to compare with later
	go test -run '^$$' -bench . -benchmem -count 6 ./... | tee /tmp/siemrelay-bench-base.txt

lint: ## golangci-lint with .golangci.yml
	go run $(GOLANGCI) run ./...

licences: ## write deploy/licences.txt anew; read the difference before you commit it
	go run ./deploy/bill licences >deploy/licences.tmp && mv deploy/licences.tmp deploy/licences.txt

sbom: build ## bin/siemrelay.cdx.json, the software bill of materials (CycloneDX)
	go run ./deploy/bill sbom $(VERSION) >bin/siemrelay.cdx.json

reproducible: ## build what is committed twice, in two folders, and compare
	VERSION=$(VERSION) deploy/reproducible.sh

alerts: ## check the alarms with promtool, of the PATH or of Debian
	deploy/alerts.sh

vulncheck: ## known vulnerabilities in what is reached; needs https://vuln.go.dev, or GOVULNDB=file:///FOLDER
	go run $(VULNCHECK) $(if $(GOVULNDB),-db $(GOVULNDB)) ./...

unit: build ## check the systemd unit (needs systemd-analyze)
	deploy/unit.sh bin/siemrelay

check: lint ## what a change must pass besides the tests
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }
	go vet ./...
	go mod verify
	go mod tidy -diff
	go run ./deploy/bill licences | diff deploy/licences.txt -

update-golden: ## write the expected files anew; read the difference before you commit it
	go test ./normalize ./cmd/siemrelay -update
	go test ./internal/config -update

ci: check alerts build test race mutants
	$(MAKE) fuzz FUZZTIME=3s

clean:
	rm -rf bin
