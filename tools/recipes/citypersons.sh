#!/usr/bin/env bash
# Train on CityPersons and evaluate: ResNet-50, the pictures at their own size or at 1.3 times it.
#
#   tools/recipes/citypersons.sh ROOT RUN [1.0|1.3] [further flags of tools/train.py]
#
# ROOT holds leftImg8bit/{train,val}/CITY/*.png and anno_train.mat, anno_val.mat (or gtBboxCityPersons/).
# A run that was stopped goes on when the same line is given again. DEVICE=cpu trains without a GPU.
set -euo pipefail
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [ $# -lt 2 ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
root=$1 run=$2 scale=${3:-1.0}
shift $(($# < 3 ? $# : 3))
device=${DEVICE:-cuda}
case $scale in
1.0) size=(--min-size 1024 --max-size 2048 --crop-height 640 --crop-width 1280) ;;
1.3) size=(--min-size 1331 --max-size 2662 --crop-height 832 --crop-width 1664) ;;
*)
    echo "error: scale '$scale' is not known: use 1.0 or 1.3" >&2
    exit 2
    ;;
esac

python "$tools/train.py" --dataset citypersons --root "$root" --output "$run" --resume --device "$device" \
    --preset resnet50 "${size[@]}" \
    --optimizer sgd --learning-rate 0.01 --batch-size 8 --epochs 24 --precision bfloat16 --workers 8 "$@"
python "$tools/evaluate.py" --dataset citypersons --root "$root" --weights "$run/last.safetensors" --device "$device" \
    --save-detections "$run/detections.json" --json "$run/val.json" --plot "$run/val.png"
