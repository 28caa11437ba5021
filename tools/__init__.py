"""What people run besides the pipeline's stages; the Makefile names each."""

from effnet import errors

errors.starting()
