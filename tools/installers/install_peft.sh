#!/usr/bin/env bash
# HF peft and transformers, and OpenAI's whisper (checkpoints by name, token files, references).
set -euo pipefail
pip() { "$VENV/bin/python" -m pip "$@"; }

pip install -q -c constraints.txt peft transformers safetensors tiktoken
# --no-deps: it asks for triton, which only CUDA builds of torch have.
pip install -q --no-deps -c constraints.txt openai-whisper
