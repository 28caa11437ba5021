#!/usr/bin/env bash
# One NVIDIA card, one command, under 20 minutes: MindSpore's training and ONNX Runtime's inference against PyTorch's, and parity.
# The last line is JSON. Needs hardware; without a card: python -m bench.gpu --device CPU --tiny
set -euo pipefail
cd "$(dirname "$0")/.."
make -s setup DEVICE=gpu
# PyTorch brings CUDA libraries of its own, so it gets an environment of its own; TensorRT is optional
[ -x .venv/torch/bin/python ] || .venv/bin/python -m venv .venv/torch
.venv/torch/bin/pip install -q --disable-pip-version-check torch==2.13.0 efficientnet_pytorch==0.7.1 numpy pyyaml pydantic tqdm
[ -d .venv/cuda12/tensorrt_libs ] || timeout 300 .venv/bin/pip install -q --disable-pip-version-check --no-deps --target .venv/cuda12 \
  tensorrt-cu12-libs==10.9.0.34 || echo "TensorRT did not come; going on without it" >&2
exec .venv/bin/python -m bench.gpu --torch-python .venv/torch/bin/python "$@"
