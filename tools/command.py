"""How every tool ends: 0 done, 2 bad input (one line on stderr), 130 after Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable

from datasets.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Run a tool's `main` and leave with its exit status; a user never sees a traceback for bad input."""
    try:
        main()
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
