"""The ONNX file, written straight from weights. No MindSpore."""
