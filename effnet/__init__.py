"""EfficientNet in MindSpore: trained, evaluated, exported and deployed reproducibly.

This library knows nothing of DVC, of params.yaml or of where files live: the scripts in stages/ read the recipe and
call it.
"""

__version__ = "0.1.0"
