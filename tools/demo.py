"""What `make demo` runs: the released weights on a rendered street, from pictures and video to the miss rate.

    python tools/demo.py

Nothing is downloaded. Everything lands in runs/demo/: the rendered video, the annotated one with its
detections.json, a sheet of proposals with their canonical crops, the miss rates and their plot.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np

from upright.tools.command import run

TOOLS = Path(__file__).parent
STRIPS = 24  # people on the sheet of crops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/demo"), metavar="DIR", help="default: runs/demo")
    parser.add_argument("--seconds", type=float, default=6.0, help="of video (default 6)")
    parser.add_argument("--pictures", type=int, default=120, help="to measure the miss rate on (default 120)")
    parser.add_argument("--weights", metavar="FILE", help="default: the released ones")
    arguments = parser.parse_args()

    from upright.datasets.synthetic.video import render_video

    output = arguments.output
    weights = ["--weights", arguments.weights] if arguments.weights else []
    video = output / "rendered" / "street.mp4"
    print(f"Rendering {arguments.seconds:g} s of people in a street to {video}")
    render_video(video, seed=1, seconds=arguments.seconds)
    tool("detect.py", str(video), "--output", str(output), *weights)
    sheet = output / "crops.png"
    write_crop_sheet(sheet, arguments.weights)
    figures = ["--json", str(output / "evaluation.json"), "--plot", str(output / "miss_rate.png")]
    tool("evaluate.py", "--dataset", "synthetic", "--length", str(arguments.pictures), *figures, *weights)
    print(f"\nLook at {output / video.name}, {sheet} and {output / 'miss_rate.png'}")


def tool(name: str, *arguments: str) -> None:
    """Run another tool as a user would, and show its command line."""
    command = [sys.executable, str(TOOLS / name), *arguments]
    print("\n$ " + shlex.join(["python", f"tools/{name}", *arguments]), flush=True)
    status = subprocess.run(command, check=False).returncode
    if status:
        sys.exit(status)


def write_crop_sheet(path: Path, weights: str | None) -> None:
    """Proposals of the best detections in synthetic pictures, and what each transformer read of them."""
    from upright.datasets.synthetic import SyntheticPedestrians
    from upright.detector.detected import Detected
    from upright.detector.drawing import crop_sheet, person_strips
    from upright.detector.inference import detect_pictures
    from upright.detector.video import write_picture
    from upright.detector.weights import load_detector

    model = load_detector(weights)
    if model.pose_pool_transformation is None:
        print("These weights have no spatial transformers: there are no canonical crops to show")
        return
    model.return_theta = True
    pictures = SyntheticPedestrians("val")
    strips: list[np.ndarray] = []
    for index in range(len(pictures)):
        image = pictures[index].image
        (output,) = detect_pictures(model, [image])
        found = Detected.of(output).above(model.settings.threshold)
        labels = [f"{score:.2f}" for score in found.scores]
        strips += person_strips(image, *found.regions(), model.pose_pool_transformation, labels)
        if len(strips) >= STRIPS:
            break
    transformers = model.settings.transformers
    write_picture(path, crop_sheet(strips, transformers, columns=2, rows=STRIPS // 2))


if __name__ == "__main__":
    run(main)
