#!/usr/bin/env bash
# ESPnet's ASR and S2T parts with what they import.
set -euo pipefail
pip() { "$VENV/bin/python" -m pip "$@"; }

pip install -q -c constraints.txt typeguard humanfriendly PyYAML packaging filelock 'numpy>=2' \
    scipy librosa jamo h5py torch_complex nltk hydra-core opt-einsum einops editdistance \
    pandas requests tqdm huggingface_hub matplotlib tensorboard inflect

# --no-deps: ESPnet pins setuptools<74 where torch asks for >=77, and one of its dependencies
# (ci_sdr, for enhancement only) names another by URL, which pip refuses.
pip install -q --no-deps -c constraints.txt espnet espnet_model_zoo espnet_tts_frontend \
    jaconv unidecode fast-bss-eval g2p-en

# g2p_en, which ESPnet's text frontend imports, downloads these at import unless they are found
# (the tagger's name depends on the version); we need none, so empty archives do.
# activate_python.sh sets NLTK_DATA.
"$VENV/bin/python" - "$VENV/nltk_data" <<'PY'
import pathlib
import sys
import zipfile

TAGGER = "taggers/averaged_perceptron_tagger"
for name in (TAGGER + ".zip", TAGGER + "_eng.zip", "corpora/cmudict.zip"):
    path = pathlib.Path(sys.argv[1], name)
    path.parent.mkdir(parents=True, exist_ok=True)
    zipfile.ZipFile(path, "w").close()
PY
