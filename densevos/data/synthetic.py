"""Synthetic sequences with exact masks, made from a seed and the photographs of the scikit-image wheel."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from densevos.data.synthetic_scene import Scene, Sprite, SyntheticConfig, random_scene
from densevos.data.synthetic_textures import Pool, load_photographs
from densevos.files import new_folder, written_whole
from densevos.masks import write_mask

__all__ = ["Pool", "SyntheticConfig", "SyntheticSequence", "make_sequence", "write_davis"]

SMALLEST_VISIBLE = 0.015  # of the frame: what an object must show in frame 0, whose mask is propagated


@dataclass(frozen=True)
class SyntheticSequence:
    """A short video and its ids: 1..n are objects, every one of them is in frame 0; 0 is all else."""

    frames: np.ndarray  # [T,H,W,3] uint8 RGB
    masks: np.ndarray  # [T,H,W] uint8


def make_sequence(
    seed: int | Sequence[int], config: SyntheticConfig, photographs: Pool = "train"
) -> SyntheticSequence:
    """Render one sequence; the same arguments give the same bytes.

    Masks are exact: a pixel has the id of the foremost object that covers its centre at the frame's
    instant, the middle of the time the shutter is open.
    """
    rng = np.random.default_rng(seed)
    scene = _scene_with_visible_objects(config, photographs, rng)
    rendered = [render_frame(scene, time, config, rng) for time in range(config.frames)]
    frames, masks = zip(*rendered, strict=True)
    return SyntheticSequence(np.stack(frames), np.stack(masks))


def _scene_with_visible_objects(config: SyntheticConfig, pool: Pool, rng: np.random.Generator) -> Scene:
    """The first of up to 50 random scenes whose objects all show enough in frame 0, else the best of them."""
    best, most = None, -1.0
    for _ in range(50):
        scene = random_scene(config, load_photographs(pool), rng)
        _, mask = render_instant(scene, 0, config.height, config.width)
        objects = max(sprite.label for sprite in scene.sprites)
        visible = np.bincount(mask.ravel(), minlength=objects + 1)[1:].min() / mask.size
        if visible > most:
            best, most = scene, visible
        if most >= SMALLEST_VISIBLE:
            break
    return best


def render_frame(
    scene: Scene, time: float, config: SyntheticConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """What a camera records: motion blur, light and sensor noise. Frame [H,W,3] uint8, mask [H,W] uint8."""
    size = config.height, config.width
    steps = np.arange(1, config.blur_steps + 1) * config.shutter / (2 * config.blur_steps + 1)
    exposure, mask = render_instant(scene, time, *size)
    for step in (*-steps, *steps):
        exposure += render_instant(scene, time + step, *size)[0]
    frame = exposure / (1 + 2 * config.blur_steps) * light_gain(scene, time, *size)
    frame += config.noise * rng.standard_normal(frame.shape, np.float32)
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8), mask


def light_gain(scene: Scene, time: float, height: int, width: int) -> np.ndarray:
    """Factor [H,W,3] by which the light changes colours: a gain per channel with a slope over the frame."""
    *colour, across, down = scene.light.at(time).astype(np.float32)
    x = np.linspace(-across, across, width, dtype=np.float32)[:, None]
    y = np.linspace(-down, down, height, dtype=np.float32)[:, None, None]
    return np.exp(y) * np.exp(x + np.array(colour))


def render_instant(scene: Scene, time: float, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The scene at one instant: image [H,W,3] float32 in 0..255 with smooth edges, ids [H,W] uint8."""
    camera = _camera_matrix(scene.camera.at(time), height, width)
    margin = (np.array(scene.background.shape[1::-1]) - (width, height)) / 2
    image = cv2.warpAffine(
        scene.background,
        (camera @ _translation(*-margin))[:2],
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    mask = np.zeros((height, width), np.uint8)
    for sprite in scene.sprites:
        _draw(sprite, time, camera, image, mask)
    return image, mask


def _draw(sprite: Sprite, time: float, camera: np.ndarray, image: np.ndarray, mask: np.ndarray) -> None:
    """Paint a sprite over `image` and `mask` in place."""
    x, y, angle, *stretch, ripple_u, ripple_v = sprite.motion.at(time)
    size = sprite.pixels.shape[0]
    place = _translation(x, y) @ _rotation(angle) @ np.diag([*np.exp(stretch), 1]) @ _translation(-size / 2, -size / 2)
    to_screen = camera @ place
    rows, columns = _reach(to_screen, size, abs(ripple_u) + abs(ripple_v), mask.shape)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return
    back = np.linalg.inv(to_screen).astype(np.float32)
    screen_x = np.arange(columns.start, columns.stop, dtype=np.float32)
    screen_y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
    u = back[0, 0] * screen_x + back[0, 1] * screen_y + back[0, 2]
    v = back[1, 0] * screen_x + back[1, 1] * screen_y + back[1, 2]
    # Two shears, one after the other: each can be undone, so the outline bends and never folds.
    turns = np.float32(2 * np.pi / size)
    u += np.float32(ripple_u * size) * np.sin(turns * v + np.float32(sprite.ripple_phase[0]))
    v += np.float32(ripple_v * size) * np.sin(turns * u + np.float32(sprite.ripple_phase[1]))
    outside = (0, 0, 0, -size)
    seen = cv2.remap(sprite.pixels, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=outside)
    scale = np.sqrt(np.linalg.det(to_screen[:2, :2]))
    alpha = np.clip(seen[..., 3:] * np.float32(scale) + 0.5, 0, 1)
    region = image[rows, columns]
    region += alpha * (seen[..., :3] - region)
    mask[rows, columns][seen[..., 3] > 0] = sprite.label


def _reach(to_screen: np.ndarray, size: int, ripple: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of the frame that a sprite of `size` may touch."""
    low, high = -ripple * size, (1 + ripple) * size
    corners = to_screen[:2] @ np.array([[low, high, low, high], [low, low, high, high], [1, 1, 1, 1]])
    x0, y0 = np.floor(corners.min(1)).astype(int)
    x1, y1 = np.ceil(corners.max(1)).astype(int) + 1
    return slice(max(y0, 0), min(y1, shape[0])), slice(max(x0, 0), min(x1, shape[1]))


def _camera_matrix(state: np.ndarray, height: int, width: int) -> np.ndarray:
    """World to screen: pan, then roll and zoom about the middle of the frame."""
    x, y, roll, zoom = state
    middle = width / 2, height / 2
    turn = _rotation(roll) @ np.diag([np.exp(zoom), np.exp(zoom), 1])
    return _translation(*middle) @ turn @ _translation(-middle[0] - x, -middle[1] - y)


def _translation(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], float)


def _rotation(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def write_davis(
    root: Path,
    *,
    train: int,
    val: int,
    seed: int,
    config: SyntheticConfig,
    overwrite: bool = False,
    workers: int = 2,
) -> None:
    """Write `train` and `val` sequences to the new folder `root` in the layout of DAVIS-2017.

        JPEGImages/480p/NAME/00000.jpg      frames
        Annotations/480p/NAME/00000.png     indexed masks with the DAVIS palette
        ImageSets/2016/SPLIT.txt, ImageSets/2017/SPLIT.txt      names of the sequences of train and val
        train_videos.txt                    frame folders of the train sequences, relative to `root`

    The folders are called 480p whatever the size, because the layout of the benchmark says so. A sequence
    depends on `seed`, its split and its number only. InputError when `root` holds files, unless `overwrite`.
    """
    root = new_folder(root, overwrite=overwrite)
    counts: dict[Pool, int] = {"train": train, "val": val}
    names = {pool: [f"{pool}-{number:03d}" for number in range(count)] for pool, count in counts.items()}
    with ThreadPoolExecutor(workers) as threads:
        for key, pool in enumerate(counts):
            seeds = [(seed, key, number) for number in range(counts[pool])]
            for _ in threads.map(_write_sequence, repeat(root), names[pool], seeds, repeat(config), repeat(pool)):
                pass  # Taking the results raises what went wrong in a thread.
    for pool in counts:
        for year in ("2016", "2017"):
            _write_lines(root / "ImageSets" / year / f"{pool}.txt", names[pool])
    _write_lines(root / "train_videos.txt", (f"JPEGImages/480p/{name}" for name in names["train"]))


def _write_sequence(root: Path, name: str, seed: Sequence[int], config: SyntheticConfig, pool: Pool) -> None:
    sequence = make_sequence(seed, config, pool)
    frames, masks = root / "JPEGImages/480p" / name, root / "Annotations/480p" / name
    for folder in (frames, masks):
        folder.mkdir(parents=True)
    for number, (frame, mask) in enumerate(zip(sequence.frames, sequence.masks, strict=True)):
        with written_whole(frames / f"{number:05d}.jpg") as file:
            Image.fromarray(frame).save(file, format="JPEG", quality=95)
        write_mask(masks / f"{number:05d}.png", mask)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path, "w") as file:
        file.writelines(f"{line}\n" for line in lines)
