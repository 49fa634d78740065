"""Whether a training may go on in its output directory, or must start anew, or be refused."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import yaml

# Options that change neither weights nor curves. max_epoch is among them because the schedule,
# which depends on it, is compared by its own total_steps.
HARMLESS = frozenset(
    """
    config print_config log_level log_interval progress_interval output_dir dry_run resume
    num_workers max_epoch patience keep_nbest_models nbest_averaging_interval best_model_criterion
    use_matplotlib use_tensorboard use_wandb wandb_project wandb_id wandb_entity wandb_name
    wandb_model_log_interval create_graph_in_tensorboard num_att_plot detect_anomaly num_threads
    version required max_cache_size max_cache_fd valid_max_cache_size gradient_checkpointing
    train_dir valid_dir train_data_path_and_name_and_type valid_data_path_and_name_and_type
    train_shape_file valid_shape_file base_model tokenizer ngpu dist_backend dist_init_method
    dist_launcher dist_master_addr dist_master_port dist_rank dist_world_size local_rank
    multiprocessing_distributed distributed
    """.split()
)
LEFTOVERS = ("*epoch.pth", "*.best.pth", "*best.pth", "latest.pth", "checkpoint*.pth")


def check_output_dir(args: argparse.Namespace) -> None:
    """Refuse to resume under changed settings; clear old weights where a run starts anew.

    Files are compared by their content (`data_digest`, `source_digest`), not by their path.
    Raises `ValueError` that lists each setting with its old and new value.
    """
    out_dir = Path(args.output_dir)
    if not (out_dir / "checkpoint.pth").exists():
        return
    if not args.resume:
        logging.warning(f"{out_dir}: resume is false: removing the earlier run's weights")
        for pattern in LEFTOVERS:
            for path in out_dir.glob(pattern):
                path.unlink()
        return
    config = out_dir / "config.yaml"
    if not config.exists():
        raise ValueError(f"{config}: missing beside checkpoint.pth; --resume false starts anew")
    old = yaml.safe_load(config.read_text(encoding="utf-8"))
    changes = compare(old, vars(args))
    if changes:
        raise ValueError(
            f"{out_dir}: holds a training with other settings: {'; '.join(changes)}; go on with "
            "those, or take another --output_dir, or start anew with --resume false"
        )


def compare(old: dict, new: dict) -> list[str]:
    """`key: old value, now new value` for each setting that matters and differs."""
    changes = []
    for key in sorted((set(old) | set(new)) - HARMLESS):
        before, now = _plain(old.get(key)), _plain(new.get(key))
        if before != now:
            changes.append(f"{key}: {before}, now {now}")
    return changes


def _plain(value):
    """As YAML would give it back: tuples are lists."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
