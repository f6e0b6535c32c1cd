"""Write the annotations of any data set as COCO-style JSON.

    python tools/convert.py --dataset yolo --root PICTURES --split train --output train.json
    python tools/convert.py --dataset crowdhuman --root CROWDHUMAN --output CROWDHUMAN/val.json
    python tools/train.py --dataset coco --root PICTURES --annotations train.json --output runs/mine

Pictures are not copied: `file_name` is relative to ROOT. Boxes are [x, y, width, height] in pixels counted from 0,
ignore regions are marked by `ignore` and `iscrowd`. docs/data.md tells what counts in each data set.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from upright.datasets.annotated import relative_name
from upright.datasets.coco_json import coco_json
from upright.datasets.pictures import picture_size
from upright.datasets.registry import DATASETS, dataset_entry, open_dataset
from upright.output import refuse_unwritable, whole_file
from upright.tools.command import run
from upright.tools.dataset_flags import add_dataset_flags, dataset_options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=DATASETS, required=True)
    add_dataset_flags(parser.add_argument_group("data"), training=False)
    parser.add_argument("--split", choices=("train", "val", "test"), help="default: the one that is evaluated")
    parser.add_argument("--output", type=Path, required=True, metavar="JSON", help="the file to write")
    arguments = parser.parse_args()
    refuse_unwritable(arguments.output)

    from tqdm import tqdm

    entry = dataset_entry(arguments.dataset)
    split = arguments.split or entry.evaluation_split
    dataset = open_dataset(arguments.dataset, arguments.root, split, **dataset_options(arguments))
    annotations = dataset.annotations
    paths = getattr(dataset, "paths", None)  # rendered pictures and frames of videos have none
    names, sizes = annotations.file_names, annotations.sizes.tolist()
    if paths is not None:
        names = [relative_name(path, Path(arguments.root)) for path in paths]
        bar = tqdm(
            zip(paths, sizes, strict=True),
            total=len(paths),
            unit="picture",
            desc="sizes",
            delay=2,
            leave=False,
            disable=None,
        )
        sizes = [size if all(size) or not path.is_file() else picture_size(path) for path, size in bar]
    content = coco_json(annotations, file_names=names, sizes=sizes, first_pixel=entry.first_pixel)
    with whole_file(arguments.output) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file)
    rows = content["annotations"]
    ignored = sum(row["ignore"] for row in rows)
    print(
        f"{len(names)} pictures, {len(rows) - ignored} people, {ignored} ignore regions of {arguments.dataset} in "
        f"{arguments.output}"
    )


if __name__ == "__main__":
    run(main)
