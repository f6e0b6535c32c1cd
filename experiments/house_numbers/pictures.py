"""Pictures of what spatial transformers read from house numbers, for documents."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from upright.detector.spatial_transformer import SpatialTransformer, sample
from upright.experiments.house_numbers.crops import Crops
from upright.output import whole_file

# Numbers in a picture, of how many, and the side of each in pixels.
SHOWN, LOOKED_AT, CELL = 8, 500, 128
# The networks that are drawn, and the colour of what each one's first transformer reads.
OUTLINES = {"ST single": (230, 60, 30), "ST multi": (30, 90, 230)}


def first_transformer(network: nn.Sequential) -> SpatialTransformer:
    transformer = network[0]
    assert isinstance(transformer, SpatialTransformer)
    return transformer


@torch.inference_mode()
def crops_and_reads(networks: dict[str, nn.Sequential], test: Crops, device: str, file: Path) -> None:
    """The numbers that ST single changes most, with outlines, above what each first transformer makes of them.

    Args:
        networks: by the names of `OUTLINES`, for inference, on the device; each begins with a transformer.
        test: crops; of the first `LOOKED_AT` some are chosen.
        device: of the networks.
        file: PNG to write.
    """
    transformers = {name: first_transformer(network) for name, network in networks.items()}
    thetas = {
        name: torch.cat([transformer.localisation(pictures) for pictures, _ in test.batches(LOOKED_AT, device)])
        for name, transformer in transformers.items()
    }
    identity = transformers["ST single"].transformation.identity().to(device)
    chosen = (thetas["ST single"] - identity).norm(dim=1).argsort(descending=True)[:SHOWN].cpu()
    shown = torch.from_numpy(test.pictures[chosen.numpy()]).to(device).permute(0, 3, 1, 2).float()
    corners = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]], device=device)
    crops = cells(shown)
    rows = {"crop": crops}
    for name, colour in OUTLINES.items():
        theta = thetas[name][chosen]
        rows[name] = cells(sample(shown, transformers[name].grid(shown, theta)))
        outlines = (transformers[name].transformation.warp(theta, corners) + 1) * (CELL / 2)
        for crop, outline in zip(crops, outlines.round().int().cpu().numpy(), strict=True):
            cv2.polylines(crop, [outline], True, colour, 2, cv2.LINE_AA)
    lines = []
    for name, row in rows.items():
        line = np.hstack([np.pad(cell, ((2, 2), (2, 2), (0, 0)), constant_values=255) for cell in row])
        title = np.full((len(line), 110, 3), 255, np.uint8)
        position = (4, len(line) // 2 + 6)
        cv2.putText(title, name, position, cv2.FONT_HERSHEY_SIMPLEX, 0.6, OUTLINES.get(name, (0, 0, 0)), 1, cv2.LINE_AA)
        lines.append(np.hstack([title, line]))
    with whole_file(file) as temporary:
        cv2.imwrite(str(temporary), cv2.cvtColor(np.vstack(lines), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])


def cells(pictures: Tensor) -> list[np.ndarray]:
    """Pictures (B, 3, S, S) of 0 to 255 as uint8 (CELL, CELL, 3) each."""
    arrays = pictures.round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [cv2.resize(array, (CELL, CELL), interpolation=cv2.INTER_NEAREST) for array in arrays]
