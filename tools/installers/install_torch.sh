#!/usr/bin/env bash
# torch $TORCH_VERSION, from $TORCH_INDEX where that is set, and torchaudio.
set -euo pipefail
pip() { "$VENV/bin/python" -m pip "$@"; }

index=()
[ -n "$TORCH_INDEX" ] && index=(--index-url "$TORCH_INDEX")
# An exact version: `torch` alone or a range may find a build with several GB of CUDA packages.
torch_from_index=(${index[@]+"${index[@]}"} "torch==$TORCH_VERSION")

# For pip the same version from another index counts as installed: put the other build in its
# place first; its own dependencies come after.
source_file=$VENV/.stamps/torch_source
source="$TORCH_VERSION $TORCH_INDEX"
if [ -f "$source_file" ] && [ "$(<"$source_file")" != "$source" ]; then
    pip install -q --force-reinstall --no-deps "${torch_from_index[@]}"
    rm -f "$source_file"
fi
pip install -q "${torch_from_index[@]}"

# --no-deps: torchaudio asks for a certain torch, needlessly for its pure Python parts.
# --force-reinstall: brings back what an earlier run removed below.
pip install -q --force-reinstall --no-deps -c constraints.txt torchaudio

# Its wheel carries a CUDA extension that fails to load beside another build of torch. Without the
# extension torchaudio runs as pure Python, by its own design.
works() { "$VENV/bin/python" -c 'import torchaudio'; }
if ! works 2>/dev/null; then
    lib=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
    rm -f "$lib"/torchaudio/lib/*.so
    works
    echo "torchaudio: without its compiled extension, which does not fit this torch"
fi
echo "$source" >"$source_file"
