#!/usr/bin/env bash
# Make .venv with the locked dependencies; called by `make setup`. System packages are checked first: installed when run
# as root on Debian or Ubuntu, else named in one line with the command that installs them.
#   ./setup.sh [cpu|gpu|ascend]    default: what it was last time, else cpu
set -euo pipefail
cd "$(dirname "$0")"

fail() { echo "error: $*" >&2; exit 2; }

device=${1:-$(cat .venv/installed 2>/dev/null || true)}
device=${device:-cpu}
case $device in cpu | gpu | ascend) ;; *) fail "DEVICE=$device is not cpu, gpu or ascend" ;; esac

suits() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; }

python=${PYTHON:-}
for candidate in python3 python3.12 python3.11 python3.10; do
  [ -n "$python" ] || ! suits "$candidate" || python=$candidate
done
[ -z "$python" ] || suits "$python" || fail "PYTHON=$python is not Python 3.10, 3.11 or 3.12, which MindSpore needs"

header() { echo "#include <stdio.h>
#include <$1>" | c++ -E -x c++ - >/dev/null 2>&1; }

packages=()
[ -n "$python" ] && "$python" -c 'import ensurepip, venv' 2>/dev/null || packages+=("${python:-python3}-venv")
command -v git >/dev/null || packages+=(git)
command -v c++ >/dev/null || packages+=(g++)
command -v cmake >/dev/null || packages+=(cmake)
header jpeglib.h || packages+=(libjpeg-dev)
header nlohmann/json.hpp || packages+=(nlohmann-json3-dev)
header doctest/doctest.h || packages+=(doctest-dev)
if [ ${#packages[@]} -gt 0 ]; then
  packages=("${packages[@]##*/}")
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing system packages: ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends "${packages[@]}"; } >/dev/null \
      || fail "apt-get could not install ${packages[*]}"
  else
    fail "system packages are missing; install them with: sudo apt-get install ${packages[*]}"
  fi
  [ -n "$python" ] || for candidate in python3 python3.12 python3.11 python3.10; do
    [ -n "$python" ] || ! suits "$candidate" || python=$candidate
  done
fi
[ -n "$python" ] || fail "no Python 3.10, 3.11 or 3.12 found, which MindSpore needs; install one and name it:" \
  "make setup PYTHON=/path/to/python3.12"

[ -x .venv/bin/python ] || "$python" -m venv .venv
pip() { .venv/bin/python -m pip "$@" -q --disable-pip-version-check; }
pip install "pip>=24"  # Debian 12's own warns of what newer ones do right

# onnxruntime and onnxruntime-gpu write the same folder: taking one away breaks the other, so where the wrong one is,
# both go
if [ $device = gpu ]; then wrong=onnxruntime; else wrong=onnxruntime-gpu; fi
if .venv/bin/python -m pip show -q $wrong 2>/dev/null; then pip uninstall -y onnxruntime onnxruntime-gpu; fi

echo "installing the locked Python packages into .venv (about 1.5 GB, some minutes)"
if [ $device = gpu ]; then
  pip install -r <(grep -vE '^(onnxruntime|openvino)' requirements.lock)
  pip install --no-deps -r requirements-gpu.txt
else
  pip install -r <(grep -v '^openvino' requirements.lock)
fi
# its wheel for aarch64 wants glibc 2.35, newer than that of many Ascend hosts
pip install -r <(grep '^openvino' requirements.lock) || echo "OpenVINO does not install here; all else works without it"
PYTHONWARNINGS=ignore pip install --no-deps --no-build-isolation -e .  # setuptools warns of every editable install
# what this Python starts finds it as `python`, though nobody activated the environment: `.venv/bin/dvc repro` runs
# `python -m stages.train`
.venv/bin/python - <<'EOF'
import pathlib, sysconfig
pathlib.Path(sysconfig.get_path("purelib"), "effnet_path.pth").write_text(
    'import os, sys; p = os.environ.get("PATH", os.defpath).split(os.pathsep); b = os.path.join(sys.prefix, "bin"); '
    'p[0] == b or os.environ.update(PATH=os.pathsep.join([b, *p]))\n'
)
EOF

# NVIDIA's wheels for two CUDA majors overwrite each other's files, so each has a folder of its own, from which
# effnet/devices/cuda.py loads
cuda() {
  cmp -s "requirements-cuda$1.txt" ".venv/cuda$1/requirements.txt" && return
  echo "installing NVIDIA's CUDA $1 libraries into .venv/cuda$1 ($2 to download)"
  rm -rf ".venv/cuda$1"
  pip install --no-deps --no-compile --target ".venv/cuda$1" -r "requirements-cuda$1.txt"
  mkdir -p ".venv/cuda$1/bin"
  # MindSpore asks CUDA_HOME/bin/nvcc which of its GPU plugins, 11.1 or 11.6, to load; no wheel holds nvcc
  [ "$1" = 12 ] || printf '#!/bin/sh\necho "Cuda compilation tools, release 11.6, V11.6"\n' >.venv/cuda11/bin/nvcc
  [ "$1" = 12 ] || chmod +x .venv/cuda11/bin/nvcc
  cp "requirements-cuda$1.txt" ".venv/cuda$1/requirements.txt"
}
if [ $device = gpu ]; then
  cuda 11 1.7\ GB
  cuda 12 1.6\ GB
fi
echo $device >.venv/installed
[ $device = cpu ] || .venv/bin/python -m tools.doctor $device || true
