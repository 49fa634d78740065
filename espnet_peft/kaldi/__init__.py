"""Kaldi data directories: reading, writing, validating, fixing and combining them.

Needs the standard library alone, so that the scripts in utils/ start at once.
"""

from espnet_peft.kaldi.data_dir import DataDir, read_data_dir, write_data_dir
from espnet_peft.kaldi.table import read_table, write_table
from espnet_peft.kaldi.validate import validate_data_dir

__all__ = [
    "DataDir",
    "read_data_dir",
    "read_table",
    "validate_data_dir",
    "write_data_dir",
    "write_table",
]
