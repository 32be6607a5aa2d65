"""Show one street as each network sees it: predicted class maps side by side.

    PYTHONPATH=benchmarks python -m experiments.adaptation.street WORKING_FOLDER FRAME OUT.png

A row shows the small CNN and a row the small Swin; a column is one way to adapt. Only predictions
are shown, because CamVid's licence does not allow copies of its photographs.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

from densevos import read_mask
from densevos.base.files import atomic_write

WIDTH, HEIGHT, MARGIN, TITLE = 224, 168, 6, 18
"""Of one class map, and of the space around it, in pixels."""
COLUMNS = {
    "as trained": "source/seed0",
    "new statistics": "source/seed0/statistics-train",
    "mixed (mu 0)": "mixed/seed0",
    "adversary": "{adversary}/seed0",
    "with labels": "ceiling/seed0",
}
ADVERSARIES = {"cnn": "global-mu0.1-ramp", "swin": "global-mu1-ramp"}
"""The chosen setting of the general loss at the end of the encoder."""
COLOURS = (
    *((70, 130, 180), (110, 110, 110), (190, 190, 140), (128, 64, 128), (232, 120, 180)),
    *((60, 130, 40), (240, 200, 0), (160, 110, 70), (0, 20, 160), (220, 30, 60), (120, 20, 40)),
)
"""Of CamVid's eleven classes: sky, building, pole, road, pavement, tree, sign, fence, car,
pedestrian, bicyclist.
"""


def draw(working_folder: Path, frame: str) -> Image.Image:
    """All class maps of one frame."""
    size = (
        len(COLUMNS) * (WIDTH + MARGIN) + MARGIN,
        TITLE + len(ADVERSARIES) * (HEIGHT + MARGIN) + MARGIN,
    )
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)

    for row, (network, adversary) in enumerate(ADVERSARIES.items()):
        top = TITLE + row * (HEIGHT + MARGIN)
        for column, (title, place) in enumerate(COLUMNS.items()):
            left = MARGIN + column * (WIDTH + MARGIN)
            pen.text((left, 3), title, fill="black")
            results = working_folder / "camvid" / network / place.format(adversary=adversary)
            path = results / "target-report" / frame / f"{frame}.png"
            sheet.paste(class_map(path), (left, top))

    return sheet


def class_map(path: Path) -> Image.Image:
    """Read one prediction and colour it."""
    image = Image.fromarray(read_mask(path), mode="P")
    image.putpalette([value for colour in COLOURS for value in colour])

    return image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)


def main() -> None:
    """Write the picture to its file."""
    working_folder, frame, out = sys.argv[1:]
    picture = draw(Path(working_folder), frame)
    with atomic_write(Path(out)) as part:
        picture.save(part, format="PNG")


if __name__ == "__main__":
    main()
