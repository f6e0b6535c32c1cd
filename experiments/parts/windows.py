"""Where windows look, measured against the boxes of the parts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from upright.experiments.parts.birds import PARTS
from upright.experiments.parts.networks import SCALE


def look(theta: Tensor, boxes: Tensor) -> dict[str, list]:
    """Where N windows look.

    Args:
        theta: (n, N, 3), of `Attention`.
        boxes: (n, parts, 4), x1, y1, x2, y2, NaN where a part cannot be seen.

    Returns:
        overlap: (N, parts), share in 0..1 of a part's box that lies in the window, mean over the pictures.
        part: (N,), the part whose box has its centre nearest to the window's in most pictures.
        stays: (N,), in which share of the pictures that is so.
        deviation: (N,), standard deviation between pictures of the window's centre, mean of x and y, normalised
            (the picture is 2 wide): 0 is a fixed crop.
        follows: (N,), how far to the side the window's centre goes where the torso's goes by 1, by least squares over
            the pictures in which it is seen: 0 is a fixed crop, 1 keeps the person in its place.
    """
    centre = theta[:, :, None, 1:]  # (n, N, 1, 2)
    low, high = boxes[:, None, :, :2], boxes[:, None, :, 2:]  # (n, 1, parts, 2)
    inside = (torch.minimum(high, centre + SCALE) - torch.maximum(low, centre - SCALE)).clamp(min=0)
    overlap = inside.prod(-1) / (high - low).prod(-1)
    distance = ((low + high) / 2 - centre).norm(dim=-1).nan_to_num(nan=torch.inf)  # (n, N, parts)
    seen = distance.isfinite().any(-1)[:, 0]
    nearest = functional.one_hot(distance[seen].argmin(-1), boxes.shape[1]).float().mean(0)  # (N, parts)
    names = list(PARTS)
    torso = boxes[:, names.index("torso"), ::2].mean(1)  # x (n,), NaN where it cannot be seen
    known = ~torso.isnan()
    aside = torso[known] - torso[known].mean()
    x = theta[known][..., 1]
    follows = aside @ (x - x.mean(0)) / aside.square().sum()  # exactly 0 where a window stays
    return {
        "overlap": overlap.nanmean(0).tolist(),
        "part": [names[k] for k in nearest.argmax(-1).tolist()],
        "stays": nearest.amax(-1).tolist(),
        "deviation": theta[..., 1:].std(0, correction=0).mean(-1).tolist(),
        "follows": follows.tolist(),
    }
