"""Evaluation in MindSpore: the network over every picture of a set."""

from effnet import network  # noqa: F401  sets what MindSpore reads when it is imported
