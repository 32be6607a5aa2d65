"""Rendering of synthetic scenes: images with smooth edges, exact masks, and what a camera adds."""

import cv2
import numpy as np

from densevos.data.synthetic.scene import Scene, Sprite, SyntheticConfig


def render_frame(
    scene: Scene, time: float, config: SyntheticConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """What a camera records: motion blur, light and sensor noise. Frame [H,W,3] uint8, mask [H,W]
    uint8.
    """
    size = config.height, config.width
    steps = np.arange(1, config.blur_steps + 1) * config.shutter / (2 * config.blur_steps + 1)
    exposure, mask = render_instant(scene, time, *size)
    for step in (*-steps, *steps):
        exposure += render_instant(scene, time + step, *size)[0]

    frame = exposure / (1 + 2 * config.blur_steps) * light_gain(scene, time, *size)
    frame += config.noise * rng.standard_normal(frame.shape, np.float32)
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8), mask


def light_gain(scene: Scene, time: float, height: int, width: int) -> np.ndarray:
    """Factor [H,W,3] by which the light changes colours: a gain per channel with a slope over the
    frame.
    """
    *colour, across, down = scene.light.at(time).astype(np.float32)
    x = np.linspace(-across, across, width, dtype=np.float32)[:, None]
    y = np.linspace(-down, down, height, dtype=np.float32)[:, None, None]
    return np.exp(y) * np.exp(x + np.array(colour))


def render_instant(
    scene: Scene, time: float, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """The scene at one instant: image [H,W,3] float32 in 0..255 with smooth edges, ids [H,W]
    uint8.
    """
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


def _draw(
    sprite: Sprite, time: float, camera: np.ndarray, image: np.ndarray, mask: np.ndarray
) -> None:
    """Paint a sprite over `image` and `mask` in place."""
    size = sprite.pixels.shape[0]
    x, y, angle, *stretch, ripple_u, ripple_v = sprite.motion.at(time)
    place = _translation(x, y) @ _rotation(angle) @ np.diag([*np.exp(stretch), 1])
    to_screen = camera @ place @ _translation(-(size - 1) / 2, -(size - 1) / 2)
    rows, columns = _reach(to_screen, size, abs(ripple_u) + abs(ripple_v), mask.shape)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return

    u, v = _back_to_sprite(to_screen, rows, columns)
    # Two shears, one after the other: each can be undone, so the outline bends and never folds.
    turns = np.float32(2 * np.pi / size)
    u += np.float32(ripple_u * size) * np.sin(turns * v + np.float32(sprite.ripple_phase[0]))
    v += np.float32(ripple_v * size) * np.sin(turns * u + np.float32(sprite.ripple_phase[1]))
    outside = (0, 0, 0, -size)
    seen = cv2.remap(
        sprite.pixels, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=outside
    )
    distance = seen[..., 3:] * np.float32(
        np.sqrt(np.linalg.det(to_screen[:2, :2]))
    )  # in screen pixels
    region = image[rows, columns]
    region += np.clip(distance + 0.5, 0, 1) * (seen[..., :3] - region)
    mask[rows, columns][seen[..., 3] > 0] = sprite.label


def _back_to_sprite(
    to_screen: np.ndarray, rows: slice, columns: slice
) -> tuple[np.ndarray, np.ndarray]:
    """Sprite coordinates u, v (each [rows,columns] float32) of the pixels of a window of the
    screen.
    """
    back = np.linalg.inv(to_screen).astype(np.float32)
    x = np.arange(columns.start, columns.stop, dtype=np.float32)
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
    return back[0, 0] * x + back[0, 1] * y + back[0, 2], back[1, 0] * x + back[1, 1] * y + back[
        1, 2
    ]


def _reach(
    to_screen: np.ndarray, size: int, ripple: float, shape: tuple[int, ...]
) -> tuple[slice, slice]:
    """Rows and columns of the frame that the disc inside a sprite of `size` may touch."""
    centre = to_screen[:2] @ ((size - 1) / 2, (size - 1) / 2, 1)
    extent = (0.5 + ripple) * size * np.hypot(to_screen[:2, 0], to_screen[:2, 1])
    x0, y0 = np.floor(centre - extent).astype(int)
    x1, y1 = np.ceil(centre + extent).astype(int) + 1

    return slice(max(y0, 0), min(y1, shape[0])), slice(max(x0, 0), min(x1, shape[1]))


def _camera_matrix(state: np.ndarray, height: int, width: int) -> np.ndarray:
    """World to screen: pan, then roll and zoom about the middle of the frame."""
    x, y, roll, zoom = state
    middle = (width - 1) / 2, (height - 1) / 2
    turn = _rotation(roll) @ np.diag([np.exp(zoom), np.exp(zoom), 1])
    return _translation(*middle) @ turn @ _translation(-middle[0] - x, -middle[1] - y)


def _translation(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], float)


def _rotation(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
