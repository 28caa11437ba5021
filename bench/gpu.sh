#!/usr/bin/env bash
# One NVIDIA card, one command, at most 30 minutes: the plan of bench/gpu.py, with the environments that it needs. The last line is JSON. Needs
# hardware; without a card: python -m bench.gpu --device CPU --tiny
# A machine without network finds its wheels in a folder that another one of the same Python and processor filled; all of its pips read these variables:
#   make setup && bench/gpu.sh --download FOLDER        some 10 GB
#   PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER bench/gpu.sh
set -euo pipefail
cd "$(dirname "$0")/.."

torch=(torch==2.13.0 efficientnet_pytorch==0.7.1 numpy pyyaml pydantic psutil tqdm)
tensorrt=tensorrt-cu12-libs==10.9.0.34  # optional; its package fetches it from NVIDIA's own index

if [ "${1:-}" = --download ]; then
  [ $# = 2 ] && [ -x .venv/bin/pip ] || { echo "error: after \`make setup\`, name one folder: bench/gpu.sh --download FOLDER" >&2; exit 2; }
  wheels() { .venv/bin/pip wheel -q --disable-pip-version-check -w "$@"; }
  wheels "$2" "pip>=24" setuptools wheel -r <(grep -v ^onnxruntime requirements.lock)
  for list in gpu cuda11 cuda12; do wheels "$2" --no-deps -r requirements-$list.txt; done
  wheels "$2" "${torch[@]}"
  .venv/bin/pip download -q --disable-pip-version-check --no-deps -d "$2" --python-version 37 --implementation cp --abi cp37m --platform manylinux1_x86_64 \
    mindspore-lite==2.0.0
  wheels "$2" --no-deps $tensorrt 2>/dev/null || echo "TensorRT did not come; bench/gpu.sh goes on without it" >&2
  du -sh "$2"
  exit
fi

make -s setup DEVICE=gpu >&2
# PyTorch brings CUDA libraries of its own, so it gets an environment of its own
[ -x .venv/torch/bin/python ] || .venv/bin/python -m venv .venv/torch
.venv/torch/bin/pip install -q --disable-pip-version-check "${torch[@]}"
[ -d .venv/cuda12/tensorrt_libs ] || timeout 300 .venv/bin/pip install -q --disable-pip-version-check --no-deps --target .venv/cuda12 $tensorrt 2>/dev/null \
  || echo "TensorRT did not come; going on without it" >&2
exec .venv/bin/python -m bench.gpu --torch-python .venv/torch/bin/python "$@"
