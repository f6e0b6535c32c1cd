"""Pictures of what spatial transformers read from pictures of digits, for documents."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import torch
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor

from upright.detector.spatial_transformer import Affine, Transformation, sample, sampling_grid
from upright.experiments.digits.networks import Network
from upright.output import whole_file

BLUE = "#4c9be8"
SCALE = 2  # of the animation


@torch.inference_mode()
def before_and_after(shown: dict[str, tuple[Network, Tensor]], file: Path) -> None:
    """Pictures above what the transformer reads from them, two rows a distortion, with the outline of what is read.

    Args:
        shown: by the words at the left, a network with one transformer and pictures (N, 1, H, W) in 0..1.
        file: PNG to write.
    """
    count = max(len(pictures) for _, pictures in shown.values())
    figure, axes = pyplot.subplots(2 * len(shown), count, figsize=(count * 0.8, len(shown) * 1.75), squeeze=False)
    for pair, (words, (network, pictures)) in zip(axes.reshape(-1, 2, count), shown.items(), strict=True):
        V, theta = network.transformer(pictures, return_theta=True)
        outlines = outline(network, theta[:, 0], pictures.shape[-1])
        for index, (above, below) in enumerate(pair.T):
            show(above, pictures[index, 0])
            above.plot(*outlines[index].T.numpy(), color=BLUE, linewidth=1.2)
            show(below, V[index, 0])
        label(pair[0, 0], words)
        label(pair[1, 0], "read")
    finish(figure, file)


@torch.inference_mode()
def channels_and_reads(network: Network, pictures: Tensor, file: Path) -> None:
    """The two channels of pictures, one in red and one in green, above what each transformer reads from both.

    Args:
        network: with N transformers in parallel.
        pictures: (B, 2, H, W) in 0..1.
        file: PNG to write.
    """
    V = network.transformer(pictures).unflatten(1, (-1, 2))  # (B, N, 2, h, w)
    count, transformers = V.shape[:2]
    figure, axes = pyplot.subplots(1 + transformers, count, figsize=(count * 0.8, (1 + transformers) * 0.82))
    for index in range(count):
        for row, channels in enumerate([pictures[index], *V[index]]):
            show(axes[row, index], torch.stack([channels[0], channels[1], 0 * channels[0]], dim=-1))
    for row, words in enumerate(["picture", *[f"transformer {number + 1}" for number in range(transformers)]]):
        label(axes[row, 0], words)
    finish(figure, file)


def finish(figure: Figure, file: Path) -> None:
    figure.subplots_adjust(left=0.13, right=0.99, bottom=0.01, top=0.99, wspace=0.06, hspace=0.06)
    with whole_file(file) as temporary:
        figure.savefig(temporary, dpi=80)
    pyplot.close(figure)


def outline(network: Network, theta: Tensor, side: int) -> Tensor:
    """Source points (B, P, 2), pixels of a picture of `side`, of the edge of the square that is read."""
    along = torch.linspace(-1, 1, 21)
    edge = torch.ones_like(along)
    sides = [(along, -edge), (edge, along), (-along, edge), (-edge, -along)]
    square = torch.cat([torch.stack(points, dim=-1) for points in sides])
    transformation = network.transformer.transformation
    assert isinstance(transformation, Transformation)
    return (transformation.warp(theta, square) + 1) * side / 2 - 0.5


def show(axes: Axes, picture: Tensor) -> None:
    """A picture (H, W), or (H, W, 3), in 0..1; lines beyond it are cut."""
    height, width = picture.shape[:2]
    axes.imshow(picture.clamp(0, 1).numpy(), cmap="gray", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[], xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def label(axes: Axes, words: str) -> None:
    axes.set_ylabel(words, rotation=0, ha="right", va="center", fontsize=9, labelpad=6)


@torch.inference_mode()
def turning(network: Network, pictures: Tensor, file: Path, frames: int = 16) -> None:
    """Digits that turn from -90 to 90 degrees and back, above what the transformer reads from them, as a GIF.

    Args:
        network: with one transformer.
        pictures: (N, 1, H, W) in 0..1, upright.
        file: GIF to write.
        frames: of one way.
    """
    affine = Affine()
    drawn = []
    for angle in np.pi / 2 * np.sin(np.linspace(-np.pi / 2, np.pi / 2, frames)):
        cosine, sine = np.cos(angle), np.sin(angle)
        theta = torch.tensor([[cosine, -sine, 0, sine, cosine, 0]], dtype=torch.float32).repeat(len(pictures), 1)
        grid = sampling_grid(affine, theta, (pictures.shape[-2], pictures.shape[-1]))
        turned = sample(pictures, grid, padding="zeros")
        rows = [torch.cat(list(row[:, 0]), dim=1) for row in (turned, network.transformer(turned))]
        drawn.append(frame(torch.cat(rows), pictures.shape[-1]))
    with whole_file(file) as temporary:
        back = drawn[-2:0:-1]
        drawn[0].save(temporary, save_all=True, append_images=drawn[1:] + back, duration=110, loop=0, optimize=True)


def frame(rows: Tensor, side: int) -> Image.Image:
    """Two rows of pictures (2 side, N side), enlarged, in 8 grey levels, with words at the left."""
    grey = Image.fromarray((rows.clamp(0, 1) * 255).byte().numpy())
    grey = grey.resize((grey.width * SCALE, grey.height * SCALE), Image.Resampling.BICUBIC)
    margin = 64
    canvas = Image.new("L", (grey.width + margin, grey.height + 4), 255)
    height = side * SCALE
    canvas.paste(grey.crop((0, 0, grey.width, height)), (margin, 0))
    canvas.paste(grey.crop((0, height, grey.width, 2 * height)), (margin, height + 4))
    draw = ImageDraw.Draw(canvas)
    for row, words in enumerate(("picture", "read")):
        draw.text((margin - 6, row * (height + 4) + height / 2), words, fill=0, anchor="rm")
    return canvas.quantize(8)
