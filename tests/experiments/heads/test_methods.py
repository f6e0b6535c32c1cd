"""Every method is a detector that starts from the same first stage, and one first stage serves them all."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from upright.detector.model import Detector, build_detector
from upright.detector.settings import PRESETS, Settings
from upright.errors import InputError
from upright.experiments.heads.methods import METHODS, built, share_first_stage


@pytest.mark.parametrize("name", METHODS)
def test_each_starts_from_the_first_stage_and_its_seed(name: str, base: Settings, start: Detector) -> None:
    first, again, other = (built(METHODS[name], base, start, seed).state_dict() for seed in (1, 1, 2))
    for key, value in first.items():
        torch.testing.assert_close(value, again[key], rtol=0, atol=0)
        if key.startswith(("backbone.", "rpn.")):
            torch.testing.assert_close(value, start.state_dict()[key], rtol=0, atol=0)
    assert not first["roi_heads.box_head.first.weight"].equal(other["roi_heads.box_head.first.weight"])
    second = "roi_heads.second_look.stages.conv1.0.weight"
    assert (second in first) == ("second_look" in METHODS[name].settings)
    if second in first:
        assert first[second].equal(start.state_dict()["backbone.backbone.conv1.0.weight"])


def test_taught_transformers_may_start_from_those_that_were_taught(base: Settings, start: Detector) -> None:
    teacher = built(METHODS["taught"], base, start, 5)
    first = "pool.localisation.seen.weight"
    pupil = built(METHODS["canonical"], base, teacher, 6, taught=True)
    assert pupil.get_parameter(f"roi_heads.box_roi_{first}").equal(teacher.get_parameter(f"roi_heads.box_roi_{first}"))
    built(METHODS["untaught"], base, teacher, 6, taught=True)
    with pytest.raises(InputError, match="--start-taught"):
        built(METHODS["taught"], base, start, 6, taught=True)


def test_another_first_stage_is_refused(base: Settings) -> None:
    other = build_detector(replace(PRESETS["mobilenet"]))
    with pytest.raises(InputError, match="backbone mobilenet_v2"):
        built(METHODS["none"], base, other, 0)


def test_what_is_shared_finds_the_same_and_looks_once(base: Settings, start: Detector) -> None:
    names = ("none", "taught", "box")
    pictures = [torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    alone = {name: built(METHODS[name], base, start, 0).eval() for name in names}
    shared = {name: built(METHODS[name], base, start, 0).eval() for name in names}
    looks = []
    backbone = shared["none"].backbone
    seen = backbone.forward
    backbone.forward = lambda images: looks.append(len(images)) or seen(images)
    share_first_stage(list(shared.values()))
    with torch.inference_mode():
        for picture in pictures:
            for name in names:
                [expected], [found] = alone[name]([picture]), shared[name]([picture.clone()])
                assert len(expected["scores"]) > 0
                for key, value in expected.items():
                    torch.testing.assert_close(found[key], value, rtol=0, atol=0)
    assert looks == [1, 1]
