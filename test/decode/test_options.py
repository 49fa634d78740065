import pytest

from espnet_peft.decode import SearchOptions, options_from_dict, read_options


def test_reads_a_flat_yaml(tmp_path):
    path = tmp_path / "decode.yaml"
    path.write_text("beam_size: 5  # hypotheses\nsuppress: [1, 2]\nmax_tokens_per_second: 30\n")
    options = read_options(path)
    assert options.beam_size == 5 and options.suppress == (1, 2)
    path.write_text("# all defaults\n")
    assert read_options(path) == SearchOptions()


@pytest.mark.parametrize(
    "text, message",
    [
        ("beamsize: 5\nx: 1\n", "unknown key beamsize, x; there are beam_size"),
        ("beam_size: 0\nlength_penalty: .nan\n", "beam_size: found 0.*length_penalty: found nan"),
        ("beam_size: true\n", "beam_size: found True, expected an integer"),
        ("suppress: [a]\n", "suppress"),
        ("batch_seconds: 0\n", "batch_seconds"),
        ("task: dictate\n", "transcribe or translate"),
        ("- 1\n", "found list"),
        ("a: [\n", "no YAML"),
    ],
)
def test_faults_name_the_file(tmp_path, text, message):
    path = tmp_path / "decode.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_options(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_from_dict():
    assert options_from_dict({"max_length": None}).max_length is None
