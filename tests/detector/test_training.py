"""The training loop: groups, schedule, what stops it, and that it learns."""

from __future__ import annotations

import math
import os
import signal
from dataclasses import replace

import pytest
import torch

from upright.datasets.augmentation import Augmentation
from upright.datasets.batches import TrainingPictures
from upright.detector.engines.torch_engine import TorchEngine
from upright.detector.evaluation import evaluate
from upright.detector.inference import detect_dataset
from upright.detector.model import Detector, build_detector
from upright.detector.processes import Processes
from upright.detector.settings import Settings
from upright.detector.training import (
    build_optimizer,
    moving_average,
    parameter_groups,
    schedule,
    theta_entry,
    train,
    training_step,
)
from upright.detector.training_options import TrainingOptions, TrainingPace
from upright.detector.training_state import TrainingState
from upright.detector.weights import fill_first_stage
from upright.errors import InputError

QUIET = TrainingPace(workers=0)


def test_each_parameter_is_in_one_group_at_its_rate(tiny: Settings) -> None:
    model = build_detector(tiny)
    options = TrainingOptions(steps=10, backbone_rate=0.3, localisation_rate=0.1, weight_decay=0.5)
    groups = parameter_groups(model, options)
    listed = [p for group in groups for p in group["params"]]
    assert len({id(p) for p in listed}) == len(listed) == sum(p.requires_grad for p in model.parameters())
    rate = {id(p): group["rate"] for group in groups for p in group["params"]}
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert {rate[id(p)] for p in model.pool.localisation.parameters()} == {0.1}
    assert {rate[id(p)] for p in model.backbone.stages.parameters() if p.requires_grad} == {0.3}
    assert {rate[id(p)] for p in model.rpn.parameters()} == {1.0}
    assert decay[id(model.roi_heads.box_head.first.bias)] == 0
    assert decay[id(model.roi_heads.box_head.first.weight)] == 0.5


def test_the_rate_warms_up_and_follows_a_cosine() -> None:
    options = TrainingOptions(steps=110, warmup_steps=10, final_rate=0.01)
    assert schedule(0, options) == pytest.approx(0.1)
    assert schedule(9, options) == pytest.approx(1.0)
    assert schedule(60, options) == pytest.approx(0.01 + 0.99 / 2)
    assert schedule(110, options) == pytest.approx(0.01)


def batch_of(boards) -> tuple[list[torch.Tensor], list[dict]]:
    pictures = TrainingPictures([boards], Augmentation(128, (96, 128), 0), seed=0)
    images, targets = zip(*(pictures[(0, i)] for i in range(2)), strict=True)
    return list(images), list(targets)


def started(model: Detector, options: TrainingOptions) -> TrainingState:
    return TrainingState(model, build_optimizer(model, options), torch.amp.GradScaler("cpu", enabled=False))


def test_a_loss_that_is_not_finite_stops_with_the_pictures_ids(tiny: Settings, boards) -> None:
    model = build_detector(tiny)
    torch.nn.init.constant_(model.roi_heads.box_head.score.bias, math.nan)
    options = TrainingOptions(steps=1)
    state = started(model, options)
    with pytest.raises(InputError, match="pictures 1, 2"):
        training_step(model, batch_of(boards), state, options, torch.device("cpu"))
    assert state.step == 0


def test_theta_that_is_not_finite_names_its_transformer(tiny: Settings, boards) -> None:
    model = build_detector(tiny)
    with torch.no_grad():
        model.pool.localisation[-1].linear.bias[2 * 6 + 1] = math.nan
        images, targets = batch_of(boards)
        with model.pool.theta_statistics() as statistics:
            model([image / 255 for image in images], targets)
    with pytest.raises(InputError, match="transformer 2"):
        theta_entry(statistics)


def test_theta_is_logged_for_each_transformer(tiny: Settings, boards) -> None:
    model = build_detector(tiny)
    images, targets = batch_of(boards)
    with model.pool.theta_statistics() as statistics:
        model([image / 255 for image in images], targets)
    model([image / 255 for image in images], targets)
    assert len(statistics) == 1, "a call after the context is not gathered"
    entry = theta_entry(statistics)["theta"]
    assert set(entry) == {"0", "1", "2", "3"}
    assert entry["1"]["mean"] == pytest.approx([0.7, 0, 0, 0, 0.4, -0.6], abs=1e-4)
    assert entry["0"]["mean_std"] == pytest.approx(0, abs=1e-6)


def test_the_baseline_has_no_theta_to_log(tiny: Settings, boards) -> None:
    model = build_detector(replace(tiny, transformers=0))
    images, targets = batch_of(boards)
    with model.pool.theta_statistics() as statistics:
        model([image / 255 for image in images], targets)
    assert theta_entry(statistics) == {}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_both_optimizers_lower_the_loss(optimizer: str, tiny: Settings, boards) -> None:
    torch.manual_seed(0)
    model = build_detector(tiny)
    rate = {"sgd": 0.01, "adamw": 1e-3}[optimizer]
    # Without warm-up and cosine: every step at the full rate.
    options = TrainingOptions(steps=25, optimizer=optimizer, learning_rate=rate, warmup_steps=0, final_rate=1)
    state, batch = started(model, options), batch_of(boards)
    losses = [training_step(model, batch, state, options, torch.device("cpu"))["loss"] for _ in range(25)]
    assert state.step == 25
    assert min(losses[-5:]) < 0.8 * losses[0]


def test_the_light_detector_learns_who_is_a_person(tiny_light: Settings, boards) -> None:
    torch.manual_seed(0)
    model = build_detector(tiny_light)
    options = TrainingOptions(steps=25, learning_rate=1e-3, warmup_steps=0, final_rate=1, backbone_rate=1)
    state, batch = started(model, options), batch_of(boards)
    losses = [training_step(model, batch, state, options, torch.device("cpu")) for _ in range(25)]
    expected = {"loss_objectness", "loss_rpn_box_reg", "loss_rpn_bins", "loss_classifier", "loss_box_reg", "loss"}
    assert losses[0].keys() == expected
    # The first stage's losses are weighted by what it says, so that they rise while it learns to say something.
    assert min(entry["loss_classifier"] for entry in losses[-5:]) < 0.8 * losses[0]["loss_classifier"]


@pytest.mark.parametrize("learnt", [True, False])
def test_what_has_learnt_elsewhere_learns_at_the_rate_of_the_backbone(learnt: bool, tiny_light: Settings) -> None:
    model = build_detector(tiny_light)
    for part in (model.backbone, model.rpn):
        if learnt:
            part.keep_learnt()
    groups = parameter_groups(model, TrainingOptions(steps=10, backbone_rate=0.3, localisation_rate=0.1))
    rate = {id(p): group["rate"] for group in groups for p in group["params"]}
    for part in (model.backbone, model.rpn):
        assert {rate[id(p)] for p in part.parameters() if p.requires_grad} == {0.3 if learnt else 1.0}
    assert {rate[id(p)] for p in model.roi_heads.box_head.parameters()} == {1.0}


def test_the_moving_average_follows_closely_and_then_by_its_decay(tiny: Settings) -> None:
    model = build_detector(tiny)
    average = moving_average(model, TrainingOptions(steps=9, ema_decay=0.3))
    weight, kept = model.roi_heads.box_head.first.weight, average.module.roi_heads.box_head.first.weight
    torch.nn.init.constant_(weight, 1.0)
    average.update_parameters(model)
    assert (kept == 1).all(), "the first step is where it begins"
    expected = 1.0
    for step, decay in ((1, 2 / 11), (2, 3 / 12), (3, 0.3), (4, 0.3)):  # (1 + step) / (10 + step), 0.3 at most
        torch.nn.init.constant_(weight, 1.0 + step)
        average.update_parameters(model)
        expected = decay * expected + (1 - decay) * (1.0 + step)
        torch.testing.assert_close(kept, torch.full_like(kept, expected))
    assert (weight == 5).all(), "what is trained stays what it is"
    frozen = [p for p in model.parameters() if not p.requires_grad]
    averaged = [p for p in average.module.parameters() if not p.requires_grad]
    assert all(torch.equal(one, other) for one, other in zip(frozen, averaged, strict=True))


def test_the_moving_average_is_what_is_validated_and_released(tiny: Settings, boards) -> None:
    model = build_detector(tiny)
    options = TrainingOptions(steps=3, ema_decay=0.9, warmup_steps=0)
    state = started(model, options)
    assert state.released is model, "where there is no average"
    state.average = moving_average(model, options)
    weights = []
    for _ in range(3):
        training_step(model, batch_of(boards), state, options, torch.device("cpu"))
        weights.append(model.roi_heads.box_head.first.weight.detach().clone())
    expected = weights[0].lerp(weights[1], 9 / 11).lerp(weights[2], 9 / 12)
    torch.testing.assert_close(state.released.roi_heads.box_head.first.weight, expected)
    assert not torch.equal(expected, weights[2])


def test_a_decay_of_0_is_no_moving_average(tiny: Settings) -> None:
    assert moving_average(build_detector(tiny), TrainingOptions(steps=1, ema_decay=0)) is None
    for decay in (1.0, -0.1, math.nan):
        with pytest.raises(InputError, match="--ema-decay"):
            TrainingOptions(steps=1, ema_decay=decay)


@pytest.mark.slow
def test_a_few_pictures_are_learnt_by_heart(tiny_light: Settings, boards) -> None:
    """Data, targets, losses, decoding and evaluation have to fit together for this: miss rate under 5 %."""
    torch.manual_seed(0)
    model = build_detector(tiny_light)
    fill_first_stage(model, ["default"])
    pictures = TrainingPictures([boards], Augmentation(128, (128, 160), 0), seed=0)
    options = TrainingOptions(steps=150, batch_size=6, learning_rate=2e-3, warmup_steps=10)
    train(model, pictures, options, QUIET, directory=None, processes=Processes())
    result = evaluate(boards.annotations, detect_dataset(TorchEngine(model), boards, progress=False))
    assert result.subsets["Reasonable"].ground_truths == 6
    assert result.subsets["Reasonable"].lamr < 0.05


def test_an_unreadable_picture_ends_the_training_with_its_name(tiny: Settings, boards) -> None:
    class Broken(type(boards)):
        def __getitem__(self, index: int) -> None:
            raise InputError("the picture gone.jpg is cut off")

    pictures = TrainingPictures([Broken()], Augmentation(128, (96, 128), 0), seed=0)
    with pytest.raises(InputError, match=r"gone\.jpg"):
        train(build_detector(tiny), pictures, TrainingOptions(steps=2), QUIET, directory=None, processes=Processes())


def test_a_worker_that_is_killed_ends_the_training_in_one_line(tiny: Settings, boards) -> None:
    class Deadly(type(boards)):
        def __getitem__(self, index: int) -> None:
            os.kill(os.getpid(), signal.SIGKILL)  # as a system without memory does

    pictures = TrainingPictures([Deadly()], Augmentation(128, (96, 128), 0), seed=0)
    options, pace = TrainingOptions(steps=2), TrainingPace(workers=1)
    with pytest.raises(InputError, match=r"a process that loads pictures has died .*fewer --workers"):
        train(build_detector(tiny), pictures, options, pace, directory=None, processes=Processes())
