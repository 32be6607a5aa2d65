"""densevos-eval studio: a page in the browser to mark, propagate, correct and export."""

from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from densevos_eval.adapters.options import EncoderOptions
from densevos_eval.inputs.footage import OWN_SIDE
from densevos_eval.presets.options import PropagationOptions

if TYPE_CHECKING:
    from densevos_eval.propagation.propagate import Propagation


def studio(
    video: tyro.conf.Positional[Path],
    encoder: EncoderOptions,
    options: PropagationOptions,
    out: Path | None = None,
    port: int | None = None,
    browser: bool = True,
) -> None:
    """Mark objects of a clip in the browser, propagate, correct and export; nothing leaves this
    machine.

    The page is served to this machine alone, at an address with a secret that is printed. Ctrl-C
    ends it. The project is a folder that `propagate --video CLIP --mask OUT/given --out OUT/masks
    --resume` understands.

    Args:
        video: A video file or a folder of frames.
        encoder: What computes the features.
        options: How labels are propagated.
        out: Folder of the project. Without this option it is CLIP-studio in the working directory.
        port: Port of the page. Without this option any free port is taken.
        browser: Open the page in the browser.
    """
    from densevos_eval.studio.server import serve

    # A wrong option ends the command before the server starts.
    setup = options.setup()

    # The server calls this later, so the page opens before the encoder is loaded.
    def load() -> "Propagation":
        from densevos_eval.propagation.propagate import Propagation

        return Propagation.loaded(encoder.device, encoder=encoder, setup=setup, max_side=OWN_SIDE)

    # Resolved, since a path such as `.` has no name.
    folder = out or Path(f"{video.resolve().stem}-studio")
    serve(video, folder, load, encoder=encoder.encoder, port=port, browser=browser)
