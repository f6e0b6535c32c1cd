"""Weights files: settings and tensors in one safetensors file, which can never run code; backbone weights."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from upright.detector.backbone import imagenet_network
from upright.detector.exported_file import is_exported
from upright.detector.model import Detector, build_detector
from upright.detector.settings import Settings
from upright.detector.shufflenet import Learnt
from upright.errors import InputError
from upright.output import whole_file

# Names of tensors in files that were written before they had the names of today.
RENAMED = {
    f"roi_heads.box_roi_pool.localisation.2.{name}": f"roi_heads.box_roi_pool.localisation.2.linear.{name}"
    for name in ("weight", "bias")
}

RELEASED = Path(__file__).parents[1] / "weights" / "upright-light.safetensors"

FIRST_STAGE = ("backbone.", "rpn.")
REGION_HEADS = "roi_heads."  # names of their tensors start with it
SECOND_LOOK = "roi_heads.second_look.stages."


def save_weights(path: str | Path, model: Detector, provenance: dict[str, Any], *, half: bool = False) -> None:
    """Write a weights file, under a temporary name first.

    Args:
        path: of the file.
        model: its settings and tensors are stored.
        provenance: how it came about (command, data, figures), stored beside the settings.
        half: store floating point tensors as float16, half the size.
    """
    tensors = {
        name: (value.half() if half and value.is_floating_point() else value).contiguous().cpu()
        for name, value in model.state_dict().items()
    }
    _save(Path(path), tensors, model.settings, provenance)


def save_with_settings(path: str | Path, source: str | Path, settings: Settings, provenance: dict[str, Any]) -> None:
    """Write the tensors of the weights file `source`, as they are stored, with other settings and provenance.

    Raises:
        InputError: `source` cannot be used, or `path` cannot be written.
    """
    _save(Path(path), _read(Path(source))[0], settings, provenance)


def _save(path: Path, tensors: dict[str, Tensor], settings: Settings, provenance: dict[str, Any]) -> None:
    metadata = {"settings": json.dumps({**json.loads(settings.to_json()), "provenance": provenance})}
    with whole_file(path) as temporary:
        # Written by Python, which names the reason where the disk is full.
        temporary.write_bytes(save(tensors, metadata=metadata))


def read_metadata(path: str | Path) -> tuple[Settings, dict[str, Any]]:
    """Settings and provenance of a weights file.

    Raises:
        InputError: the file is missing, cut off, no safetensors file, or none of Upright's.
    """
    return _read(Path(path))[1:]


def _read(path: Path) -> tuple[dict[str, Tensor], Settings, dict[str, Any]]:
    if path.is_dir():
        raise InputError(f"the weights {path} are a folder: give a .safetensors file")
    if is_exported(path):
        raise InputError(f"{path} is an exported detector, which holds no weights to load: give a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        tensors = {RENAMED.get(name, name): value for name, value in load_file(path).items()}
    except FileNotFoundError:
        raise InputError(
            f"the weights {path} do not exist: check the path, or train some with tools/train.py"
        ) from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"the weights {path} cannot be read ({error}): fetch the file again") from None
    if "settings" not in metadata:
        raise InputError(f"{path} holds no settings of a detector: use a file that tools/train.py wrote")
    try:
        values = json.loads(metadata["settings"])
        provenance = values.pop("provenance", {})
        return tensors, Settings.from_dict(values), provenance
    except InputError as error:
        raise InputError(f"the settings inside {path} cannot be used: {error}") from None
    except (ValueError, TypeError, AttributeError):
        raise InputError(f"the settings inside {path} are damaged: fetch the file again") from None


def load_detector(path: str | Path | None = None, device: str | torch.device = "cpu") -> Detector:
    """A detector ready for inference.

    Args:
        path: a weights file; the released weights by default.
        device: where it is to run.

    Raises:
        InputError: the file cannot be used, or its tensors do not fit its settings.
    """
    path = RELEASED if path is None else Path(path)
    tensors, settings, _ = _read(path)
    try:
        model = build_detector(settings)
    # Numbers that no network can be built of, or none that the memory holds.
    except (RuntimeError, ValueError, TypeError, OverflowError, MemoryError, InputError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"the settings inside {path} cannot be used ({reason}): fetch the file again") from None
    _fill(model, tensors, path)
    return model.to(device).eval()


def start_from(model: Detector, path: str | Path) -> None:
    """Fill a detector with the tensors of a weights file, to train it on.

    Of the region heads what is built otherwise, other transformers say, starts anew, and stderr says so. A second look
    that is new starts as a copy of the backbone's first stages.

    Raises:
        InputError: the file cannot be used, or its first stage is another.
    """
    tensors, settings, _ = _read(Path(path))
    if settings.backbone != model.settings.backbone:
        raise InputError(
            f"{path} does not fit the detector: its backbone is {settings.backbone}, not {model.settings.backbone}; "
            "use weights of the same preset"
        )
    own = model.state_dict()
    anew: set[str] = set()  # names of tensors that stay as they were built
    differing = {name for name in own.keys() | tensors.keys() if not same_shape(own.get(name), tensors.get(name))}
    if differing and all(name.startswith(REGION_HEADS) for name in differing):
        copied = {} if any(SECOND_LOOK in name for name in tensors) else second_look_start(model, tensors)
        anew = (differing & own.keys()) - copied.keys()
        if anew:
            named = ", ".join(sorted({".".join(name.split(".")[1:3]) for name in anew}))
            print(f"{path}: built otherwise there, so started anew: {named}", file=sys.stderr)
        tensors = {name: copied.get(name, own[name]) if name in differing else tensors[name] for name in own}
    _fill(model, tensors, Path(path))
    parts = [model.backbone, model.rpn]
    if not any(SECOND_LOOK in name for name in anew):
        parts.append(model.roi_heads.second_look)
    for part in parts:
        if isinstance(part, Learnt):
            part.keep_learnt()


def second_look_start(model: Detector, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a detector's second look, by name, as far as `tensors` of a first stage have them."""
    names = [name for name in model.state_dict() if name.startswith(SECOND_LOOK)]
    sources = {name: name.replace(SECOND_LOOK, "backbone.backbone.") for name in names}
    return {name: tensors[source] for name, source in sources.items() if source in tensors}


def same_shape(first: Tensor | None, second: Tensor | None) -> bool:
    """Whether both tensors are there, and of one shape."""
    return first is not None and second is not None and first.shape == second.shape


def _fill(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    expected = model.state_dict()
    wrong = sorted(expected.keys() ^ tensors.keys())
    wrong += sorted(n for n in expected.keys() & tensors.keys() if expected[n].shape != tensors[n].shape)
    if wrong:
        raise InputError(
            f"{path} does not fit the detector: {len(wrong)} tensors differ, the first is {wrong[0]}; "
            "use weights of the same preset, transformers and transformation"
        )
    broken = sorted(name for name, value in tensors.items() if not value.isfinite().all())
    if broken:
        raise InputError(f"{path} holds numbers that are not finite, first in {broken[0]}: use another file")
    model.load_state_dict(tensors)


def load_backbone(name: str, source: str) -> nn.Module:
    """torchvision's classifier to take the backbone from.

    Args:
        name: "mobilenet_v2" or "resnet50".
        source: "default" (torchvision's own download), "none" (random), or a .safetensors or .pth file with
            torchvision's names; what a file lacks after the last feature layer is not needed.

    Raises:
        InputError: no network and no file, or a file that does not fit.
    """
    network = imagenet_network(name)
    if source == "none":
        return network
    tensors = _download(name) if source == "default" else _read_tensors(Path(source))
    classifier = ("classifier.", "fc.")
    missing = [
        key
        for key, value in network.state_dict().items()
        if not key.startswith(classifier)
        and not key.endswith("num_batches_tracked")
        and (key not in tensors or tensors[key].shape != value.shape)
    ]
    if missing:
        raise InputError(
            f"the backbone weights {source} do not fit {name}: {len(missing)} tensors are missing or of another "
            f"shape, the first is {missing[0]}; pass a file with torchvision's names"
        )
    network.load_state_dict({k: v.float() for k, v in tensors.items() if not k.startswith(classifier)}, strict=False)
    return network


def fill_first_stage(model: Detector, sources: Sequence[str]) -> None:
    """Fill backbone, pyramid and dense proposals with what they have learnt elsewhere, a second look with the same.

    Args:
        model: of the backbone "shufflenet_v2".
        sources: ["none"], random weights stay; ["default"], the released detector's; or one or more files whose
            tensors together are named `backbone.*`, `pyramid.*` and, where they are to fill dense proposals, `head.*`
            with the classes of COCO (NanoDet-Plus-m's, for images in the order B, G, R).

    Raises:
        InputError: tensors are missing, too many, or of another shape.
    """
    if list(sources) == ["none"]:
        return
    named = " ".join(sources)
    if list(sources) == ["default"]:
        tensors, settings, _ = _read(RELEASED)
        if settings.backbone != model.settings.backbone:
            raise InputError(f"the released weights have another backbone, {settings.backbone}: pass a file or none")
        own = {name: value for name, value in tensors.items() if name.startswith(FIRST_STAGE)}
        if model.settings.proposals != settings.proposals:
            own = {name: value for name, value in own.items() if name.startswith("backbone.")}
    else:
        own = _from_coco({name: value for source in sources for name, value in _read_tensors(Path(source)).items()})
    expected = {name: value for name, value in model.state_dict().items() if name.startswith("backbone.")}
    if any(name.startswith("rpn.") for name in own):
        expected |= {name: value for name, value in model.state_dict().items() if name.startswith("rpn.")}
    missing, foreign = sorted(expected.keys() - own.keys()), sorted(own.keys() - expected.keys())
    shaped = sorted(n for n in expected.keys() & own.keys() if expected[n].shape != own[n].shape)
    broken = sorted(name for name, value in own.items() if not value.isfinite().all())
    for names, fault in (
        (missing, "lack"),
        (foreign, "have, but should not,"),
        (shaped, "have in another shape"),
        (broken, "have with numbers that are not finite"),
    ):
        if names:
            raise InputError(
                f"the first stage's weights {named} {fault} {len(names)} tensors, the first is {names[0]}: "
                "pass the files of NanoDet-Plus-m, see weights/README.md"
            )
    own |= second_look_start(model, own)
    model.load_state_dict(own, strict=False)
    for part, name in (
        (model.backbone, "backbone."),
        (model.rpn, "rpn."),
        (model.roi_heads.second_look, SECOND_LOOK),
    ):
        if isinstance(part, Learnt) and any(key.startswith(name) for key in own):
            part.keep_learnt()


def average_first_stages(models: Sequence[Detector], shares: Sequence[float]) -> None:
    """Give the first of the detectors the weighted mean of all backbones, pyramids and proposals.

    Args:
        models: of one kind.
        shares: one for each, in all 1.

    Raises:
        InputError: the detectors are of several kinds.
    """
    states = [model.state_dict() for model in models]
    names = [name for name in states[0] if name.startswith(FIRST_STAGE)]
    if any(not same_shape(states[0][name], state.get(name)) for name in names for state in states):
        raise InputError("the first stages differ in kind: average weights of one preset")
    mean = {
        name: sum(share * state[name] for share, state in zip(shares, states, strict=True))
        for name in names
        if states[0][name].is_floating_point()
    }
    models[0].load_state_dict(mean, strict=False)


def _from_coco(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """NanoDet-Plus-m's tensors by the names of a detector, for images R, G, B and people alone."""
    classes = 80
    own = {}
    for name, value in tensors.items():
        # A tensor of another shape than theirs is left as it is, for the check of the shapes to find.
        if name == "backbone.conv1.0.weight" and value.ndim == 4:
            value = value.flip(1)
        if ".predict." in name and value.ndim and len(value) > classes:
            value = torch.cat([value[:1], value[classes:]])  # the person is the first class
        own[f"rpn.{name}" if name.startswith("head.") else f"backbone.{name}"] = value.float()
    return own


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"the backbone weights {path} do not exist: check --backbone-weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises whatever it likes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "weights_only" in reason:  # torch's advice is to run whatever code is in there
            reason = "damaged, or more than tensors is in it"
        raise InputError(f"the backbone weights {path} cannot be read ({reason}): pass a state dict") from None
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise InputError(f"the backbone weights {path} hold no state dict of tensors: save `model.state_dict()`")
    return tensors


def _download(name: str) -> dict[str, Tensor]:
    from torchvision.models import get_model_weights

    print(f"fetching torchvision's ImageNet weights of {name}", file=sys.stderr)
    try:
        return get_model_weights(name).DEFAULT.get_state_dict(progress=True)
    except OSError as error:
        raise InputError(
            f"the ImageNet weights of {name} cannot be fetched ({error}): pass a file with --backbone-weights FILE, "
            "or --backbone-weights none to start from random weights"
        ) from None
