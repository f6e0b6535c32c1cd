"""The work that `benchmark.py head` times: crops and detectors with transformers, beside the same without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from upright.detector.settings import PRESETS

STRIDES = (4, 8, 16, 32)
CHANNELS = 256
Work = Callable[[], object]


def crop_pairs(device, transformers: int, proposals: int = 1000, side: int = 800) -> dict[str, tuple[Work, Work]]:
    """The pool alone: ours and torchvision's, by name."""
    import torch

    from upright.detector.model import build_pool

    names = [*(str(i) for i in range(len(STRIDES) - 1)), "pool"]
    maps = {
        name: torch.randn(1, CHANNELS, side // stride, side // stride, device=device)
        for name, stride in zip(names, STRIDES, strict=True)
    }
    boxes = [random_boxes(proposals, side).to(device)]

    def pool(count: int) -> torch.nn.Module:
        settings = replace(PRESETS["mobilenet"], channels=CHANNELS, transformers=count)
        return build_pool(settings, STRIDES).to(device)

    def inference(crops: torch.nn.Module) -> Work:
        def work() -> None:
            with torch.inference_mode():
                crops(maps, boxes, [(side, side)])

        return work

    def training(crops: torch.nn.Module) -> Work:
        leaves = {name: level.clone().requires_grad_() for name, level in maps.items()}
        gradient = torch.randn(proposals, CHANNELS, 7, 7, device=device)

        def work() -> None:
            for leaf in leaves.values():
                leaf.grad = None
            crops(leaves, boxes, [(side, side)]).backward(gradient)

        return work

    ours, theirs = pool(transformers), pool(0)
    return {
        "crop_inference": (inference(ours), inference(theirs)),
        "crop_training": (training(ours), training(theirs)),
    }


def random_boxes(count: int, side: int):
    """Boxes (count, 4) of people, 24 to 360 px high, spread over a square picture."""
    import torch

    height = 24 * 15 ** torch.rand(count)
    width = height * (0.3 + 0.4 * torch.rand(count))
    x, y = torch.rand(count) * (side - width), torch.rand(count) * (side - height)
    return torch.stack([x, y, x + width, y + height], dim=1)


def detector_pairs(device, transformers: int) -> dict[str, tuple[Work, Work]]:
    """The light preset: with transformers and without, by name."""
    import torch

    from upright.detector.model import build_detector

    settings = replace(PRESETS["light"], transformers=transformers)
    taught = replace(settings, teach=1.0, glance_size=7, glance_channels=96)  # as the any-angle weights
    models = []
    for one in (settings, taught, replace(taught, second_look="canonical"), replace(settings, transformers=0)):
        torch.manual_seed(0)  # the same backbone and proposals in all
        models.append(build_detector(one).to(device))
    # Both learn from the same crop of a picture, and look at the same whole one.
    crop = [torch.rand(3, settings.crop_height, settings.crop_width, device=device) for _ in range(2)]
    whole = [torch.rand(3, settings.training_side, settings.max_size, device=device)]
    targets = [
        {
            "boxes": random_boxes(8, settings.crop_height).to(device),
            "labels": torch.ones(8, dtype=torch.int64, device=device),
            "ignore": torch.zeros(8, dtype=torch.bool, device=device),
        }
        for _ in crop
    ]

    def inference(model: torch.nn.Module) -> Work:
        def work() -> None:
            model.eval()
            with torch.inference_mode():
                model(whole)

        return work

    def training(model: torch.nn.Module) -> Work:
        def work() -> None:
            model.train()
            model.zero_grad(set_to_none=True)
            sum(model(crop, targets).values()).backward()

        return work

    ours, telling, looking, theirs = models
    return {
        "detector_inference": (inference(ours), inference(theirs)),
        "taught_inference": (inference(telling), inference(theirs)),
        "second_look_inference": (inference(looking), inference(theirs)),
        "detector_training": (training(ours), training(theirs)),
    }
