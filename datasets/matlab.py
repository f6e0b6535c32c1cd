"""MATLAB files (.mat, .vbb). SciPy is imported when one is read or written: no `--help` has to wait for it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from upright.datasets.matlab_check import refuse_incoherent
from upright.errors import InputError
from upright.output import whole_file


def parse_matlab(data: bytes, path: Path) -> dict[str, Any]:
    """The variables of a MATLAB file, of version 5 to 7, by name.

    Args:
        data: its bytes.
        path: its name, for the error.

    Raises:
        InputError: a damaged or foreign file.
    """
    from scipy.io import loadmat

    try:
        refuse_incoherent(data)
        return loadmat(BytesIO(data))
    # A damaged or foreign file makes scipy fail with whatever its bytes lead to.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path} is not a MATLAB file that can be read ({reason}): unpack or download it again"
        ) from None


def write_matlab(path: Path, variables: dict[str, Any], *, compressed: bool = False) -> None:
    """Write a MATLAB file of version 5.

    Raises:
        InputError: it cannot be written.
    """
    from scipy.io import savemat

    with whole_file(path) as temporary, temporary.open("wb") as file:
        savemat(file, variables, do_compression=compressed)
