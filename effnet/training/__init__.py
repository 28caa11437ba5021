"""Training in MindSpore: loss, optimizers, schedule, step, loop, the frozen start."""

from effnet import network  # noqa: F401  sets what MindSpore reads when it is imported
