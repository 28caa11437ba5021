"""Exported models, run: ONNX Runtime, OpenVINO, their int8 files, and the C++ program. No MindSpore."""

import os
import sys

# where it is imported without this, ONNX Runtime 1.32 writes a device's id and a file of events to be sent
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# OpenVINO reports each import to Google Analytics; where this package is missing, it has a stub in its place
sys.modules.setdefault("openvino_telemetry", None)

# how an ONNX file of ours can be run on a CPU: a program, and a precision where it is not float32
NAMES = ("onnx", "onnx-int8", "openvino", "openvino-bfloat16", "openvino-int8")
