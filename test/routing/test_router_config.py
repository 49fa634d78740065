from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from espnet_peft.routing.config import RouterConfig, read_router_config


def test_reads_a_flat_yaml(tmp_path):
    path = tmp_path / "router.yaml"
    path.write_text("layers: [1, 2]  # blocks\nhead: mlp\nmax_per_language: null\n")
    config = read_router_config(path)
    assert config.layers == (1, 2) and config.head == "mlp" and config.max_per_language is None
    path.write_text("# all defaults\n")
    assert read_router_config(path) == RouterConfig()


@pytest.mark.parametrize(
    "text, message",
    [
        ("layer: 1\nheads: x\n", "unknown key layer, heads; there are layers"),
        ("head: tree\ndropout: 1.0\n", "head: found 'tree'.*dropout: found 1.0"),
        ("layers: [2, 1]\n", "layers: found \\(2, 1\\)"),
        ("layers: 1\n", "layers: found 1, expected rising"),
        ("layers: []\n", "layers"),
        ("kernel_size: 4\n", "kernel_size: found 4, expected an odd number"),
        ("crop_seconds: [2, 1]\n", "crop_seconds"),
        ("crop_seconds: [0, 1]\n", "crop_seconds"),
        ("learning_rate: .nan\n", "learning_rate"),
        ("window_seconds: 0\n", "window_seconds"),
        ("max_per_language: 0\n", "max_per_language"),
        ("other_quantile: 1\n", "other_quantile"),
        ("patience: true\n", "patience"),
        ("- 1\n", "found list"),
        ("a: [\n", "no YAML"),
    ],
)
def test_faults_name_the_file(tmp_path, text, message):
    path = tmp_path / "router.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_router_config(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_the_template_has_every_default():
    path = Path(__file__).parents[2] / "egs2/TEMPLATE/peft1/conf/router.yaml"
    assert read_router_config(path) == RouterConfig()
    keys = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(keys) == {field.name for field in fields(RouterConfig)}
