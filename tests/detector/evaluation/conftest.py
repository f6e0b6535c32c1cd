"""Real annotations for the evaluation's tests; skipped where they are not at hand."""

import re
import tarfile
from pathlib import Path

import pytest

from upright.datasets.coco import read_annotations
from upright.datasets.registry import open_dataset
from upright.datasets.sample import Annotations


@pytest.fixture(scope="session")
def citypersons_val(shared: Path) -> Annotations:
    return read_annotations(shared / "data/citypersons/val_gt.json")


@pytest.fixture(scope="session")
def original_caltech(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Annotations:
    """Caltech's test sets as they were published."""
    root = tmp_path_factory.mktemp("caltech")
    with tarfile.open(shared / "data/caltech/annotations.tar.gz") as tar:
        test_sets = [member for member in tar if re.search(r"set(06|07|08|09|10)/V\d+\.vbb$", member.name)]
        tar.extractall(root, test_sets, filter="data")
    return open_dataset("caltech", root, "test").annotations
