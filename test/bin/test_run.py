"""How a command leaves: its exit status and what it says."""

from __future__ import annotations

import errno
import logging

import pytest

from espnet_peft.bin import run


def leave(capsys, error: BaseException | None) -> tuple[int, str]:
    """Exit status and stderr of a command that raises `error`."""

    def main(argv=None):
        if error is not None:
            raise error

    with pytest.raises(SystemExit) as left:
        run(main, "prog")
    return left.value.code, capsys.readouterr().err


def test_success_is_silent(capsys):
    assert leave(capsys, None) == (0, "")


def test_user_faults_are_one_line(capsys):
    message = "data/x/text:3: no transcript, expected one"
    assert leave(capsys, ValueError(message)) == (1, f"prog: error: {message}\n")


def test_missing_file_names_the_file(capsys):
    error = FileNotFoundError(errno.ENOENT, "No such file or directory", "data/x/wav.scp")
    code, text = leave(capsys, error)
    assert (code, text) == (1, "prog: error: data/x/wav.scp: No such file or directory\n")


def test_file_not_found_with_own_words(capsys):
    code, text = leave(capsys, FileNotFoundError("data/x: no wav.scp; run stage 1"))
    assert (code, text) == (1, "prog: error: data/x: no wav.scp; run stage 1\n")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "exp/a.tmp"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
        RuntimeError("basic_ios::clear: iostream error"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"),
        Exception('IoError(Os { code: 28, kind: StorageFull, message: "No space left" })'),
    ],
)
def test_full_disk(capsys, error):
    code, text = leave(capsys, error)
    assert code == 1
    assert text.count("\n") == 1 and "no space left on the disk" in text
    if isinstance(error, OSError):
        reason = "(No space left on device); free some space and run it again"
        assert text == f"prog: error: exp/a.tmp: no space left on the disk {reason}\n"


def test_faults_of_the_program_keep_their_traceback():
    def main(argv=None):
        raise KeyError("bug")

    with pytest.raises(KeyError):
        run(main, "prog")


def test_interrupt(capsys):
    assert leave(capsys, KeyboardInterrupt())[0] == 130


def test_debug_shows_the_traceback(capsys):
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    try:
        assert "Traceback" in leave(capsys, ValueError("x"))[1]
    finally:
        root.setLevel(level)
