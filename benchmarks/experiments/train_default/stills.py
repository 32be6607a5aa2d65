"""The photographs that the default encoder learns from, copied from where they are published.

    python stills.py OUT

stills.tsv lists every file with its licence, whom to credit, and its SHA-256, which is checked. The
photographs are those of the scikit-image and scikit-learn wheels, of a Debian package, and of a git
repository. The last two are downloaded into OUT.sources, unless LOMIRI names the package and BUDGIE
a clone of the repository.
"""

import csv
import hashlib
import os
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Callable, Iterator
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from densevos.base.console import run as ended
from densevos.base.errors import InputError
from densevos.base.files import atomic_write

LIST = Path(__file__).with_name("stills.tsv")
REPOSITORY = "https://github.com/BuddiesOfBudgie/budgie-backgrounds.git"
PACKAGE = "lomiri-wallpapers-16.04_20.04.0-2_all.deb"
# Once Debian has a newer version, this one is at
# https://snapshot.debian.org/package/lomiri-wallpapers/20.04.0-2/.
ADDRESS = f"https://deb.debian.org/debian/pool/main/l/lomiri-wallpapers/{PACKAGE}"


def rows() -> list[dict[str, str]]:
    """The lines of stills.tsv: file, path, licence, credit, sha256."""
    with open(LIST, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def copy_stills(out: Path, readers: dict[str, Callable[[str], bytes]]) -> int:
    """Copy every listed photograph to `out` and return their number.

    Args:
        out: the folder to write.
        readers: for each source, a function that returns the file at a path. The name of a listed
            file starts with its source.

    Raises:
        InputError: a photograph cannot be read, or is another one than the listed one.
    """
    out.mkdir(parents=True, exist_ok=True)
    for row in rows():
        source = row["file"].split("-")[0]
        try:
            content = readers[source](row["path"])
        except (OSError, ImportError, KeyError, subprocess.CalledProcessError) as error:
            raise InputError(
                f"{row['file']}: {source} does not have {row['path']} ({error})"
            ) from error

        # Publishers replace files; another photograph would train another encoder.
        if hashlib.sha256(content).hexdigest() != row["sha256"]:
            fix = f"use the version in {LIST.name}"
            raise InputError(f"{row['file']}: {source} has another photograph now; {fix}")

        with atomic_write(out / row["file"]) as file:
            file.write(content)

    return len(rows())


def of_commit(repository: Path) -> Callable[[str], bytes]:
    """Reads files COMMIT:PATH of a git repository."""

    def read(path: str) -> bytes:
        command = ["git", "-C", str(repository), "show", path]
        return subprocess.run(command, check=True, capture_output=True).stdout

    return read


def of_debian_package(package: Path) -> Callable[[str], bytes]:
    """Reads files of a Debian package: an ar archive that holds data.tar.xz."""
    members = dict(_members(package.read_bytes()))
    data = members["data.tar.xz"]

    contents = {}
    with tarfile.open(fileobj=BytesIO(data)) as archive:
        for member in archive:
            # Folders and links have no content.
            file = archive.extractfile(member)
            if file is not None:
                contents[member.name.removeprefix("./")] = file.read()

    return contents.__getitem__


def of_wheel(path: str) -> bytes:
    """A file of an installed package, PACKAGE/PATH."""
    package, _, inside = path.partition("/")
    return (files(package) / inside).read_bytes()


def _members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents of an ar archive.

    Headers have 60 bytes, and contents are padded to an even length.
    """
    position = len(b"!<arch>\n")
    while position < len(archive):
        header = archive[position : position + 60]
        start, size = position + 60, int(header[48:58])
        yield header[:16].decode().strip().rstrip("/"), archive[start : start + size]
        position = start + size + size % 2


def _cloned(folder: Path) -> Path:
    repository = folder / "budgie-backgrounds"
    if not repository.exists():
        subprocess.run(["git", "clone", "--quiet", REPOSITORY, str(repository)], check=True)
    return repository


def _downloaded(folder: Path) -> Path:
    package = folder / PACKAGE
    if not package.exists():
        with urllib.request.urlopen(ADDRESS) as response, atomic_write(package) as file:
            file.write(response.read())

    return package


def main(arguments: list[str]) -> None:
    """Copy all photographs, and say how many there are."""
    if len(arguments) != 1:
        raise InputError("name the folder to write: python stills.py OUT")

    out = Path(arguments[0])
    sources = out.with_name(f"{out.name}.sources")
    sources.mkdir(parents=True, exist_ok=True)
    clone, package = os.environ.get("BUDGIE"), os.environ.get("LOMIRI")
    readers = {
        "budgie": of_commit(Path(clone) if clone else _cloned(sources)),
        "lomiri": of_debian_package(Path(package) if package else _downloaded(sources)),
        "skimage": of_wheel,
        "sklearn": of_wheel,
    }
    print(f"{out}: {copy_stills(out, readers)} photographs")


if __name__ == "__main__":
    sys.exit(ended(lambda: main(sys.argv[1:])))
