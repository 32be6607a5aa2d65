"""The photographs that the default encoder learns from, copied from where they are published.

    python stills.py OUT BUDGIE LOMIRI

BUDGIE: a clone of https://github.com/BuddiesOfBudgie/budgie-backgrounds. LOMIRI: the folder into which the Debian
package lomiri-wallpapers-16.04 was unpacked. Photographs of scikit-image and scikit-learn come from their wheels.
stills.tsv lists every file with its licence and whom to credit.
"""

import csv
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from densevos.base.console import run as ended
from densevos.base.errors import InputError
from densevos.base.files import written_whole

LIST = Path(__file__).with_name("stills.tsv")


def rows() -> list[dict[str, str]]:
    """The lines of stills.tsv: file, path, licence, credit."""
    with open(LIST, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def copy_stills(out: Path, budgie: Path, lomiri: Path) -> int:
    """Copy every listed photograph to `out`; InputError when one is missing, which is named. Returns their number."""
    readers: dict[str, Callable[[str], bytes]] = {
        "budgie": lambda path: _of_commit(budgie, path),
        "lomiri": lambda path: (lomiri / path).read_bytes(),
        "skimage": _of_package,
        "sklearn": _of_package,
    }
    out.mkdir(parents=True, exist_ok=True)
    for row in rows():
        source = row["file"].split("-")[0]
        try:
            content = readers[source](row["path"])
        except (OSError, ImportError, subprocess.CalledProcessError) as error:
            raise InputError(f"{row['file']}: cannot be read from {source} ({error})") from error
        with written_whole(out / row["file"]) as file:
            file.write(content)
    return len(rows())


def _of_commit(repository: Path, path: str) -> bytes:
    """A file of a commit, COMMIT:PATH."""
    command = ["git", "-C", str(repository), "show", path]
    return subprocess.run(command, check=True, capture_output=True).stdout


def _of_package(path: str) -> bytes:
    """A file of an installed package, PACKAGE/PATH."""
    package, _, inside = path.partition("/")
    return (files(package) / inside).read_bytes()


def main(arguments: list[str]) -> None:
    """Copy, and say how many there are."""
    if len(arguments) != 3:
        raise InputError("give three folders: python stills.py OUT BUDGIE LOMIRI")
    out, budgie, lomiri = map(Path, arguments)
    print(f"{out}: {copy_stills(out, budgie, lomiri)} photographs")


if __name__ == "__main__":
    sys.exit(ended(lambda: main(sys.argv[1:])))
