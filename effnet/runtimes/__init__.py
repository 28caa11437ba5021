"""Exported models, run: ONNX Runtime, its int8 files, and the C++ program. No MindSpore."""
