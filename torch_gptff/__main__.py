"""``python -m torch_gptff``."""

from torch_gptff.cli import app

if __name__ == "__main__":
    app(prog_name="torch-gptff")
