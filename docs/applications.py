"""Put the results of the examples into the page "Applications".

    python docs/applications.py volumes=FOLDER titanium=FOLDER li3ycl6=FOLDER fine-tuning=FOLDER

Each FOLDER is what ``--out`` of ``examples/compound_volumes.py``, ``titanium_hcp_to_fcc.py``,
``li3ycl6_conductivity.py`` or ``li3ycl6_fine_tune.py`` named. Its picture and its table take the place of those between
the comments ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` of ``pages/applications.md``; the picture is copied to
``pages/applications-NAME.svg``.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

PAGES = Path(__file__).parent / "pages"
FILES = {
    "volumes": ("volumes.md", "volumes.svg"),
    "titanium": ("titanium.md", "titanium.svg"),
    "li3ycl6": ("lithium.md", "lithium.svg"),
    "fine-tuning": ("fine-tuning.md", None),
}
"""Names of the table and of the picture in the folder of an example."""

CAPTIONS = {
    "volumes": "Volumes and bulk moduli of 39 compounds by gptff-universal, against those by PBE",
    "titanium": "Diffraction of titanium against strain, and fractions of hcp, fcc and bcc",
    "li3ycl6": "Conductivity of lithium over the inverse temperature, and densities of lithium in the cell",
}
"""What the pictures show."""


def filled(page: str, name: str, text: str) -> str:
    """The page with other text between the comments of this name.

    Raises:
        SystemExit: the page has no such comments.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"the page has no comments {begin} and {end}")
    return re.sub(f"(?s){begin}.*{end}", lambda _: f"{begin}\n\n{text.strip()}\n\n{end}", page)


def main(arguments: Sequence[str] | None = None, pages: Path = PAGES) -> None:
    """Fill the page.

    Raises:
        SystemExit: a name that there is not, or a folder without its files.
    """
    page = (pages / "applications.md").read_text(encoding="utf-8")
    pictures = []
    for argument in sys.argv[1:] if arguments is None else arguments:
        name, _, folder = argument.partition("=")
        if name not in FILES or not folder:
            raise SystemExit(f"{argument}: give NAME=FOLDER, of {', '.join(FILES)}")
        table, picture = FILES[name]
        for each in filter(None, FILES[name]):
            if not (Path(folder) / each).is_file():
                raise SystemExit(f"{folder} has no {each}: run the example first")
        text = (Path(folder) / table).read_text(encoding="utf-8")
        if picture is not None:
            text = f"![{CAPTIONS[name]}](applications-{name}.svg)\n\n{text}"
            pictures.append((Path(folder) / picture, pages / f"applications-{name}.svg"))
        page = filled(page, name, text)
    (pages / "applications.md").write_text(page, encoding="utf-8")
    for source, target in pictures:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    main()
