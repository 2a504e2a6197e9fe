# The targets a person types. What they do is in lab/toolchain (Python); this file only names them.

PYTHON ?= python3
LAB    ?= dev
STACK  ?= dev
export LAB STACK

DRIVER     := @$(PYTHON) -m lab.toolchain
VENV       := .venv/bin/python
# YES=1: without asking first. Of what is in a lab nobody has to be asked.
ASKED      := $(if $(YES),--yes)
ifneq ($(wildcard lab/toolchain),)
up_all     = $(DRIVER) up --lab $(LAB) --stack $(STACK)
operations = $(DRIVER) operations --lab $(LAB) --stack $(STACK) -- $(1)
DESTROY    := destroy --yes
else # Without lab/ the same targets work on an account, with the pulumi that is installed.
operations = @$(or $(wildcard $(VENV)),$(PYTHON)) -m operations $(1) --stack $(STACK)
up_all     = $(call operations,up $(ASKED))
DESTROY    := destroy $(ASKED)
endif

LOCKER     := uv==0.13.9 # resolves for every platform and writes hashes; only `make lock` needs it

.DEFAULT_GOAL := help
.PHONY: help preflight toolchain venv up verify backups backup restore restore-drill balance replace maintenance pause resume upgrade-hosts recover unlock down test fmt lint type unit provider coverage image-test \
        plugin-test lab-test lab-and-outage-test backup-test consul-test outage-test recovery-test growth-test own-hosts-test application-test chaos-data-test chaos-data lock docs bench chaos audit preview refresh destroy clean-cache

help: ## this list
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## everything from a bare machine to a running cluster; again: brings it to what the settings say
	$(up_all)

verify: ## check the cluster; exit code 0 only if all holds (DEEP=1: compare all rows of all nodes, too)
	$(call operations,verify $(if $(DEEP),--deep))

backups: ## the backups that there are, and whether all is as it must be
	$(call operations,backups)

backup: ## make a backup now, and wait for it (INCREMENTAL=1: only what has changed)
	$(call operations,backup $(if $(INCREMENTAL),--incremental))

restore: ## the cluster as it was: TO='2026-11-28 14:32:10'|GTID|latest; beside it: INTO=name WHAT=app; UNDO=1, DONE=1 after it (IDENTITY=file, TIMELINE=, NODE=)
	$(call operations,restore $(if $(TO),--to '$(TO)') $(if $(INTO),--into '$(INTO)') $(if $(WHAT),--what '$(WHAT)') \
	  $(if $(TIMELINE),--timeline '$(TIMELINE)') $(if $(NODE),--node $(NODE)) $(if $(IDENTITY),--identity '$(IDENTITY)') \
	  $(if $(UNDO),--undo) $(if $(DONE),--done) $(ASKED))

restore-drill: ## the latest backup on a scratch server, every table compared with the cluster (IDENTITY=file, NODE=)
	$(call operations,restore-drill $(if $(NODE),--node $(NODE)) $(if $(IDENTITY),--identity '$(IDENTITY)'))

balance: ## which node each of some connections gets (CONNECTIONS=N; READER=1: through the load balancer only)
	$(call operations,balance $(if $(CONNECTIONS),--connections $(CONNECTIONS)) $(if $(READER),--reader))

replace: ## cancel the server of HOST and order it anew: drained, left, joined, synced (HOST=galera-2, or several; INTERRUPT_BACKUP=1: wait for no backup; YES=1)
	$(call operations,replace $(HOST) $(if $(INTERRUPT_BACKUP),--interrupt-backup) $(ASKED))

maintenance: ## take the database's node on HOST out of both endpoints (HOST=galera-2), or bring it back (OFF=1)
	$(call operations,maintenance $(HOST) $(if $(OFF),off,on))

upgrade-hosts: ## security updates and reboots, one host at a time (HOST=galera-2: that one only; ALL=1: all updates; INTERRUPT_BACKUP=1: wait for no backup; YES=1)
	$(call operations,upgrade-hosts $(HOST) $(if $(ALL),--all) $(if $(INTERRUPT_BACKUP),--interrupt-backup) $(ASKED))

pause resume: ## stop store, database and application in order, keeping all data (pause), and have them back (resume)
	$(call operations,$@ $(ASKED))

recover: ## after an outage: what each node has, and what each way out would lose; changes nothing
	$(call operations,recover)

unlock: ## open encrypted disks and unlock managers, since their hosts have restarted (servers.encryptedDisk, swarm.autolock)
	$(call operations,unlock)

preview: ## what `make up` would change, and what it would cost
	$(call operations,preview)

refresh: ## compare the state with what is really there (YES=1: take that into the state unasked)
	$(call operations,refresh $(ASKED))

audit: ## guests and keys that were ordered for this stack and are in no state
	$(call operations,audit)

destroy: ## cancel all that the stack ordered; the lab stays
	$(call operations,$(DESTROY))

down: ## take the lab and all in it away; the caches stay
	$(DRIVER) down --lab $(LAB)

test: ## lint, types, unit, provider, images, plugins, and the whole job on real hosts in a lab of its own (OUTAGES=1: with outage-test)
	$(DRIVER) test $(if $(OUTAGES),--outages)

preflight: ## whether this machine can run it all; changes nothing
	$(DRIVER) preflight

toolchain: ## only Pulumi's programs
	$(DRIVER) toolchain

venv: ## only Debian's packages and the virtual environment
	$(DRIVER) venv

lint type unit provider coverage image-test plugin-test lab-test: ## each a part of `make test`
	$(DRIVER) $@

outage-test: ## changes under clients, dead host, power cut, full disk, forgotten node, on real hosts
	$(DRIVER) $@

lab-and-outage-test: ## lab-test and outage-test with one cluster: what CI runs
	$(DRIVER) $@

backup-test: ## backups of real processes to a real S3 server, and what breaks one of them in the middle; not in CI
	$(DRIVER) $@

consul-test: ## Consul's members, and the stories that rest on the store with Consul, as real processes; not in CI
	$(DRIVER) $@

recovery-test: ## layers down and up, engines' TLS, first manager lost, the last host of three goes on alone, two stacks at once, rotation with encrypted disks, on real hosts; not in CI
	$(DRIVER) $@

growth-test: ## hosts replaced, rolling changes, maintenance, a pause, host and MariaDB upgrades, more nodes and fewer, on real hosts; not in CI
	$(DRIVER) $@

own-hosts-test: ## the program on hosts that were ordered by hand, one with an engine, one with sudo, one with a disk; not in CI
	$(DRIVER) $@

application-test: ## a site on the cluster, seen by a browser, before and after a host dies; not in CI
	$(DRIVER) $@

chaos-data-test: ## a tenth of chaos-data, with a fixed seed, on the tests' cluster; not in CI yet
	$(DRIVER) $@

lock: venv ## write requirements*.lock anew from requirements*.txt
	@$(VENV) -m pip install --quiet $(LOCKER)
	@for of in requirements requirements-dev; do $(VENV) -m uv pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" $$of.txt --output-file $$of.lock || exit; done

fmt: venv ## format the code and fix what ruff can fix
	@$(VENV) -m ruff check --fix . && $(VENV) -m ruff format .

docs: venv ## write the generated pages and pictures in docs/ anew
	@$(VENV) -m tools.docs

bench: toolchain venv ## pulumi up against the same job by hand, both kernels of hosts, previews by size
	@$(VENV) -m bench.deploy && $(VENV) -m bench.kernels && $(VENV) -m bench.scale

chaos: toolchain venv ## runs of Pulumi killed at random moments (SEED=…)
	@$(VENV) -m bench.chaos $(if $(SEED),--seed $(SEED))

chaos-data: toolchain venv ## faults in hosts while clients write: is every acknowledged write there? (SEED=, RUNS=, PAIRS=, LABS=1, ONLY="name", STORE=consul, ANEW=1, FAILED=1, TABLE=1)
	@$(VENV) -m chaos $(if $(SEED),--seed $(SEED)) $(if $(RUNS),--runs $(RUNS)) $(if $(PAIRS),--pairs $(PAIRS)) \
	  $(if $(ONLY),--only "$(ONLY)") $(if $(STORE),--store $(STORE)) $(if $(LABS),--labs $(LABS)) \
	  $(if $(ANEW),--anew) $(if $(FAILED),--failed) $(if $(TABLE),--table)

clean-cache: ## remove what was downloaded and built
	$(DRIVER) clean-cache
