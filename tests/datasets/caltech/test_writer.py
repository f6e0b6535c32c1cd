"""Pictures written in Caltech's layout come back as they were."""

import numpy as np
import pytest

from upright.datasets.caltech import CaltechPedestrians
from upright.datasets.caltech.seq import SeqReader
from upright.datasets.caltech.writer import write_caltech
from upright.datasets.synthetic import SyntheticPedestrians
from upright.errors import InputError


@pytest.fixture(scope="module")
def pictures():
    return SyntheticPedestrians("train", length=5, size=(160, 120), seed=3)


@pytest.fixture(scope="module")
def root(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("caltech")
    write_caltech(pictures, folder, part=0, step=3, images_per_video=3)
    write_caltech(pictures, folder, part=6, images_per_video=3)
    return folder


@pytest.mark.parametrize(
    ("split", "annotations", "every"), [("train", "original", 3), ("test", "original", None), ("test", "new", None)]
)
def test_samples_come_back(pictures, root, split, annotations, every):
    dataset = CaltechPedestrians(root, split, annotations=annotations, every=every)
    assert len(dataset) == len(pictures)
    step = every or 30
    assert dataset.annotations.image_ids[3].endswith(f"V001_I{step - 1:05d}")
    for i in range(len(pictures)):
        expected, found = pictures[i], dataset[i]
        assert (
            np.abs(expected.image.astype(int) - found.image).mean() < 6
        )  # the grain of a rendered picture does not survive JPEG
        assert np.array_equal(expected.boxes, found.boxes)
        assert np.array_equal(expected.ignore, found.ignore)
        # One row a frame and box; what is wholly seen has no visible box in the file.
        assert np.allclose(np.where(expected.visible_ratio >= 1, 1, expected.visible_ratio), found.visible_ratio)


def test_new_annotations_of_a_tenfold_set_stand_in_their_own_folder(pictures, root):
    dataset = CaltechPedestrians(root, "train", annotations="new", every=3)
    assert np.array_equal(dataset.annotations.boxes[:, 2:], pictures.annotations.boxes[:, 2:])
    assert np.array_equal(dataset.annotations.boxes[:, :2], pictures.annotations.boxes[:, :2] + 1)


def test_frames_between_are_plain_grey(root):
    with SeqReader(root / "set06/V000.seq") as video:
        assert len(video) == 90
        assert np.abs(video[28].astype(int) - 128).max() <= 1
        assert video[29].std() > 5


def test_sets_that_caltech_does_not_have_are_refused(pictures, tmp_path):
    with pytest.raises(InputError, match="no set 11"):
        write_caltech(pictures, tmp_path, part=11)
