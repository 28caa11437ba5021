"""MINDIR files: written by MindSpore, and rewritten for MindSpore Lite."""

from effnet import network  # noqa: F401  sets what MindSpore reads when it is imported
