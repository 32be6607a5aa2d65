"""Render synthetic scenes: images with smooth edges, exact masks, and the effects of a camera."""

# Shapes: H x W pixels of a frame, S x S of a sprite. Matrices are 3 x 3, for homogeneous (x, y, 1).

import cv2
import numpy as np

from densevos.data.synthetic.scene import Scene, Sprite, SyntheticConfig


def render_frame(
    scene: Scene, time: float, config: SyntheticConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Render a frame as a camera records it: with motion blur, light and sensor noise.

    Args:
        scene: The scene.
        time: Middle of the exposure, in frames.
        config: Size of the frame, shutter and noise.
        rng: Source of the noise.

    Returns:
        Frame [H,W,3] uint8 RGB and ids [H,W] uint8 at `time`.
    """
    height, width = config.height, config.width

    # Motion blur: the average of renderings, symmetric about the middle of the exposure.
    steps = np.arange(1, config.blur_steps + 1) * config.shutter / (2 * config.blur_steps + 1)
    exposure, mask = render_instant(scene, time, height, width)
    for step in np.concatenate([-steps, steps]):
        exposure += render_instant(scene, time + step, height, width)[0]

    frame = exposure / (1 + 2 * config.blur_steps) * light_gain(scene, time, height, width)
    frame += config.noise * rng.standard_normal(frame.shape, np.float32)
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8), mask


def light_gain(scene: Scene, time: float, height: int, width: int) -> np.ndarray:
    """The factor by which the light changes each pixel: a gain per channel, with a slope.

    Args:
        scene: The scene.
        time: Time, in frames.
        height: Height of the frame, pixels.
        width: Width of the frame, pixels.

    Returns:
        [H,W,3] float32.
    """
    light = scene.light.at(time).astype(np.float32)
    colour, across, down = light[:3], light[3], light[4]
    x = np.linspace(-across, across, width, dtype=np.float32)[:, None]
    y = np.linspace(-down, down, height, dtype=np.float32)[:, None, None]
    light_map: np.ndarray = np.exp(y) * np.exp(x + colour)
    return light_map


def render_instant(
    scene: Scene, time: float, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Render the scene at one instant, without the effects of a camera.

    Args:
        scene: The scene.
        time: Time, in frames.
        height: Height of the frame, pixels.
        width: Width of the frame, pixels.

    Returns:
        Image [H,W,3] float32 in 0..255 with smooth edges, and ids [H,W] uint8.
    """
    camera = _camera_matrix(scene.camera.at(time), height, width)

    # The background is larger than the frame, and both share their middle.
    margin_x, margin_y = (np.array(scene.background.shape[1::-1]) - (width, height)) / 2
    background_to_screen = camera @ _translation(-margin_x, -margin_y)
    image = cv2.warpAffine(
        scene.background,
        background_to_screen[:2],
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )

    # Back to front: later sprites hide earlier ones.
    mask = np.zeros((height, width), np.uint8)
    for sprite in scene.sprites:
        _draw(sprite, time, camera, image, mask)

    return image, mask


def _draw(
    sprite: Sprite, time: float, camera: np.ndarray, image: np.ndarray, mask: np.ndarray
) -> None:
    """Paint a sprite over `image` and `mask` in place."""
    size = sprite.pixels.shape[0]
    state = sprite.motion.at(time)
    x, y, angle = state[:3]
    scale_u, scale_v = np.exp(state[3:5])
    ripple_u, ripple_v = state[5:]
    place = _translation(x, y) @ _rotation(angle) @ np.diag([scale_u, scale_v, 1])
    to_screen = camera @ place @ _translation(-(size - 1) / 2, -(size - 1) / 2)
    rows, columns = _reach(to_screen, size, abs(ripple_u) + abs(ripple_v), mask.shape)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return

    u, v = _back_to_sprite(to_screen, rows, columns)

    # Two shears in turn: each is invertible, so the outline bends and never folds.
    turns = np.float32(2 * np.pi / size)
    u += np.float32(ripple_u * size) * np.sin(turns * v + np.float32(sprite.ripple_phase[0]))
    v += np.float32(ripple_v * size) * np.sin(turns * u + np.float32(sprite.ripple_phase[1]))

    # Beyond its pixels the sprite is far outside its outline.
    outside = (0, 0, 0, -size)
    warped = cv2.remap(
        sprite.pixels, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=outside
    )

    # The signed distance in screen pixels is the cover of a pixel at the edge, for smooth edges.
    scale = np.float32(np.sqrt(np.linalg.det(to_screen[:2, :2])))
    distance = warped[..., 3:] * scale
    cover = np.clip(distance + 0.5, 0, 1)
    region = image[rows, columns]
    region += cover * (warped[..., :3] - region)

    # The mask is exact: a pixel belongs to the sprite if its centre lies inside the outline.
    mask[rows, columns][warped[..., 3] > 0] = sprite.label


def _back_to_sprite(
    to_screen: np.ndarray, rows: slice, columns: slice
) -> tuple[np.ndarray, np.ndarray]:
    """Sprite coordinates u and v, each [rows,columns] float32, of the pixels of a screen window."""
    back = np.linalg.inv(to_screen).astype(np.float32)
    x = np.arange(columns.start, columns.stop, dtype=np.float32)
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
    u = back[0, 0] * x + back[0, 1] * y + back[0, 2]
    v = back[1, 0] * x + back[1, 1] * y + back[1, 2]
    return u, v


def _reach(
    to_screen: np.ndarray, size: int, ripple: float, shape: tuple[int, ...]
) -> tuple[slice, slice]:
    """Rows and columns of the frame that the disc inside a sprite of `size` may cover."""
    centre = to_screen[:2] @ ((size - 1) / 2, (size - 1) / 2, 1)
    # Half of the bounding box of the disc after the affine map, with room for the ripples.
    extent = (0.5 + ripple) * size * np.hypot(to_screen[:2, 0], to_screen[:2, 1])
    x0, y0 = np.floor(centre - extent).astype(int)
    x1, y1 = np.ceil(centre + extent).astype(int) + 1

    return slice(max(y0, 0), min(y1, shape[0])), slice(max(x0, 0), min(x1, shape[1]))


def _camera_matrix(state: np.ndarray, height: int, width: int) -> np.ndarray:
    """The map from world to screen: pan, then roll and zoom about the middle of the frame."""
    x, y, roll, zoom = state
    middle = (width - 1) / 2, (height - 1) / 2
    turn = _rotation(roll) @ np.diag([np.exp(zoom), np.exp(zoom), 1])
    matrix: np.ndarray = _translation(*middle) @ turn @ _translation(-middle[0] - x, -middle[1] - y)
    return matrix


def _translation(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], float)


def _rotation(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
