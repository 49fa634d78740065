#!/usr/bin/env bash
# Audio files, Kaldi archives, text units, and the scoring tool that ours is compared with.
set -euo pipefail

"$VENV/bin/python" -m pip install -q -c constraints.txt soundfile soxr kaldiio sentencepiece jiwer
