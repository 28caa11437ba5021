"""The pipeline's stages: a script each, run as `python -m stages.NAME`."""

from effnet import errors

errors.starting()
