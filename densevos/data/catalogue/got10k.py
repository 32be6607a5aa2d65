"""GOT-10k: short videos of more than 560 classes of moving objects, at 10 frames per second."""

from collections.abc import Iterable
from pathlib import Path

from densevos.data.catalogue.layout import Layout, beside, folders, split_folder


def find(root: Path, split: str) -> Iterable[str]:
    """Find the frame folders of a split."""
    # Both the single archive and the archive in parts unpack to these names.
    return folders(root, beside(split_folder(root, split), "GOT-10k_*"))


LAYOUT = Layout(
    name="got10k",
    title="GOT-10k",
    tree="train/GOT-10k_Train_NNNNNN/NNNNNNNN.jpg",
    splits=("train", "val", "test"),
    find=find,
    rate=10,
    gap=None,
    recipe=None,
    address="http://got-10k.aitestunion.com/",
    size="9,335 videos; about 66 GB",
    licence="CC BY-NC-SA 4.0",
)
