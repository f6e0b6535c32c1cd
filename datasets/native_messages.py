"""What the C libraries under OpenCV print while they decode: read, since OpenCV does not hand it on.

libjpeg tells only on stderr that a picture is damaged, libpng why it gave up. Unread, both would stand there without
the name of the file.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

STDERR = 2
DECODERS = re.compile(r"JPEG|JFIF|Adobe|progression|libpng|OpenCV|^\[ *(WARN|ERROR)")

# One decoding at a time, so that it is known whose message it is; and none while the process forks, since the child
# would inherit a stderr that is read by nobody.
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def with_messages(decode: Callable[[], T]) -> tuple[T, list[str]]:
    """The result of `decode`, and the lines that decoders printed on the process's stderr in the meantime.

    Lines of others (a progress bar in another thread) are passed on.
    """
    with _lock, tempfile.TemporaryFile() as file:
        try:
            before = os.dup(STDERR)
        except OSError:  # a daemon's stderr may be closed: nothing to read, nobody to read it
            return decode(), []
        try:
            os.dup2(file.fileno(), STDERR)
            result = decode()
        finally:
            os.dup2(before, STDERR)
            os.close(before)
        file.seek(0)
        text = file.read().decode(errors="replace")
    lines = [line.strip() for line in re.split(r"[\r\n]+", text) if DECODERS.search(line)]
    if text and not lines:
        sys.stderr.write(text)
    return result, lines
