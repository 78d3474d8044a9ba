#!/bin/sh
# run.sh - vitcl against OpenVINO, ONNX Runtime and PyTorch, in one run:
#
#     bench/peers/run.sh DIR [OPTION...]
#
# DIR gets a Python environment with the rivals (once; 2 GB) and the models; vitcl is taken from build/. The options are
# those of peers.py: --help lists them.
set -eu
[ $# -ge 1 ] || { echo "usage: $0 DIR [OPTION...]; $0 DIR --help lists the options" >&2; exit 2; }
peers=$(cd "$(dirname "$0")" && pwd)
folder=$1
shift
if [ ! -e "$folder/venv/installed" ]; then
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/pip" install --quiet -r "$peers/requirements.txt"
  touch "$folder/venv/installed"
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$folder/venv/bin/python" "$peers/peers.py" "$folder/models" "$@"
