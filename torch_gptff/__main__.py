"""``python -m torch_gptff`` and ``torch-gptff``."""

from torch_gptff.cli import app
from torch_gptff.postponed import postpone_imports


def main() -> None:
    """Run the command line."""
    postpone_imports()
    app(prog_name="torch-gptff")


if __name__ == "__main__":
    main()
