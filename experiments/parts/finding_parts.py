"""Parallel spatial transformers that find parts (Jaderberg et al. 2015, section 4.3), on birds or on pedestrians.

    python experiments/parts/finding_parts.py --made runs/parts/pedestrians \\
        --document docs/experiments.md --figures docs/experiments.json
    python experiments/parts/finding_parts.py --root DIR --size 448 --steps 20000 --device cuda --output runs/birds
    python experiments/parts/finding_parts.py --made runs/quick/pedestrians --quick

--root reads CUB-200-2011 as distributed (DIR holds CUB_200_2011/, see birds.py). --made writes synthetic pedestrians in
the same layout first, whose class is what they wear and carry (see posed_pedestrians.py), and reads those.

Five networks are trained on the same pictures in the same order: a CNN that sees the whole picture, and 2 and 4 windows
of half its side, in their full resolution, that move (x ST) or stay where they start (fixed). Every training that is
done is kept in --output, and a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from upright.detector.weights import load_backbone
from upright.errors import InputError
from upright.experiments.harness import (
    add_arguments,
    command,
    in_turn,
    kept,
    minutes,
    parsed,
    positive,
    seeds,
    spread,
    write_figures,
)
from upright.experiments.parts import posed_pedestrians
from upright.experiments.parts.birds import PARTS, Birds, read_birds
from upright.experiments.parts.networks import SCALE, TILES, PartNetwork
from upright.experiments.training import cosine, fit
from upright.tools.command import run
from upright.tools.report import table, write_block

# Transformers, and whether they move.
NETWORKS = {"CNN": (0, False), "2 fixed": (2, False), "2 x ST": (2, True), "4 fixed": (4, False), "4 x ST": (4, True)}
PAPER = {"CNN": "82.3", "2 x ST": "83.1 (224 px), 83.9 (448 px)", "4 x ST": "84.1 (448 px)"}
WARMUP = 20  # steps
QUICK = {"steps": 20, "pictures": 96, "test_pictures": 48}
SHOWN = 6  # test pictures that are drawn
ROUNDS = 9  # of the timing, 2 of a quick run
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


@dataclass(frozen=True)
class Pictures:
    """Square pictures in memory.

    Attributes:
        images: uint8 (n, 3, side, side), RGB.
        labels: int64 (n,).
        boxes: (n, parts, 4), x1, y1, x2, y2 of `PARTS`, normalised; NaN where a part cannot be seen.
    """

    images: Tensor
    labels: Tensor
    boxes: Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, steps=2000, output="runs/parts")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--root", type=Path, metavar="DIR", help="where CUB_200_2011 lies")
    source.add_argument("--made", type=Path, metavar="DIR", help="write synthetic pedestrians there and use them")
    parser.add_argument("--pictures", type=positive, default=9600, metavar="N", help="of --made, to train on (9600)")
    parser.add_argument(
        "--test-pictures", type=positive, default=2400, metavar="N", help="of --made, to test on (2400)"
    )
    parser.add_argument("--size", type=positive, default=128, metavar="N", help="side of the pictures (default 128)")
    parser.add_argument("--batch", type=positive, default=16, metavar="N", help="(default 16)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, metavar="R", help="(default 0.001)")
    parser.add_argument(
        "--localisation-rate", type=float, default=0.5, metavar="R", help="of the learning rate (default 0.5)"
    )
    parser.add_argument(
        "--backbone-weights",
        default="default",
        metavar="FILE",
        help="MobileNetV2 with torchvision's names; default: torchvision's download; none: random weights",
    )
    arguments = parsed(parser, "parts", QUICK)
    if arguments.made:
        posed_pedestrians.write_pedestrians(arguments.made, arguments.pictures, arguments.test_pictures)
    birds = read_birds(arguments.made or arguments.root)
    backbone = load_backbone("mobilenet_v2", arguments.backbone_weights)
    train = load(birds, np.flatnonzero(birds.train), arguments.size, "pictures to train on", arguments.batch)
    test = load(birds, np.flatnonzero(~birds.train), arguments.size, "pictures to test on")

    def build(name: str) -> PartNetwork:
        return PartNetwork(backbone, len(birds.classes), *NETWORKS[name], arguments.size).to(arguments.device)

    conditions = {
        "data": "made" if arguments.made else "CUB-200-2011",
        "pictures": [len(train.labels), len(test.labels)],
        "size": arguments.size,
        "steps": arguments.steps,
        "batch": arguments.batch,
        "learning_rate": arguments.learning_rate,
        "localisation_rate": arguments.localisation_rate,
        "backbone_weights": Path(arguments.backbone_weights).name,
        "device": arguments.device,
    }

    def work(name: str, seed: int) -> dict[str, Any]:
        torch.manual_seed(seed)
        model = build(name)
        checkpoint = arguments.output / f"{stem(name, seed)}.checkpoint.pt"
        spent = fit_network(model, train, arguments, seed, checkpoint, conditions)
        predicted, theta = predict(model, test, arguments.device)
        result = spent | {"accuracy": 100 * (predicted == test.labels).double().mean().item()}
        if arguments.made:
            result["attributes"] = posed_pedestrians.attributes_right(predicted.numpy(), test.labels.numpy())
        if theta is not None:
            result["theta"] = theta.double().numpy().round(5).tolist()
        return result

    results: dict[str, list[dict[str, Any]]] = {name: [] for name in NETWORKS}
    # Seeds outside, networks inside: a run that is cut short has compared all of them.
    for seed in range(arguments.seeds):
        for name in NETWORKS:
            file = arguments.output / f"{stem(name, seed)}.json"
            results[name].append(kept(file, conditions, partial(work, name, seed)))
    times = kept(
        arguments.output / "times.json",
        conditions,
        lambda: time_networks({name: build(name) for name in NETWORKS}, train, arguments),
    )

    windows = {
        name: [look(torch.tensor(result["theta"]), test.boxes) for result in runs]
        for name, runs in results.items()
        if NETWORKS[name][0]
    }
    lines = report(results, windows, times, conditions)
    print("\n".join(lines))
    if arguments.document:
        folder = arguments.document.parent / "pictures"
        shown = {name: results[name][0]["theta"][:SHOWN] for name, (_, moves) in NETWORKS.items() if moves}
        draw_windows(folder / "parts_windows.png", test.images[:SHOWN], shown)
        draw_classes(folder / "parts_classes.png", test.images, test.labels, birds.classes)
        write_block(arguments.document, "parts", lines)
    if arguments.figures:
        write_figures(arguments.figures, "parts", figures(results, windows, times, conditions))


def stem(name: str, seed: int) -> str:
    """Of the files of a training."""
    return f"{name.replace(' ', '-')}-{seed}"


def load(birds: Birds, indices: np.ndarray, side: int, words: str, least: int = 1) -> Pictures:
    """Pictures of a split, made square.

    Raises:
        InputError: there are fewer than `least`.
    """
    if len(indices) < least:
        raise InputError(f"{birds.folder}: {len(indices)} {words}, at least {least} are needed; use more pictures")
    images, boxes = zip(*(birds.square(int(i), side) for i in tqdm(indices, desc=words)), strict=True)
    return Pictures(
        images=torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
        labels=torch.from_numpy(birds.labels[indices]),
        boxes=torch.from_numpy(np.stack(boxes)).float(),
    )


def normalised(images: Tensor, device: str) -> Tensor:
    """Images (n, 3, h, w) uint8 as ImageNet's networks take them."""
    mean, deviation = (torch.tensor(v, device=device).view(3, 1, 1) for v in (MEAN, DEVIATION))
    return (images.to(device).float() / 255 - mean) / deviation


def batch_loss(model: nn.Module, pictures: Pictures, seed: int, step: int, batch: int, device: str) -> Tensor:
    """Cross-entropy of a batch that follows from seed and step, each picture mirrored or not."""
    rng = np.random.default_rng([seed, step])
    chosen = torch.from_numpy(rng.choice(len(pictures.labels), batch, replace=False))
    mirrored = torch.from_numpy(rng.random(batch) < 0.5)
    images = pictures.images[chosen]
    images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)
    scores, _ = model(normalised(images, device))
    return functional.cross_entropy(scores, pictures.labels[chosen].to(device))


def make_optimizer(model: PartNetwork, arguments: argparse.Namespace) -> torch.optim.Optimizer:
    groups = model.groups(arguments.learning_rate, arguments.localisation_rate)
    return torch.optim.AdamW(groups, weight_decay=0.01)


def fit_network(
    model: PartNetwork,
    train: Pictures,
    arguments: argparse.Namespace,
    seed: int,
    checkpoint: Path,
    conditions: dict[str, Any],
) -> dict[str, float]:
    """Train a network to its last step; the seconds of `fit`."""
    return fit(
        model,
        lambda step: batch_loss(model, train, seed, step, arguments.batch, arguments.device),
        make_optimizer(model, arguments),
        arguments.steps,
        rate=lambda step: cosine(step, arguments.steps, WARMUP),
        checkpoint=checkpoint,
        conditions=conditions,
        words=checkpoint.name.partition(".")[0],
    )


@torch.inference_mode()
def predict(model: PartNetwork, pictures: Pictures, device: str) -> tuple[Tensor, Tensor | None]:
    """The class (n,) of each picture and, where there are windows, theta (n, N, 3)."""
    model.eval()
    classes, thetas = [], []
    for images in pictures.images.split(100):
        scores, theta = model(normalised(images, device))
        classes.append(scores.argmax(1).cpu())
        if theta is not None:
            thetas.append(theta.cpu())
    return torch.cat(classes), torch.cat(thetas) if thetas else None


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


def time_networks(models: dict[str, PartNetwork], train: Pictures, arguments: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of a training step and of inference for a batch, medians; the networks take turns."""
    optimizers = {name: make_optimizer(model, arguments) for name, model in models.items()}
    images = normalised(train.images[: arguments.batch], arguments.device)

    def step(name: str) -> None:
        loss = batch_loss(models[name].train(), train, 0, 0, arguments.batch, arguments.device)
        optimizers[name].zero_grad(set_to_none=True)
        loss.backward()
        optimizers[name].step()

    @torch.inference_mode()
    def infer(name: str) -> None:
        models[name].eval()(images)

    rounds = 2 if arguments.quick else ROUNDS
    result = {}
    for what, work in (("step", step), ("inference", infer)):
        seconds = in_turn({name: partial(work, name) for name in models}, rounds, arguments.device)
        result[what] = {name: 1000 * value for name, value in seconds.items()}
    return result


def report(
    results: dict[str, list[dict[str, Any]]],
    windows: dict[str, list[dict[str, list]]],
    times: dict[str, Any],
    conditions: dict[str, Any],
) -> list[str]:
    """What networks classify, means over the seeds; where windows look, seed by seed: they part differently."""
    made = conditions["data"] == "made"
    attributes = posed_pedestrians.ATTRIBUTES if made else ()
    rows, window_rows = [], []
    for name, runs in results.items():
        right = np.mean([r["attributes"] for r in runs], axis=0) if made else []
        ratios = [times[kind][name] / times[kind]["CNN"] for kind in ("step", "inference")]
        rows.append(
            [
                name,
                spread([r["accuracy"] for r in runs]),
                PAPER.get(name, ""),
                *(f"{100 * share:.1f}" for share in right),
                *(f"{ratio:.2f}" for ratio in ratios),
                minutes(runs),
            ]
        )
        for k in range(NETWORKS[name][0]):
            # Windows that stay where they are look at the same for every seed.
            looked = windows[name] if NETWORKS[name][1] else windows[name][:1]
            window_rows.append(
                [
                    f"{name}, {k + 1}",
                    "({:g}, {:g})".format(*TILES[NETWORKS[name][0]][k]),
                    *(" / ".join(f"{r['overlap'][k][part]:.2f}" for r in looked) for part in range(len(PARTS))),
                    " / ".join(r["part"][k] for r in looked),
                    " / ".join(f"{100 * r['stays'][k]:.0f}" for r in looked),
                    " / ".join(f"{r['deviation'][k]:.2f}" for r in looked),
                    " / ".join(f"{r['follows'][k]:.2f}" for r in looked),
                ]
            )
    train, test = conditions["pictures"]
    side, what = conditions["size"], "synthetic pedestrians" if made else "pictures of CUB-200-2011"
    head = ["network", "accuracy, %", "paper (birds)", *attributes, "step, times", "inference, times", "minutes"]
    heading = ["window", "starts at (x, y)", *PARTS, "nearest part", "stays on it, %", "deviation", "follows"]
    return [
        command(),
        "",
        f"{train} {what} to train on, {test} to test, {side} px, crops of {side // 2} px; {conditions['steps']} steps "
        f"of {conditions['batch']}, {seeds(results.values())}.",
        f"Minutes are the processor's, of a training. Times are those of the CNN's {times['step']['CNN']:.0f} ms a "
        f"step and {times['inference']['CNN']:.0f} ms a batch at inference, the processor's too on a CPU.",
        "",
        *table(head, rows),
        "",
        "Share of the part's box that lies in the window (mean over the test pictures), the part that is nearest to "
        "the window's centre in most pictures, in how many it is, the standard deviation of the centre between "
        "pictures (the picture is 2 wide), and how far to the side the centre goes where the torso's goes by 1 (0 is a "
        "fixed crop, 1 keeps the person in its place), one seed / the next:",
        "",
        *table(heading, window_rows),
        "",
        "![Windows of the transformers on test pictures](pictures/parts_windows.png)",
        "",
        "![A picture of each of the first classes](pictures/parts_classes.png)",
    ]


def figures(
    results: dict[str, list[dict[str, Any]]],
    windows: dict[str, list[dict[str, list]]],
    times: dict[str, Any],
    conditions: dict[str, Any],
) -> dict[str, Any]:
    """The entry of docs/experiments.json, a value a seed."""
    entry: dict[str, Any] = {"data": conditions["data"]}
    entry |= {name: [round(r["accuracy"], 2) for r in runs] for name, runs in results.items()}
    for kind in ("step", "inference"):
        entry[f"{kind}_ratio"] = {name: round(times[kind][name] / times[kind]["CNN"], 3) for name in windows}
    said = {"stays": "stays_on_part", "deviation": "theta_deviation", "follows": "follows_torso", "overlap": "overlap"}
    for key, words in said.items():
        entry[words] = {name: [np.round(one[key], 4).tolist() for one in runs] for name, runs in windows.items()}
    entry["part"] = {name: [one["part"] for one in runs] for name, runs in windows.items()}
    return entry


if __name__ == "__main__":
    run(main)
