from pathlib import Path

import pytest

from espnet_peft.routing import RoutingOptions, read_routing_options

ROOT = Path(__file__).parents[2]


def read(tmp_path, text):
    (tmp_path / "routing.yaml").write_text(text)
    return read_routing_options(tmp_path / "routing.yaml")


def test_the_recipes_file_holds_the_defaults_and_a_comment_a_key():
    path = ROOT / "egs2/TEMPLATE/peft1/conf/routing.yaml"
    found = read_routing_options(path)
    assert found == RoutingOptions(families=found.families)
    assert found.families["indo_aryan"] == ("hi", "pa")
    lines = path.read_text().splitlines()
    keys = [k for k, line in enumerate(lines) if line[0] not in " #"]
    assert len(keys) == 8
    assert all(lines[k - 1].startswith("# ") for k in keys)


def test_values_are_read(tmp_path):
    assert read(tmp_path, "") == RoutingOptions()
    found = read(tmp_path, "top_k: 3\nfamilies:\n  a: [x, y]\n")
    assert found.top_k == 3 and found.families == {"a": ("x", "y")}


@pytest.mark.parametrize(
    "text, message",
    [
        ("tresh: 1", "unknown key tresh; there are threshold, top_k"),
        ("threshold: 1.5\ntop_k: 0", "threshold: found 1.5.*top_k: found 0, expected an integer"),
        ("top_k: true", "top_k: found True"),
        ("min_weight: 1", "min_weight: found 1, expected a number from 0 to less than 1"),
        ("min_dwell_seconds: .nan", "min_dwell_seconds: found nan"),
        ("smooth_seconds: -1", "smooth_seconds: found -1"),
        ("switch_penalty: .inf", "switch_penalty: found inf"),
        ("families: [hi]", "families: found"),
        ("families:\n  a: hi", "families: found"),
        ("families:\n  a: [no]", "quoted names"),  # YAML's Norwegian is false
        ("families:\n  a: [hi]\n  b: [it, hi]", "hi in a and again in b"),
        ("- 1", "found list, expected lines"),
        ("a: [", "no YAML"),
    ],
)
def test_faults_are_named_with_the_file(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"routing.yaml: .*{message}"):
        read(tmp_path, text)
