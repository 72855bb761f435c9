"""Ctrl-C ends a command with one line and exit code 130."""

import signal
import subprocess
import sys

import pytest

MORE_THAN_A_PIPE_HOLDS = 1 << 18


@pytest.mark.slow  # a whole Python starts
@pytest.mark.parametrize(
    "words",
    [
        ("check", "-"),
        ("audit", "-", "--quiet"),
        ("train", "-", "--out", "run"),
        ("classify", "MODEL", "-", "--out", "out.jsonl"),
        ("classify", "MODEL", "/dev/stdin", "--out", "shards"),
    ],
)
def test_a_command_that_waits_for_standard_input_ends_at_once(words, trained, tmp_path):
    command = [sys.executable, "-m", "aisle", *(str(trained.run) if w == "MODEL" else w for w in words)]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    row = b"1,red running shoes,Shoes\n"
    process.stdin.write(b"id,title,category\n" + row * (MORE_THAN_A_PIPE_HOLDS // len(row)))
    process.stdin.flush()  # returns when the command has read most of it
    process.send_signal(signal.SIGINT)
    try:
        assert process.wait(10) == 130
    finally:
        process.kill()
    said = process.communicate()[1].decode()
    assert said.strip().splitlines()[-1].startswith("interrupted")
    assert "Traceback" not in said
