"""Makes `desired_cases` importable from the tests of this directory, however pytest was started."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
