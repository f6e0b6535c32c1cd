"""What `make demo` runs: the released weights on a rendered street, from pictures and video to the miss rate.

    python tools/demo.py

Nothing is downloaded. Everything lands in runs/demo/: the rendered video, the annotated one with its
detections.json, a sheet of people set upright (where the weights tell how people stand), the miss rates and their plot.
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
ROLL = 180.0  # degrees, of the camera there


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
    pictures = [output / video.name, output / "miss_rate.png"]
    if write_crop_sheet(sheet, arguments.weights):
        pictures.insert(1, sheet)
    figures = ["--json", str(output / "evaluation.json"), "--plot", str(output / "miss_rate.png")]
    tool("evaluate.py", "--dataset", "synthetic", "--length", str(arguments.pictures), *figures, *weights)
    print(f"\nLook at {', '.join(map(str, pictures[:-1]))} and {pictures[-1]}")


def tool(name: str, *arguments: str) -> None:
    """Run another tool as a user would, and show its command line."""
    command = [sys.executable, str(TOOLS / name), *arguments]
    print("\n$ " + shlex.join(["python", f"tools/{name}", *arguments]), flush=True)
    status = subprocess.run(command, check=False).returncode
    if status:
        sys.exit(status)


def write_crop_sheet(path: Path, weights: str | None) -> bool:
    """The best detections in synthetic pictures of a rolled camera, upright; False where weights do not tell how."""
    from upright.datasets.synthetic import SyntheticPedestrians
    from upright.detector.detect import detect
    from upright.detector.engines.choice import open_engine
    from upright.detector.upright_crops import crop_sheet, person_strips
    from upright.detector.video_writer import write_picture

    engine = open_engine(weights)
    if not engine.settings.tells_pose:
        return False
    pictures = SyntheticPedestrians("val", roll=ROLL)
    strips: list[np.ndarray] = []
    for index in range(len(pictures)):
        image = pictures[index].image
        found = detect(image, engine)
        strips += person_strips(image, found, [f"{score:.2f}" for score in found.scores])
        if len(strips) >= STRIPS:
            break
    write_picture(path, crop_sheet(strips, columns=2, rows=STRIPS // 2))
    return True


if __name__ == "__main__":
    run(main)
