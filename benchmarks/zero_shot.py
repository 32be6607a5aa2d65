"""Seconds and memory of zero-shot segmentation of 480x854 frames, part by part, on one core.

    OMP_NUM_THREADS=1 python benchmarks/zero_shot.py [--frames 24] [--lengths 50 500]
        [--out FILE.json]

The video is rendered: the photograph of a cat moves before that of a motorcycle, which the camera
passes by (both come with scikit-image). Motion, superpixels and votes work on frames of 240 pixels,
as the commands do. Plain formulations stand beside where there are any: the similarity of all pairs
of superpixels instead of the nearest, and GrabCut of the whole frame at full size instead of the
reduced surroundings of a box. Mask R-CNN has random weights: its time is that of the network,
without the masks of many detections. Each row runs in a process of its own. The script prints a
table and, as the last line, one JSON object.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from skimage import data

import page_tables
from densevos.data.foreground import consensus
from densevos.data.foreground.crf import refine
from densevos.data.foreground.flow import dis_flow
from densevos.data.foreground.motion import own_motion
from densevos.data.foreground.superpixels import superpixels
from densevos.data.foreground.video import SHORT_SIDE, small_frame, window_foreground, windows
from densevos.engine.provenance import commit
from harness import Row, in_own_process, parser_of, peak_mb, report, resident_mb

SIZE = (480, 854)
OBJECT = (180, 240)
"""Height and width of the cat."""


class Rendered:
    """A `FrameReader` that draws its frames when they are read, so that no video lies in memory."""

    path = Path("rendered")

    def __init__(self, length: int):
        self.length = length
        self.ground = cv2.resize(data.stereo_motorcycle()[0], (SIZE[1] + 200, SIZE[0]))
        self.cat = cv2.resize(data.chelsea(), OBJECT[::-1])

        # An ellipse that touches the sides of the cat's box, [180,240] bool.
        y, x = np.mgrid[-1 : 1 : OBJECT[0] * 1j, -1 : 1 : OBJECT[1] * 1j]
        self.shape = x**2 + y**2 < 1

    @property
    def names(self) -> list[str]:
        """Numbers."""
        return [f"{index:05d}" for index in range(self.length)]

    def __len__(self) -> int:
        return self.length

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Frames [B,480,854,3] uint8."""
        return np.stack([self.frame(index) for index in indices])

    def frame(self, index: int) -> np.ndarray:
        """The cat goes round and round; the camera swings by 200 pixels."""
        # The ground is 200 pixels wider than a frame.
        swing = round(100 + 100 * np.sin(index / 40))
        image = self.ground[:, swing : swing + SIZE[1]].copy()
        image[self.place(index)][self.shape] = self.cat[self.shape]
        return image

    def place(self, index: int) -> tuple[slice, slice]:
        """Where the cat's box is."""
        # The box never leaves the frame: 60 to 240 from the top, 50 to 550 from the left.
        top, left = round(150 + 90 * np.sin(index / 12)), round(300 + 250 * np.cos(index / 15))
        return slice(top, top + OBJECT[0]), slice(left, left + OBJECT[1])

    def probability(self, index: int) -> np.ndarray:
        """Where the cat is, as soft as a foreground map: [480,854] float32."""
        mask = np.zeros(SIZE, np.float32)
        mask[self.place(index)] = self.shape
        return cv2.GaussianBlur(mask, (0, 0), 6)

    def seconds(self) -> None:
        """A rendered video has no times."""


def per_frame(work: Callable[[int], object], frames: int) -> float:
    """Seconds of `work` for each of so many frames, after one to warm up."""
    work(0)
    start = time.perf_counter()
    for index in range(frames):
        work(index)

    return (time.perf_counter() - start) / frames


def small_frames(frames: int) -> list[np.ndarray]:
    """Frames as the methods see them."""
    # One more than is measured: flow goes from each frame to the next.
    reader = Rendered(frames + 1)
    return [small_frame(reader, index, SHORT_SIDE).image for index in range(frames + 1)]


def of_flow(frames: int) -> Row:
    """Both directions."""
    small = small_frames(frames)

    def both(t: int) -> None:
        dis_flow(small[t], small[t + 1], finest=0)
        dis_flow(small[t + 1], small[t], finest=0)

    return {"seconds": per_frame(both, frames)}


def of_motion_map(frames: int) -> Row:
    """From the flow."""
    small = small_frames(frames)
    flows = [dis_flow(small[t], small[t + 1], finest=0) for t in range(frames)]
    size = (small[0].shape[0], small[0].shape[1])

    # Two flows a frame, as in a video: to the next frame and to the one before.
    def motion(t: int) -> np.ndarray:
        return own_motion([flows[t], flows[t]], size)

    return {"seconds": per_frame(motion, frames)}


def of_superpixels(frames: int) -> Row:
    """SLIC."""
    small = small_frames(frames)
    return {"seconds": per_frame(lambda t: superpixels(small[t], consensus.COUNT), frames)}


def nodes_of(frames: int) -> list[consensus.Nodes]:
    """Nodes of successive frames."""
    small = small_frames(frames)
    size = (small[0].shape[0], small[0].shape[1])

    nodes = []
    for t in range(frames):
        motion = own_motion([dis_flow(small[t], small[t + 1], finest=0)], size)
        nodes.append(consensus.nodes(small[t], motion))

    return nodes


def of_votes(frames: int, *, dense: bool) -> Row:
    """The graph and its votes; dense: every pair of superpixels votes, and nothing else."""
    nodes = nodes_of(frames)
    before, start = resident_mb(), time.perf_counter()
    if dense:
        # |a - b|^2 = |a|^2 + |b|^2 - 2 a.b, for all pairs of superpixels at once.
        features = np.concatenate([node.features for node in nodes])
        squares = (features**2).sum(axis=1)
        distances = squares[:, None] + squares - 2 * features @ features.T
        similar = np.exp(-distances / consensus.ALIKE**2)
        similar /= similar.sum(axis=1, keepdims=True)

        # In each round a superpixel takes the mean vote of all, and keeps a part of its own.
        moving = np.concatenate([node.moving for node in nodes])
        share = consensus.NEIGHBOURS_SHARE
        votes = moving
        for _ in range(consensus.ROUNDS):
            votes = (share * (similar @ votes) + moving) / (share + 1)
    else:
        # None: no flow links the superpixels of successive frames here, on either side.
        consensus.consensus(nodes, [None] * (frames - 1))

    return {"seconds": (time.perf_counter() - start) / frames, "peak_mb": round(peak_mb() - before)}


def of_consensus(frames: int) -> Row:
    """All of it, from frames to probabilities, and the most memory."""
    reader = Rendered(frames)
    before, start = resident_mb(), time.perf_counter()
    for window in windows(frames, "consensus"):
        for _ in window_foreground(reader, window, "consensus", SHORT_SIDE):
            pass

    return {"seconds": (time.perf_counter() - start) / frames, "peak_mb": round(peak_mb() - before)}


def of_crf(frames: int) -> Row:
    """At the frame's size."""
    reader = Rendered(frames)
    return {"seconds": per_frame(lambda t: refine(reader.probability(t), reader.frame(t)), frames)}


def of_proposals(kind: str, frames: int) -> Row:
    """One kind of proposals, with the true foreground."""
    reader = Rendered(frames)
    if kind == "maskrcnn":
        # Random weights: nothing is downloaded, and the time of the network is the same.
        import torch
        from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

        torch.set_num_threads(1)
        network = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None).eval()
        image = torch.from_numpy(reader.frame(0)).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            return {"seconds": per_frame(lambda t: network([image]), 2)}

    from densevos_eval.zeroshot.proposals.registry import load_proposals

    # These kinds make the same proposals of every sequence, so none has to be named.
    proposals = load_proposals(kind, device="cpu", threshold=0.5)
    source = proposals.of_sequence(None)  # type: ignore[arg-type]

    return {"seconds": per_frame(lambda t: source(reader.frame(t), reader.probability(t)), frames)}


def of_grabcut(frames: int, *, whole: bool) -> Row:
    """One box; whole: the whole frame at full size, by the box alone."""
    from densevos_eval.zeroshot.proposals.grabcut import GrabCut

    reader, cut = Rendered(frames), GrabCut()

    def box(t: int) -> tuple[int, int, int, int]:
        rows, columns = reader.place(t)
        return columns.start, rows.start, OBJECT[1], OBJECT[0]

    def ours(t: int) -> None:
        cut(reader.frame(t), box(t), reader.probability(t))

    # OpenCV's own example: BGR pixels, a box, and models of colour that start empty.
    def plain(t: int) -> None:
        labels = np.zeros(SIZE, np.uint8)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        image = np.ascontiguousarray(reader.frame(t)[..., ::-1])
        cv2.grabCut(image, labels, box(t), *models, cut.iterations, cv2.GC_INIT_WITH_RECT)

    return {"seconds": per_frame(plain if whole else ours, frames)}


def of_association(frames: int) -> Row:
    """Flow, warping and assignment of one object a frame."""
    from densevos_eval.zeroshot.linking.association import Association
    from densevos_eval.zeroshot.linking.track import FrameProposals
    from densevos_eval.zeroshot.proposals.parts import Parts

    reader, parts = Rendered(frames), Parts()
    frames_with_proposals = []
    for t in range(frames):
        frame, probability = reader.frame(t), reader.probability(t)
        proposals = parts(frame, probability)
        frames_with_proposals.append(
            FrameProposals(frame=frame, foreground=probability > 0.5, proposals=proposals)
        )

    # Proposals are a row of their own, so the clock starts after them.
    start = time.perf_counter()
    Association()(frames_with_proposals)

    return {"seconds": (time.perf_counter() - start) / frames}


ROWS: dict[str, Callable[[int], Row]] = {
    "flow, both directions (240 px)": of_flow,
    "motion map": of_motion_map,
    "superpixels": of_superpixels,
    "votes, nearest (ours)": lambda frames: of_votes(frames, dense=False),
    "votes, all pairs": lambda frames: of_votes(frames, dense=True),
    "consensus, all of it": of_consensus,
    "dense CRF": of_crf,
    "proposals: parts": lambda frames: of_proposals("parts", frames),
    "proposals: edgebox": lambda frames: of_proposals("edgebox", frames),
    "proposals: maskrcnn": lambda frames: of_proposals("maskrcnn", frames),
    "GrabCut of one box (ours)": lambda frames: of_grabcut(frames, whole=False),
    "GrabCut, whole frame": lambda frames: of_grabcut(min(frames, 4), whole=True),
    "association": of_association,
}


def main() -> None:
    """Measure each row in a process of its own."""
    parser = parser_of(__doc__, own_processes=True)
    parser.add_argument("--frames", type=int, default=24, help="frames of each row")
    parser.add_argument(
        "--lengths", type=int, nargs="+", default=[50, 500], help="frames of videos for the memory"
    )
    parser.add_argument("--parts", nargs="+", default=list(ROWS), help="rows to measure, by name")
    options = parser.parse_args()
    cv2.setNumThreads(1)

    if options.one:
        # NAME:FRAMES, where a name may hold a colon itself.
        name, frames = options.one.rsplit(":", 1)
        row = ROWS[name](int(frames))
        print(json.dumps({key: round(float(value), 4) for key, value in row.items()}))
        return

    # Libraries read their number of threads when they are loaded, so it is set for the process.
    def measured(name: str, frames: int) -> Row:
        arguments = [str(Path(__file__)), "--one", f"{name}:{frames}"]
        row = in_own_process(arguments, {"OMP_NUM_THREADS": "1"})
        return {"part": name, "frames": frames, **row}

    # All parts at one length, then memory over the length: it should not grow with it.
    rows = [measured(name, options.frames) for name in options.parts]
    rows += [measured("consensus, all of it", length) for length in options.lengths]
    machine = {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }
    command = " ".join(["python", "benchmarks/zero_shot.py", *sys.argv[1:]])
    made = {
        "date": date.today().isoformat(),
        "commit": commit(),
        "command": command,
        "machine": machine,
    }
    figures = {**made, "size": SIZE, "rows": rows}
    report(figures, page_tables.zero_shot(figures), out=options.out)


if __name__ == "__main__":
    main()
