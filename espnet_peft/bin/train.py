"""Train an adapter, all of a base, or a new base.

`python -m espnet_peft.bin.train --config conf/tuning/lora_r16.yaml --base_model exp/base_mini
--train_dir dump/fbank/train_hi --valid_dir dump/fbank/dev_hi --output_dir exp/base_mini/hi_lora`

All options of ESPnet's training commands hold too: `--help` lists them.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings

from espnet_peft.bin import run

LOG_FORMAT = "%(asctime)s (%(module)s:%(lineno)d) %(levelname)s: %(message)s"


def get_parser():
    """ESPnet's parser with our options; takes some seconds, because it imports ESPnet."""
    parser = load_task().get_parser()
    parser.description = __doc__
    return parser


def load_task():
    """The task, imported without ESPnet's remark (on stdout) that it could use Flash Attention."""
    with contextlib.redirect_stdout(io.StringIO()):
        from espnet_peft.train.task import PEFTTask
    return PEFTTask


def main(argv: list[str] | None = None) -> None:
    """Train; `--print_config` prints the settings and stops."""
    warnings.filterwarnings("ignore", category=FutureWarning, module="espnet2")
    logging.basicConfig(format=LOG_FORMAT)
    load_task().main(cmd=argv)


if __name__ == "__main__":
    run(main, "train")
