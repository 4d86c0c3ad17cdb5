"""What TensorFlow is asked for before it is loaded."""

import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
os.environ.update(dict(word.split("=") for word in sys.argv[1:]))
from click.testing import CliRunner
from sealpin.cli import main
CliRunner().invoke(main, ["train", "--run", "none", "--resume"])
print(os.environ["TF_ENABLE_ONEDNN_OPTS"])
"""


@pytest.mark.parametrize(("given", "told"), [((), "1"), (("TF_ENABLE_ONEDNN_OPTS=0",), "0")])
def test_training_asks_for_onednn_unless_its_user_has_said_otherwise(given: tuple[str, ...], told: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *given], capture_output=True, text=True)
    assert done.stdout.strip() == told, done.stderr
