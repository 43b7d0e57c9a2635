#!/usr/bin/env bash
# From two videos to the result: installs (once) and runs the five steps.
#   ./run.sh                                  the sample pair
#   ./run.sh TRAIN.mp4 TEST.mp4 [settings]    your own; settings as of the steps, e.g. --epochs 60
# Run again after a stop: it goes on where it was.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

case "${1:-}" in
-h | --help)
    sed -n '2,5s/^# \{0,1\}//p' "$0"
    echo "every setting: python main/train.py --help"
    exit 0
    ;;
"")
    settings=(--train_video "$here/data/sample/train.mp4" --test_video "$here/data/sample/test.mp4" --pose_flip --epochs 5 --max_minutes 7)
    echo "sample pair: install (2-5 minutes, once), read both videos (2 minutes), train (7), render (2) on two CPU cores"
    ;;
*)
    [ $# -ge 2 ] || { echo "error: give two videos: ./run.sh TRAIN.mp4 TEST.mp4 [settings]" >&2; exit 2; }
    settings=(--train_video "$1" --test_video "$2" "${@:3}")
    echo "your pair: install (2-5 minutes, once), read both videos, train (the long part: its bar tells how long), render"
    ;;
esac

"$here/install.sh"
step() {
    echo
    echo "== $1"
    "$here/.venv/bin/python" "$here/$2" "${@:3}" "${settings[@]}"
}
step "step 1 of 5: the person's video to frames and poses" data/video2data.py --mode train
step "step 1 of 5: the dance to poses" data/video2data.py --mode test
step "step 2 of 5: the dance's poses onto the person" data/annot_normalize.py
step "step 3 of 5: train the person's model" main/train.py --continue_train
step "step 4 of 5: render" main/test.py
step "step 5 of 5: video and sound" output/img2video.py
