"""How Sphinx builds the manual: `sphinx-build -W --keep-going -b html -c docs . docs/_build/html`.

The source is the whole checkout, so that a relative link from a page to the README, to a page of
results or to a script works in the built manual as it does where the repository is browsed.
"""

import sys
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from densevos import __version__ as release  # noqa: E402

project = "densevos"
author = "densevos developers"
copyright = "densevos developers, Apache-2.0"
version = release

PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "benchmarks/*.md",
    "benchmarks/results/*.md",
)
extensions = ["myst_parser"]
include_patterns = list(PAGES)
# Sphinx walks every folder that is not excluded, and virtual environments hold tens of thousands of
# files.
exclude_patterns = [
    "docs/_build",
    *{path.name for path in ROOT.iterdir()} - {page.partition("/")[0] for page in PAGES},
]
root_doc = "docs/index"

myst_heading_anchors = 3
myst_links_external_new_tab = True

html_theme = "furo"
html_title = f"densevos {release}"
html_extra_path = ["_start"]  # index.html at the top of the built manual leads to docs/index.html.
html_copy_source = False


def folders_as_text(app: Sphinx, page: nodes.document) -> None:
    """Replace links to folders by their text: a code host lists a folder, and the built manual does
    not hold it.
    """
    here = Path(page["source"]).parent
    for link in list(page.findall(addnodes.pending_xref)):
        if (here / link["reftarget"]).is_dir():
            link.replace_self(link.children)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("doctree-read", folders_as_text)
