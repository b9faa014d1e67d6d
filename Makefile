# `make demo` does the main job once; `make test` passes the tests. Both set everything up.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
# napari needs a display with OpenGL: the real one, or Xvfb's
DISPLAYED := $(if $(or $(DISPLAY),$(WAYLAND_DISPLAY),$(filter Darwin,$(shell uname -s))),,xvfb-run -a -s "-screen 0 1366x768x24")
export PYTHON VENV

.PHONY: demo test test-core test-gui lint types docs bench soak setup clean

setup:
	@./bootstrap.sh

demo: setup
	$(RUN) -m napari_unet_mic demo -o demo-output

test: test-core test-gui

test-core: setup
	$(RUN) -m pytest -q --ignore=tests/gui -m "not soak"

test-gui: setup
	$(DISPLAYED) $(RUN) -m pytest -q tests/gui -m "not soak"

lint: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: setup
	$(RUN) -m mypy

docs: setup
	$(DISPLAYED) $(RUN) docs/screenshots.py

# make bench DATASET=Task04_Hippocampus [NNUNET=folder-for-nnU-Net's-environment]
bench: setup
	$(RUN) benchmarks/training.py $(DATASET) --workspace soak-output/bench $(if $(NNUNET),--nnunet-environment $(NNUNET))

soak: setup
	$(DISPLAYED) $(RUN) -m pytest -q -m soak

clean:
	rm -rf demo-output soak-output build dist .pytest_cache .mypy_cache .ruff_cache
