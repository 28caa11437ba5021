"""Compile the native library: python -m effnet.native"""

from effnet import errors, native

errors.run(lambda: print(native.build()))
