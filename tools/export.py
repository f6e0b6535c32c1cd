"""Export the whole detector as one file that other programs run: from a picture's bytes to its detections.

    python tools/export.py --output upright.onnx
    python tools/export.py runs/mine/best.safetensors --output mine.onnx --batch
    python tools/export.py --format openvino --output upright.xml
    python tools/export.py --format openvino --precision int8 --calibration photos/ --output upright-int8.xml

Input `image`, uint8 (height, width, 3), RGB, both sides free. Outputs `boxes` (n, 4), x1 y1 x2 y2 in pixels, and
`scores` (n,), falling; of weights that tell how people stand also `lean` (n,), `whole` (n, 4, 2), `parts` (n, 3, 4, 2)
and `seen` (n, 3). With --batch (batch, height, width, 3), and outputs (batch, n, ...) where a score of 0 is nobody.
Resizing, normalisation, suppression and calibration are inside; settings, threshold and licence in the metadata.
In int8 the heavy layers compute in 8 bits, within ranges of values that pictures give (nobody need be marked in them);
`tools/evaluate.py --weights upright-int8.xml` tells what that costs. It needs the extra `int8` and runs on OpenVINO.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from upright.datasets.pictures import spread_pictures
from upright.errors import InputError
from upright.tools.command import run

SUFFIX = {"onnx": ".onnx", "openvino": ".xml"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", help="a weights file (default: the released ones)")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("--format", choices=SUFFIX, default="onnx", help="default: onnx")
    parser.add_argument(
        "--precision", choices=("float32", "int8"), default="float32", help="of what is heavy (default: %(default)s)"
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FOLDER",
        help="int8: pictures such as it will see, but none of a test",
    )
    parser.add_argument(
        "--calibration-pictures",
        type=int,
        default=128,
        metavar="N",
        help="int8: how many of them (%(default)s)",
    )
    parser.add_argument("--batch", action="store_true", help="several pictures of one size a call")
    parser.add_argument("--licence", metavar="TEXT", help="of the weights, for the metadata")
    arguments = parser.parse_args()
    suffix = SUFFIX[arguments.format]
    if arguments.output.suffix != suffix:
        raise InputError(f"--output {arguments.output}: {arguments.format}'s files end with {suffix}")
    pictures = pictures_to_quantise_by(arguments)

    from upright.detector.export import LICENCE, export_onnx, export_openvino
    from upright.detector.weights import RELEASED, load_detector, read_metadata

    weights = arguments.weights or RELEASED
    model, (_, provenance) = load_detector(weights), read_metadata(weights)
    with tempfile.TemporaryDirectory() as folder:
        file = arguments.output if arguments.format == "onnx" else Path(folder) / "detector.onnx"
        export_onnx(file, model, provenance, batch=arguments.batch, licence=arguments.licence or LICENCE)
        if arguments.format == "openvino":
            export_openvino(arguments.output, file, pictures=pictures)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB")


def pictures_to_quantise_by(arguments: argparse.Namespace) -> list[Path]:
    """Those of --calibration; none for float32.

    Raises:
        InputError: flags that do not belong together, or no pictures.
    """
    if arguments.precision == "float32":
        if arguments.calibration:
            raise InputError(f"--calibration {arguments.calibration} is for int8: add --precision int8")
        return []
    if arguments.format != "openvino":
        raise InputError("--precision int8 is written for OpenVINO alone: add --format openvino")
    if arguments.batch:
        raise InputError("--precision int8 is for one picture a call: leave --batch out")
    if arguments.calibration is None:
        raise InputError("--precision int8 takes ranges of values from pictures: add --calibration FOLDER")
    if arguments.calibration_pictures < 1:
        raise InputError(f"--calibration-pictures {arguments.calibration_pictures}: use 1 or more")
    import upright.detector.quantisation  # noqa: F401  # before any work: NNCF may not be installed

    return spread_pictures(arguments.calibration, arguments.calibration_pictures)


if __name__ == "__main__":
    run(main)
