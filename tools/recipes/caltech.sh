#!/usr/bin/env bash
# Train on Caltech 10x (every 3rd frame of sets 00 to 05) with the new annotations, and evaluate on sets 06 to 10.
#
#   tools/recipes/caltech.sh ROOT RUN [new|original] [further flags of tools/train.py]
#
# ROOT holds set00 ... set10/V000.seq, annotations/ with the .vbb files, and for `new` anno_test_1xnew/ and
# anno_train10x_alignedby_RotatedFilters/. Pictures are enlarged twice, as is usual for its small people.
# A run that was stopped goes on when the same line is given again. DEVICE=cpu trains without a GPU.
set -euo pipefail
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [ $# -lt 2 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
root=$1 run=$2 annotations=${3:-new}
shift $(($# < 3 ? $# : 3))
device=${DEVICE:-cuda}

python "$tools/train.py" --dataset caltech --root "$root" --output "$run" --resume --device "$device" \
    --annotations "$annotations" --every 3 \
    --preset resnet50 --min-size 960 --max-size 1280 --crop-height 640 --crop-width 960 \
    --optimizer sgd --learning-rate 0.01 --batch-size 16 --epochs 6 --precision bfloat16 --workers 8 "$@"

# The published programs give detections the width 0.41 h before matching for the original annotations alone.
aspect=none
if [ "$annotations" = original ]; then aspect=0.41; fi
python "$tools/evaluate.py" --dataset caltech --root "$root" --annotations "$annotations" --detections-aspect $aspect \
    --weights "$run/last.safetensors" --device "$device" \
    --save-detections "$run/detections" --json "$run/test_$annotations.json" --plot "$run/test_$annotations.png"
if [ "$annotations" != original ]; then
    # The same detections by the original annotations: whoever publishes a figure says which it is.
    python "$tools/evaluate.py" --dataset caltech --root "$root" --detections "$run/detections" \
        --json "$run/test_original.json" --plot "$run/test_original.png"
fi
