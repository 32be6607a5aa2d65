"""Names of the classes of all sets, and how values in mask files become class ids."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from densevos.base.errors import InputError
from densevos.base.masks import VOID


def _names(text: str) -> tuple[str, ...]:
    """The names in a text, separated by commas; lines may break anywhere."""
    return tuple(" ".join(text.split()).split(", "))


SHARED = _names(
    "backpack, bicycle, bird, car, cell phone, dog, horse, motorcycle, person, surfboard"
)
"""The ten classes of COCO that occur in both splits of DAVIS-2017.

These are the papers' classes, recovered from their counts of frames (3,401 and 1,558).
"""

ALIASES = {
    "cellphone": "cell phone",
    "motorbike": "motorcycle",
    "aeroplane": "airplane",
    "sofa": "couch",
    "tvmonitor": "tv",
    "diningtable": "dining table",
    "pottedplant": "potted plant",
}
"""Name in another set -> name of the same class in COCO."""

# Things have ids 1 to 91 and stuff has ids 92 to 182. The list includes the eleven ids that
# COCO-2017 does not use, so that positions remain ids.
COCO = _names(
    """person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire
    hydrant, street sign, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow,
    elephant, bear, zebra, giraffe, hat, backpack, umbrella, shoe, eye glasses, handbag, tie,
    suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove,
    skateboard, surfboard, tennis racket, bottle, plate, wine glass, cup, fork, knife, spoon,
    bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair,
    couch, potted plant, bed, mirror, dining table, window, desk, toilet, door, tv, laptop,
    mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, blender,
    book, clock, vase, scissors, teddy bear, hair drier, toothbrush, hair brush, banner, blanket,
    branch, bridge, building-other, bush, cabinet, cage, cardboard, carpet, ceiling-other,
    ceiling-tile, cloth, clothes, clouds, counter, cupboard, curtain, desk-stuff, dirt,
    door-stuff, fence, floor-marble, floor-other, floor-stone, floor-tile, floor-wood, flower,
    fog, food-other, fruit, furniture-other, grass, gravel, ground-other, hill, house, leaves,
    light, mat, metal, mirror-stuff, moss, mountain, mud, napkin, net, paper, pavement, pillow,
    plant-other, plastic, platform, playingfield, railing, railroad, river, road, rock, roof,
    rug, salad, sand, sea, shelf, sky-other, skyscraper, snow, solid-other, stairs, stone, straw,
    structural-other, table, tent, textile-other, towel, tree, vegetable, wall-brick,
    wall-concrete, wall-other, wall-panel, wall-stone, wall-tile, wall-wood, water-other,
    waterdrops, window-blind, window-other, wood"""
)

VOC = _names(
    """background, aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable,
    dog, horse, motorbike, person, pottedplant, sheep, sofa, train, tvmonitor"""
)

CAMVID = _names(
    "sky, building, pole, road, pavement, tree, sign, fence, car, pedestrian, bicyclist"
)

YTBB = _names(
    """person, bird, bicycle, boat, bus, bear, cow, cat, giraffe, potted plant, horse, motorcycle,
    knife, airplane, skateboard, train, truck, zebra, toilet, dog, elephant, umbrella, none,
    car"""
)

ADE20K = _names(
    """wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk,
    person, earth, door, table, mountain, plant, curtain, chair, car, water, painting, sofa,
    shelf, house, sea, mirror, rug, field, armchair, seat, fence, desk, rock, wardrobe, lamp,
    bathtub, railing, cushion, base, box, column, signboard, chest of drawers, counter, sand,
    sink, skyscraper, fireplace, refrigerator, grandstand, path, stairs, runway, case, pool
    table, pillow, screen door, stairway, river, bridge, bookcase, blind, coffee table, toilet,
    flower, book, hill, bench, countertop, stove, palm, kitchen island, computer, swivel chair,
    boat, bar, arcade machine, hovel, bus, towel, light, truck, tower, chandelier, awning,
    streetlight, booth, television receiver, airplane, dirt track, apparel, pole, land,
    bannister, escalator, ottoman, bottle, buffet, poster, stage, van, ship, fountain, conveyer
    belt, canopy, washer, plaything, swimming pool, stool, barrel, basket, waterfall, tent, bag,
    minibike, cradle, oven, ball, food, step, tank, trade name, microwave, pot, animal, bicycle,
    lake, dishwasher, screen, blanket, sculpture, hood, sconce, vase, traffic light, tray,
    ashcan, fan, pier, crt screen, plate, monitor, bulletin board, shower, radiator, glass,
    clock, flag"""
)


def common_name(name: str) -> str:
    """COCO's name of a class of any set."""
    return ALIASES.get(name, name)


def same_classes(names: Iterable[str], classes: Sequence[str]) -> dict[str, int]:
    """Match names of one set with the classes of another.

    Identical names match first. The remaining names are compared by COCO's names: `motorbike` is
    `motorcycle`, but if one side has both names they are two classes.

    Args:
        names: Names of one set.
        classes: Names of class ids 0, 1, ... of the other.

    Returns:
        Name -> class id, for the names that match a class.
    """
    names = set(names)
    matched: dict[str, int] = {}
    by_common_name: dict[str, int] = {}

    for id, name in enumerate(classes):
        # A class that has its own name in the set is not available under COCO's name.
        if name in names:
            matched[name] = id
        else:
            by_common_name[common_name(name)] = id

    # What is left may be another spelling of a class.
    for name in names - matched.keys():
        common = common_name(name)
        if common in by_common_name:
            matched[name] = by_common_name[common]

    return matched


def choose_classes(
    set_name: str, known: Iterable[str], wanted: Sequence[str] | None, usual: tuple[str, ...]
) -> tuple[str, ...]:
    """Choose the classes of a set.

    Args:
        set_name: Name of the set, for messages.
        known: Names of all classes of the set.
        wanted: Names of the classes that the user wants; None for the usual ones.
        usual: Names of the usual classes.

    Returns:
        Names of class ids 0, 1, ...: `usual`, or `background` and the wanted classes.

    Raises:
        InputError: The set lacks a wanted class, or a class is named twice.
    """
    if wanted is None:
        return usual

    # The same name twice would give one class two ids.
    twice = named_twice(wanted)
    if twice:
        raise InputError(f"{twice}: is named twice among the wanted classes; name each once")

    known = set(known)
    classes = ("background", *(name for name in wanted if name != "background"))
    matched = same_classes(known, classes).values()

    # `background` needs no class of its own in the set.
    for id, name in enumerate(classes[1:], start=1):
        if id not in matched:
            raise InputError(
                f"{name}: {set_name} has no such class; it has {', '.join(sorted(known))}"
            )

    return classes


def named_twice(names: Iterable[str]) -> str | None:
    """The first name that occurs more than once, if there is one."""
    for name, count in Counter(names).items():
        if count > 1:
            return name

    return None


def class_values(
    names: Mapping[int, str],
    classes: Sequence[str],
    others: Literal["background", "ignore"],
    known: Iterable[str] = (),
) -> dict[int, int]:
    """Map the values of mask files to class ids.

    Args:
        names: Value -> name of its class in the set, which is `void` for pixels without label.
        classes: Names of class ids 0, 1, ...
        others: What unwanted classes become.
        known: Further names of the set, if `names` are those of one video only.

    Returns:
        Value -> class id, for every value that the set defines; 255 is void.
    """
    # Names match as they do for the whole set, also in a video that shows only some of them.
    ids = same_classes([*names.values(), *known], classes)
    unwanted = {"background": 0, "ignore": VOID}[others]
    values: dict[int, int] = {}

    for value, name in names.items():
        values[value] = VOID if name == "void" else ids.get(name, unwanted)

    return values
