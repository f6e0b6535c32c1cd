"""The second look: its crops against a plain bilinear reading of the picture, its frames, and what it looks at."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from torch import Tensor, nn
from torchvision.ops import box_iou

from upright.detector.dense_proposals import Proposals
from upright.detector.model import build_detector
from upright.detector.person_priors import PersonPart
from upright.detector.region_reading import PICTURE
from upright.detector.regions import RegionHeads
from upright.detector.second_look import CROP, ROOM, SecondLook, box_frames, half_height, upright_frames
from upright.detector.settings import Settings
from upright.detector.weights import fill_first_stage
from upright.errors import InputError

NAMES: tuple[PersonPart, ...] = get_args(PersonPart)
SHAPE = (96, 128)


@pytest.fixture(scope="module")
def look() -> SecondLook:
    torch.manual_seed(0)
    return SecondLook(width=8).eval()


def noise(height: int, width: int, pictures: int = 1) -> Tensor:
    return torch.randn(pictures, 3, height, width, generator=torch.Generator().manual_seed(0))


def halved(picture: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels (3, H, W); of what there is at an odd edge."""
    _, height, width = picture.shape
    padded = np.pad(picture, ((0, 0), (0, height % 2), (0, width % 2)), constant_values=np.nan)
    return np.nanmean(padded.reshape(3, (height + 1) // 2, 2, (width + 1) // 2, 2), axis=(2, 4))


def plain_crop(picture: np.ndarray, x: float, y: float, high: float, degrees: float) -> np.ndarray:
    """One crop (3, 96, 64), one bin's middle at a time, from the coarsest average with at least a pixel a bin."""
    level = 0
    while level < 4 and (2 * high / CROP[0]) >= 2 ** (level + 1) * (1 - 1e-6):
        picture, level = halved(picture), level + 1
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    bin_side = 2 * high / CROP[0]
    rows, columns = np.meshgrid(np.arange(CROP[0]) + 0.5, np.arange(CROP[1]) + 0.5, indexing="ij")
    right, down = bin_side * (columns - CROP[1] / 2), bin_side * (rows - CROP[0] / 2)
    places = (y + s * right + c * down, x + c * right - s * down)  # clockwise, as y points down
    indices = [place / 2**level - 0.5 for place in places]
    return np.stack([map_coordinates(channel, indices, order=1, mode="nearest") for channel in picture])


@pytest.mark.parametrize("degrees", [0.0, 30.0, -90.0, 180.0, -137.0])
@pytest.mark.parametrize("high", [9.0, 48.0, 95.0, 97.0, 200.0, 700.0, 2000.0])
def test_crops_are_a_plain_bilinear_reading_of_the_picture(look: SecondLook, high: float, degrees: float) -> None:
    pictures = noise(203, 261, 2)
    turn = np.radians(degrees)
    frames = torch.tensor(
        [[120.0, 95, high, np.sin(turn), -np.cos(turn)], [10.5, 200, high, np.sin(turn), -np.cos(turn)]]
    )
    found = look.crop(pictures, [frames[:1], frames[1:]])
    assert found.shape == (2, 3, *CROP)
    for number, frame in enumerate(frames):
        expected = plain_crop(pictures[number].double().numpy(), *frame[:3].tolist(), degrees)
        np.testing.assert_allclose(found[number], expected, atol=2e-3 if high < 500 else 1e-3)


def test_a_crop_is_what_opencv_warps(look: SecondLook) -> None:
    """A smooth picture, since OpenCV rounds places to a 32nd of a pixel."""
    y, x = np.mgrid[:160, :200].astype(np.float32)
    picture = np.stack([np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)], axis=2)
    degrees, high = 40.0, 45.0
    scale = CROP[0] / (2 * high)
    # Turned back, counter-clockwise by the lean, about the middle; pixel centres of OpenCV are at whole numbers.
    matrix = cv2.getRotationMatrix2D((99.5, 79.5), degrees, scale)
    matrix[:, 2] += (CROP[1] / 2 - 0.5 - 99.5, CROP[0] / 2 - 0.5 - 79.5)
    expected = cv2.warpAffine(picture, matrix, CROP[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    turn = np.radians(degrees)
    frame = torch.tensor([[100.0, 80.0, high, np.sin(turn), -np.cos(turn)]])
    found = look.crop(torch.from_numpy(picture).permute(2, 0, 1)[None], [frame])[0]
    np.testing.assert_allclose(found.permute(1, 2, 0), expected, atol=0.02)


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("scale", [1, 4])
def test_who_is_turned_with_the_picture_is_seen_as_before(look: SecondLook, quarters: int, scale: int) -> None:
    picture, side = noise(160 * scale, 160 * scale), 160.0 * scale
    corners = scale * torch.tensor([[[30.0, 20], [90, 20], [90, 130], [30, 130]]])
    turned = corners
    for _ in range(quarters):  # counter-clockwise, as NumPy turns: (x, y) comes to (y, side - x)
        turned = torch.stack([turned[..., 1], side - turned[..., 0]], dim=-1)
    before = look.crop(picture, [upright_frames(corners)])
    after = look.crop(picture.rot90(quarters, (2, 3)), [upright_frames(turned)])
    torch.testing.assert_close(after, before, atol=2e-3, rtol=0)
    not_turned = look.crop(
        picture.rot90(quarters, (2, 3)), [box_frames(torch.cat([turned.amin(1), turned.amax(1)], 1))]
    )
    assert (not_turned - before).abs().max() > 1


def test_large_people_are_averaged_and_not_sampled(look: SecondLook) -> None:
    board = torch.zeros(1, 3, 512, 512)
    board[..., ::2, ::2] = board[..., 1::2, 1::2] = 1
    frame = torch.tensor([[256.0, 256, 200, 0, -1]])  # four pixels a bin
    torch.testing.assert_close(look.crop(board, [frame]), torch.full((1, 3, *CROP), 0.5))


sides = st.floats(2, 400)


@settings(max_examples=50, deadline=None)
@given(st.floats(-100, 500), st.floats(-100, 500), sides, sides, st.floats(-180, 180))
def test_frames_hold_the_person_with_some_room(x: float, y: float, width: float, height: float, degrees: float) -> None:
    box = torch.tensor([[x - width / 2, y - height / 2, x + width / 2, y + height / 2]], dtype=torch.float64)
    plain = box_frames(box)
    assert plain[0].tolist() == pytest.approx([x, y, plain[0, 2].item(), 0, -1], abs=1e-6)
    high = plain[0, 2].item()
    assert max(height / (2 * high), width / (2 * high * CROP[1] / CROP[0])) == pytest.approx(
        min(1 / ROOM, 1.0), rel=1e-6
    )
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    offsets = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
    corners = torch.from_numpy(offsets @ np.array([[c, s], [-s, c]]) + (x, y))[None]
    assert upright_frames(corners)[0].tolist() == pytest.approx([x, y, high, s, -c], abs=1e-5)


def test_nobody_is_so_small_that_a_crop_has_no_size() -> None:
    assert half_height(torch.zeros(1), torch.tensor([0.3])).item() == pytest.approx(ROOM / 2)
    assert upright_frames(torch.full((1, 4, 2), 7.0)).isfinite().all()


def test_no_frames_give_no_logits_and_a_batch_does_not_mix_its_pictures(look: SecondLook) -> None:
    pictures = noise(96, 128, 2)
    nothing = torch.zeros(0, 5)
    assert look(pictures, [nothing, nothing])[0].shape == (0,)
    one, other = torch.tensor([[60.0, 50, 30, 0, -1]]), torch.tensor([[40.0, 30, 20, 0.6, -0.8], [9, 9, 9, 0, 1]])
    with torch.no_grad():
        both, _ = look(pictures, [one, other])
        apart = torch.cat([look(pictures[:1], [one])[0], look(pictures[1:], [other])[0]])
    torch.testing.assert_close(both, apart)
    assert both.dtype == torch.float32
    assert len(set(both.tolist())) == 3


class Says(nn.Module):
    """A region head of given logits, whose boxes are the regions moved by a quarter of their width."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, crops: Tensor, pose: Tensor | None) -> tuple[Tensor, Tensor]:
        deltas = torch.tensor([2.5, 0, 0, 0]).repeat(len(crops), 1)
        logits = self.logits[: len(crops)]
        return torch.stack([torch.zeros_like(logits), logits], dim=1), deltas


class Answers(nn.Module):
    """A second look that answers in turn, and keeps where it looked."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, pictures: Tensor, frames: list[Tensor]) -> tuple[Tensor, None]:
        self.frames = frames
        return self.logits[: sum(len(one) for one in frames)], None


REGIONS = [[10.0, 10, 30, 60], [10, 20, 30, 60], [70, 10, 90, 60], [50, 30, 70, 80]]


def heads_that_look_again(settings: Settings, logits: list[float], answers: list[float]) -> tuple[RegionHeads, dict]:
    heads = build_detector(
        replace(settings, suppression="hard", nms_threshold=1.0, box_share=1.0, fusion="region")
    ).roi_heads
    heads.box_head = Says(logits)
    heads.second_look = Answers(answers)
    sizes = {"0": 8, "1": 16, "2": 32, "pool": 64}
    maps = {name: torch.rand(2, 96, -(-SHAPE[0] // s), SHAPE[1] // s) for name, s in sizes.items()}
    return heads.eval(), {**maps, PICTURE: noise(*SHAPE, 2)}


def test_the_best_alone_are_judged_again_and_the_others_keep_their_scores(tiny_light: Settings) -> None:
    chosen = replace(tiny_light, second_look="box", looks=2, second_share=0.4)
    heads, maps = heads_that_look_again(chosen, [0.5, -1.0, 2.0, 0.1, -2.0], [-3.0, 1.0, 0.7])
    proposals = [Proposals(torch.tensor(REGIONS), torch.zeros(4)), Proposals(torch.tensor(REGIONS[:1]), torch.zeros(1))]
    first, second = heads(maps, proposals, [SHAPE] * 2)[0]
    before = 1 / (1 + np.exp(-np.array([0.5, -1.0, 2.0, 0.1, -2.0])))
    seen = 1 / (1 + np.exp([3.0, -1.0, -0.7]))
    expected = before.copy()
    # Of the first picture the third and the first region, in this order; of the second its only one.
    for region, own in zip((2, 0, 4), seen, strict=True):
        expected[region] = before[region] ** 0.6 * own**0.4
    np.testing.assert_allclose(first["scores"], np.sort(expected[:4])[::-1], rtol=1e-5)
    np.testing.assert_allclose(second["scores"], expected[4:], rtol=1e-5)
    # It looks at the boxes as they are after the first look: moved by a quarter of their width.
    boxes = torch.tensor([REGIONS[2], REGIONS[0]]) + torch.tensor([5.0, 0, 5, 0])
    torch.testing.assert_close(heads.second_look.frames[0], box_frames(boxes))
    assert len(heads.second_look.frames[1]) == 1


def test_a_canonical_look_is_at_the_whole_of_the_pose(tiny_light: Settings) -> None:
    torch.manual_seed(0)
    chosen = replace(tiny_light, teach=1.0, second_look="canonical", looks=2, priors=("head", "whole", "torso", "legs"))
    heads, maps = heads_that_look_again(chosen, [0.5, -1.0, 2.0, 0.1], [0.0, 0.0])
    nn.init.normal_(heads.box_roi_pool.localisation.regression.linear.weight, std=3.0)
    with torch.no_grad():
        (result, _), _ = heads(maps, [torch.tensor(REGIONS), torch.zeros(0, 4)], [SHAPE] * 2)
        pose = heads.box_roi_pool.look(maps, [torch.tensor([REGIONS[2], REGIONS[0]]), torch.zeros(0, 4)])
    corners = pose.quadrilaterals(heads.box_roi_pool.transformation)[:, 1]
    frames = heads.second_look.frames[0]
    torch.testing.assert_close(frames, upright_frames(corners))
    assert frames[:, 3].abs().max() > 0.1, "somebody has to lean for this to say anything"
    best = [
        row for quadrilateral in corners for row in [(result["whole"] - quadrilateral).abs().amax(dim=(1, 2)).min()]
    ]
    assert max(best) < 1e-3, "what is told is where it looked"


@pytest.mark.parametrize("kind", ["box", "canonical"])
def test_without_a_share_of_the_second_look_nothing_changes(kind: str, tiny_light: Settings) -> None:
    torch.manual_seed(0)
    taught = replace(tiny_light, teach=1.0)
    plain = build_detector(taught).eval()
    again = build_detector(replace(taught, second_look=kind, second_share=0.0)).eval()
    again.load_state_dict(plain.state_dict(), strict=False)
    with torch.inference_mode():
        before, after = (model([noise(96, 128)[0].sigmoid()])[0] for model in (plain, again))
        again.roi_heads.second_share = 0.5
        (changed,) = again([noise(96, 128)[0].sigmoid()])
    assert before.keys() == after.keys()
    assert len(before["scores"]) > 3
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not torch.equal(changed["scores"], before["scores"])


def person(*boxes: list[float], ignore: tuple[bool, ...] = (False,)) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor(boxes),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
        "ignore": torch.tensor(ignore),
    }


def test_it_learns_the_overlap_of_the_best_proposals_that_are_not_ignored(tiny_light: Settings) -> None:
    heads, maps = heads_that_look_again(
        replace(tiny_light, second_look="box", looks=3), [0.0] * 9, [0.3, -1.0, 2.0, 0.5]
    )
    heads.second_look.logits.requires_grad_()
    one = person([10.0, 10, 30, 60], [65.0, 5, 95, 70], ignore=(False, True))
    # Of the first picture the third region lies on the ignore region, and the fourth comes in; nobody in the second.
    proposals = [torch.tensor(REGIONS), torch.tensor(REGIONS[:1])]
    losses = heads._look_again(maps, proposals, [one, person([50.0, 50, 60, 60], ignore=(True,))])
    wanted = [*box_iou(torch.tensor(REGIONS[:2]), one["boxes"][:1])[:, 0].tolist(), 0.0, 0.0]
    assert wanted == pytest.approx([1.0, 0.8, 0, 0])
    logits = np.array([0.3, -1.0, 2.0, 0.5])
    entropy = [np.log1p(np.exp(-x)) * w + np.log1p(np.exp(x)) * (1 - w) for x, w in zip(logits, wanted, strict=True)]
    assert losses["loss_second_look"].item() == pytest.approx(np.mean(entropy), rel=1e-5)
    regions = [REGIONS[0], REGIONS[1], REGIONS[3]]
    torch.testing.assert_close(heads.second_look.frames[0], box_frames(torch.tensor(regions)))


def test_a_proposal_that_overlaps_a_person_by_less_than_half_is_nobody(tiny_light: Settings) -> None:
    heads, maps = heads_that_look_again(replace(tiny_light, second_look="box", looks=1), [0.0], [0.0, 3.0])
    maps = {name: level[:1] for name, level in maps.items()}
    (loss,) = heads._look_again(maps, [torch.tensor([[10.0, 10, 30, 34]])], [person([10.0, 10, 30, 60])]).values()
    (most,) = heads._look_again(maps, [torch.tensor([[10.0, 10, 30, 36]])], [person([10.0, 10, 30, 60])]).values()
    assert loss.item() == pytest.approx(np.log(2))
    heads.second_look.logits = torch.tensor([5.0])
    (wrong,) = heads._look_again(maps, [torch.tensor([[10.0, 10, 30, 34]])], [person([10.0, 10, 30, 60])]).values()
    assert wrong.item() == pytest.approx(np.log1p(np.exp(5)), rel=1e-5)
    (right,) = heads._look_again(maps, [torch.tensor([[10.0, 10, 30, 36]])], [person([10.0, 10, 30, 60])]).values()
    assert right.item() == pytest.approx(np.log1p(np.exp(5)) - 5 * 0.52, rel=1e-5)
    assert most.item() == pytest.approx(np.log(2))


@pytest.mark.parametrize("kind", ["box", "canonical"])
def test_its_loss_reaches_the_second_look_and_nothing_else(kind: str, tiny_light: Settings) -> None:
    torch.manual_seed(0)
    model = build_detector(replace(tiny_light, teach=1.0, second_look=kind, head_gradient="maps"))
    losses = model([noise(96, 128)[0].sigmoid()], [person([10.0, 10, 30, 60])])
    losses["loss_second_look"].backward()
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert reached == {name for name, _ in model.named_parameters() if name.startswith("roi_heads.second_look.")}
    assert model.roi_heads.second_look.stages.conv1[0].weight.grad.any()


@pytest.mark.parametrize("kind", ["box", "canonical"])
def test_a_picture_that_is_ignored_whole_has_a_loss_of_0_to_go_back_from(kind: str, tiny_light: Settings) -> None:
    model = build_detector(replace(tiny_light, teach=1.0, second_look=kind))
    losses = model([noise(96, 128)[0].sigmoid()], [person([-500.0, -500, 700, 700], ignore=(True,))])
    assert {name: loss.item() for name, loss in losses.items()} == dict.fromkeys(losses, 0.0)
    assert losses["loss_second_look"].requires_grad, "where nothing but the second look learns"
    sum(losses.values()).backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_it_learns_to_tell_two_pictures_apart(tiny_light: Settings) -> None:
    torch.manual_seed(0)
    model = build_detector(replace(tiny_light, second_look="box"))
    fill_first_stage(model, ["default"])
    network = model.roi_heads.second_look
    pictures = torch.stack([torch.full((3, 96, 64), -1.0), torch.full((3, 96, 64), 1.0)]) + 0.1 * noise(96, 64)
    frames, truth = [torch.tensor([[32.0, 48, 48, 0, -1]])] * 2, torch.tensor([0.0, 1.0])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = nn.functional.binary_cross_entropy_with_logits(network(pictures, frames)[0], truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize(
    "change",
    [
        {"second_look": "canonical"},
        {"second_look": "canonical", "teach": 1.0, "taught": ("whole", "head")},
        {"second_look": "canonical", "teach": 1.0, "priors": ("whole", "head")},
        {"second_look": "canonical", "transformers": 0},
        {"second_look": "twice"},
        {"pose_from": "second_look", "teach": 1.0},
        {"pose_from": "second_look", "second_look": "box"},
        {"second_look": "box", "looks": 0},
        {"second_look": "box", "second_share": 1.5},
        {"second_look": "box", "second_share": float("nan")},
    ],
)
def test_a_second_look_that_cannot_be_is_refused_in_one_line(change: dict, tiny_light: Settings) -> None:
    with pytest.raises(InputError) as caught:
        replace(tiny_light, **change)
    assert "\n" not in str(caught.value)
