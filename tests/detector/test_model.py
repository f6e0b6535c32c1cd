"""What a detector gives is in pixels of the picture that it was given."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from upright.detector.model import PictureTransform, build_detector
from upright.detector.settings import Settings


def transform() -> PictureTransform:
    return PictureTransform(128, 192, [0.5] * 3, [0.2] * 3).eval()


def corners_of(boxes: Tensor) -> Tensor:
    """(n, 4, 2), top left first, clockwise."""
    x1, y1, x2, y2 = boxes.unbind(1)
    return torch.stack([x1, y1, x2, y1, x2, y2, x1, y2], dim=1).unflatten(1, (4, 2))


def test_quadrilaterals_are_scaled_as_boxes_are_in_each_picture_of_a_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes, originals = [(128, 192), (192, 96)], [(333, 500), (1000, 500)]  # the first is not scaled alike both ways
    results, expected = [], []
    for number, (shape, original) in enumerate(zip(shapes, originals, strict=True)):
        boxes = torch.rand(3 + number, 4, generator=generator) * 90
        whole = corners_of(boxes)
        results.append({"boxes": boxes, "whole": whole, "parts": torch.stack([whole, whole + 1, whole + 2], dim=1)})
        scale = torch.tensor([original[1] / shape[1], original[0] / shape[0]])
        parts = torch.stack([(whole + i) * scale for i in range(3)], dim=1)
        expected.append({"boxes": boxes * scale.repeat(2), "whole": whole * scale, "parts": parts})
    found = transform().postprocess(results, shapes, originals)
    for one, wanted in zip(found, expected, strict=True):
        for name, value in wanted.items():
            torch.testing.assert_close(one[name], value)
        torch.testing.assert_close(one["whole"], corners_of(one["boxes"]))


def test_what_has_no_pose_or_no_people_is_left_as_it_is() -> None:
    (bare,) = transform().postprocess([{"boxes": torch.ones(1, 4), "scores": torch.ones(1)}], [(10, 20)], [(20, 40)])
    assert bare.keys() == {"boxes", "scores"}
    nobody = {"boxes": torch.zeros(0, 4), "whole": torch.zeros(0, 4, 2), "parts": torch.zeros(0, 3, 4, 2)}
    (empty,) = transform().postprocess([nobody], [(10, 20)], [(20, 40)])
    assert empty["parts"].shape == (0, 3, 4, 2)


@pytest.mark.parametrize("size", [(256, 384), (150, 200)])
def test_a_larger_picture_of_the_same_gives_a_larger_pose(size: tuple[int, int], tiny_light: Settings) -> None:
    """Poses of a picture, and of the picture that the model makes of it, differ by the scale alone."""
    torch.manual_seed(0)
    model = build_detector(replace(tiny_light, teach=1.0)).eval()
    torch.nn.init.normal_(model.pool.localisation.regression.linear.weight, std=0.3)
    large = torch.rand(3, *size)
    small = model.transform([large])[0]
    height, width = small.image_sizes[0]
    mean, std = (
        torch.tensor(values)[:, None, None] for values in (model.transform.image_mean, model.transform.image_std)
    )
    with torch.inference_mode():
        (found,) = model([large])
        (same,) = model([small.tensors[0, :, :height, :width] * std + mean])
    assert len(found["boxes"]) == len(same["boxes"]) > 3
    scale = torch.tensor([size[1] / width, size[0] / height])
    torch.testing.assert_close(found["whole"], same["whole"] * scale, atol=1e-2, rtol=1e-3)
    torch.testing.assert_close(found["parts"], same["parts"] * scale, atol=1e-2, rtol=1e-3)
    torch.testing.assert_close(found["lean"], same["lean"], atol=1e-2, rtol=1e-3)
