# Every job by its name; `make` alone prints them. Variables given on make's command line are in the environment of what it runs.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
RECIPE ?= digits
# What the user gives is taken literally: make expands nothing in it, and recipes hand it on as the shell's "$$NAME"
GIVEN := A ARGS B DATA DEVICE DIR ENDPOINT FILE FILES KEY MODEL ONLY RECIPE RUNTIMES URL
export $(GIVEN)
$(foreach name,$(GIVEN),$(if $(filter command,$(origin $(name))),$(eval override $(name) := $$(value $(name)))))
# a file of tests is one process's, since the tests in it share what they set up; a process more than cores, since they wait
PYTEST := python -m pytest -n $(shell echo $$(($$(nproc) + 1))) --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# with ANEW=1: train from the beginning though nothing changed, which `dvc repro` would not
ANEW_FIRST = $(if $(ANEW),dvc repro prepare pretrained && dvc repro --single-item --force train)
C_FILES := git ls-files -z '*.c' '*.h' '*.cc' | xargs -0
.DEFAULT_GOAL := help
.PHONY: help setup doctor demo test test-peers soak lint format use repro train-cpu train-ascend1 train-ascend8 train-gpu1 train-gpu8 \
  pretrained eval export air onnx-eval infer310 parity bench results metrics compare published remote push pull publish sign verify-signature croissant models report verify reproduce clean

help:  ## print this list
	@awk -F ':.*## ' '/^## / {print "\n" substr($$0, 4)} /^[a-z0-9 -]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## set up

setup: $(if $(DEVICE),,.venv/installed)  ## check system packages, make .venv, install the locked dependencies; DEVICE=gpu or ascend: for those
	$(if $(DEVICE),@./setup.sh "$$DEVICE")

.venv/installed: setup.sh requirements.lock requirements-gpu.txt requirements-cuda11.txt requirements-cuda12.txt pyproject.toml
	@./setup.sh

doctor: .venv/installed  ## for CPU, GPU and Ascend: what is there, what is missing, the command that mends it; DEVICE=gpu: that one only
	@python -m tools.doctor $${DEVICE:+"$$DEVICE"}

## run

demo: setup  ## the whole pipeline on the embedded digits, under 10 minutes on 2 cores
	@python -m tools.use digits
	@$(MAKE) -s repro

use: setup  ## put recipes/RECIPE.yaml in force as params.yaml; FORCE=1 overwrites unsaved edits
	@python -m tools.use "$$RECIPE" $(if $(FORCE),--force)

repro: setup  ## run whatever the last edits made out of date, say what came of it; ANEW=1: train from the beginning, CONTINUE=1: go on under changed code
	@$(ANEW_FIRST)
	@dvc repro && python -m tools.summary

train-cpu: setup  ## train with the recipe in force; ANEW=1, CONTINUE=1 as for repro
	@$(ANEW_FIRST)
	dvc repro train

train-ascend1 train-ascend8 train-gpu1 train-gpu8: train-%: setup  ## the original's recipe on one or eight NPUs or GPUs; DRY_RUN=1 only shows how; ANEW=1, CONTINUE=1 as for repro
ifdef DRY_RUN
	@python -m tools.launch --dry-run recipes/$*.yaml
else
	@python -m tools.doctor recipes/$*.yaml
	@python -m tools.use $* $(if $(FORCE),--force)
	@$(ANEW_FIRST)
	dvc repro train
endif

pretrained: setup  ## other people's weights: a list; MODEL=lite0, torchvision_b2, ...: into models/pretrained; FILE=your own of that kind
	@python -m tools.pretrained $${MODEL:+"$$MODEL"} $${FILE:+--file "$$FILE"}

eval: setup  ## evaluate, and train nothing: MODEL=lite0 or a file, DATA=folder or archive, RUNTIMES="mindspore onnx infer310"; docs/evaluate.md
	@python -m tools.evaluate $${MODEL:+--model "$$MODEL"} $${DATA:+--data "$$DATA"} $${RUNTIMES:+--runtimes "$$RUNTIMES"}

export: setup  ## write the ONNX and MINDIR files
	dvc repro export

air: setup  ## write models/effnet.air for ATC, on a machine with Ascend devices; MindSpore has deprecated AIR: prefer `make export`
	@python -m tools.air

onnx-eval: setup  ## evaluate the ONNX file in ONNX Runtime
	dvc repro onnx_eval

infer310: setup  ## evaluate with the C++ application for Ascend 310, on the CPU here
	dvc repro infer310

parity: setup  ## MindSpore, ONNX Runtime and C++ on the same pictures: do they answer alike?
	dvc repro parity

## look

metrics: setup  ## what the last run measured
	@dvc metrics show

models: setup  ## what each model is: recipe, data, accuracy, licence, and whether it is here
	@python -m tools.models

report: setup  ## reports/report.html, one page that opens offline, and reports/model-card.md
	@python -m tools.report

compare: setup  ## A=main B=other: is one model better, or is it noise? B is the working tree if not given
	@python -m tools.compare "$$A" "$$B"

published: setup  ## tags published/ascend8, ...: what was published for a recipe, for `dvc metrics diff` and A=published/ascend8 above
	@python -m tools.published

verify: setup  ## evaluate the versioned model again and compare with the committed metrics
	@python -m tools.verify

reproduce: setup  ## make everything from raw data in a temporary clone and compare
	@python -m tools.reproduce

## share

remote: setup  ## name your team's remote: URL=folder, s3://bucket/path (ENDPOINT=...) or ssh://user@host/path (KEY=...); https://host/path is read-only
	@python -m tools.remote $${URL:+"$$URL"} $${ENDPOINT:+--endpoint "$$ENDPOINT"} $${KEY:+--key "$$KEY"}

push: setup  ## send this commit's data and models to your team's remote; FILES=... only some
	@python -m tools.transfer $@ $$FILES $(if $(FORCE),--force)

pull: setup  ## bring this commit's data and models from every remote, the one in this repository included; FILES=models/effnet.ckpt only that
	@python -m tools.transfer $@ $$FILES $(if $(FORCE),--force)

publish: setup  ## write this commit's data and models to build/publish, or DIR=..., as a read-only remote for any web server
	@python -m tools.publish $${DIR:+"$$DIR"} $(if $(FORCE),--force)

sign: .venv/publishing  ## sign what `make publish` wrote: KEY=private.pem, DIR=...; OpenSSF model signing, offline
	@python -m tools.sign sign $${DIR:+"$$DIR"} --key "$$KEY"

verify-signature: .venv/publishing  ## does the signature hold? KEY=public.pem, DIR=...; names the files that are other ones
	@python -m tools.sign verify $${DIR:+"$$DIR"} --key "$$KEY"

croissant: .venv/publishing  ## describe the prepared pictures in Croissant, for data set searches and loaders
	@python -m tools.croissant

.venv/publishing: .venv/installed requirements-publish.txt
	@python -m pip install -q -r requirements-publish.txt
	@touch $@

## develop

test: setup  ## the tests that need nothing but this repository; ARGS=tests/data: what pytest is told
	@$(PYTEST) -m "not peers and not soak" $$ARGS

test-peers: setup  ## live comparisons with torch (which is gigabytes where only its CUDA build is to be had)
	@python -m pip install -q -r requirements-peers.txt -r requirements-publish.txt
	@$(PYTEST) -m peers $$ARGS

soak: setup  ## ten kills and stops of a training with four processes, compared with one that nothing befell; then the tests that `make test` has no time for, and 3,000 damages of each kind of file; hours
	@rm -rf build/soak
	@python -m tests.soak build/soak --processes 4 --recipe smoke --epochs 30 --seconds 5
	@$(PYTEST) -m soak
	@FUZZ=3000 $(PYTEST) tests/test_fuzz.py

lint: setup  ## layout and the usual slips, in Python, C and C++
	@ruff check
	@ruff format --check
	@$(C_FILES) clang-format --dry-run -Werror

format: setup  ## mend the layout that `make lint` objects to
	@ruff check --quiet --fix --exit-zero
	@ruff format
	@$(C_FILES) clang-format -i

bench: setup  ## every benchmark in bench/ on a quiet machine, some 40 minutes, into docs/performance.md; ONLY="onnx loader": these
	@python -m pip install -q -r requirements-peers.txt
	@python -m bench.run $$ONLY

results: setup  ## write the README's table of results from metrics/
	@python -m tools.results_table

clean:  ## remove what was made in the workspace, unfinished trainings too; `make pull` brings back what is in DVC's cache or a remote
	rm -rf build data/prepared data/prepared.part data/prepared.old metrics/clock metrics/evaluate metrics/logits models reports tmp
