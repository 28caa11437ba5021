"""Where tests find real pictures, if there are any: beside the checkout, or where EFFNET_SHARED says."""

import os
from pathlib import Path

SHARED = Path(os.environ.get("EFFNET_SHARED", Path(__file__).parents[2] / "shared" / "data"))
