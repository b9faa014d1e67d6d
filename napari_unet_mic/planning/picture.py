"""The architecture as a picture: SVG written by hand, PNG through Pillow.

One list of boxes, lines and words is drawn; only the last step differs. A tall
network is split over pages of A4's proportions, since one sheet cannot hold it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet_mic.data.files import write_whole
from napari_unet_mic.errors import BadInput
from napari_unet_mic.planning.topology import NetworkFacts, StageFacts

if TYPE_CHECKING:
    from PIL import ImageDraw

WIDTH = 840
PAGE_HEIGHT = 1188  # A4's proportions at this width
HEAD, FOOT = 96, 60
STAGE_HEIGHT = 150
STAGES_PER_PAGE = (PAGE_HEIGHT - HEAD - FOOT) // STAGE_HEIGHT
SCALE = 2  # pixels a unit in PNG

INK, FAINT, PAPER = "#1b1f24", "#6b7480", "#ffffff"
ENCODER, DECODER, OUTPUT, SKIP = "#cfe3f5", "#fbe3c8", "#d5ecd4", "#9aa5b1"
LEFT, RIGHT, BOX = 60, 470, 280
_IN_PILLOWS_FONT = str.maketrans({"×": "x", "→": "to"})  # its built-in font lacks these


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float
    height: float
    fill: str


@dataclass(frozen=True)
class _Arrow:
    x0: float
    y0: float
    x1: float
    y1: float
    colour: str = INK
    dashed: bool = False
    tip: bool = True


@dataclass(frozen=True)
class _Words:
    x: float
    y: float
    text: str
    size: int = 13
    colour: str = INK
    anchor: str = "start"


_Shape = _Box | _Arrow | _Words


def draw(facts: NetworkFacts, file: str | os.PathLike[str]) -> list[Path]:
    """Draw a network into an .svg or .png file.

    Parameters
    ----------
    facts
        From `topology.describe`.
    file
        Where to; with more stages than a page holds, the pages are `<name>-1.svg`,
        `<name>-2.svg`, …

    Returns
    -------
    The files written, in order.

    Raises
    ------
    BadInput
        Another kind of file, or a PNG where Pillow is not installed.
    """
    path = Path(file)
    pages = _pages(facts)
    write: Callable[[Path, list[_Shape], float], None]
    if path.suffix.lower() == ".svg":
        write = _write_svg
    elif path.suffix.lower() == ".png":
        write = _png_writer(path)
    else:
        raise BadInput(
            file,
            expected="a name that ends in .svg or .png",
            got=path.suffix or "no ending",
            advice="name the picture so",
        )
    files = [
        path if len(pages) == 1 else path.with_stem(f"{path.stem}-{number}")
        for number in range(1, len(pages) + 1)
    ]
    for target, (shapes, height) in zip(files, pages, strict=True):
        write(target, shapes, height)
    return files


def _pages(facts: NetworkFacts) -> list[tuple[list[_Shape], float]]:
    n_pages = -(-facts.n_stages // STAGES_PER_PAGE)
    # pages as even as they can be: 8 stages are 4 + 4, not 6 + 2
    per_page = -(-facts.n_stages // n_pages)
    pages = []
    for number in range(n_pages):
        stages = facts.stages[number * per_page : (number + 1) * per_page]
        shapes = _heading(facts, number + 1, n_pages)
        for row, stage in enumerate(stages):
            shapes += _stage(facts, stage, HEAD + row * STAGE_HEIGHT)
        bottom = HEAD + len(stages) * STAGE_HEIGHT
        shapes.append(_Words(LEFT, bottom + 24, facts.stage_sentence + _limits(facts), 13, FAINT))
        pages.append((shapes, float(bottom + FOOT)))
    return pages


def _heading(facts: NetworkFacts, page: int, n_pages: int) -> list[_Shape]:
    title = f"{facts.network} · {facts.configuration}"
    if n_pages > 1:
        title += f" · page {page} of {n_pages}"
    spacing = " ".join(f"{s:.3g}" for s in facts.spacing)
    line = (
        f"{facts.n_channels} channel{_plural(facts.n_channels)} in, "
        f"{facts.n_classes} classes out · patch {_times(facts.patch_size)} · "
        f"batch {facts.batch_size} · {spacing} mm · {facts.parameters / 1e6:.1f} M parameters"
    )
    return [
        _Words(LEFT, 34, title, 20),
        _Words(LEFT, 58, line, 13, FAINT),
        _Words(LEFT, 82, "encoder", 13, FAINT),
        _Words(RIGHT, 82, "decoder", 13, FAINT),
    ]


def _stage(facts: NetworkFacts, stage: StageFacts, top: float) -> list[_Shape]:
    """One resolution level: encoder box, skip, decoder box, output."""
    last = stage.index == facts.n_stages - 1
    kind = "residual block" if facts.network == "ResidualEncoderUNet" else "convolution"
    kernel = _times(stage.kernel)
    height = 84.0
    middle = top + height / 2
    shapes: list[_Shape] = [
        _Box(LEFT, top, BOX, height, ENCODER),
        _Words(LEFT + 12, top + 24, f"stage {stage.index}: {_times(stage.size)}", 15),
        _Words(LEFT + 12, top + 46, f"{stage.blocks} × {kind}{_plural(stage.blocks)} {kernel}"),
        _Words(LEFT + 12, top + 67, f"{stage.features} features", 13, FAINT),
    ]
    if last:
        up = RIGHT + BOX / 2
        return [
            *shapes,
            _Arrow(LEFT + BOX, middle, up, middle, tip=False),
            _Arrow(up, middle, up, top - 4, tip=False),
        ]
    n = stage.decoder_convolutions
    shapes += [
        _Arrow(LEFT + BOX, middle, RIGHT, middle, SKIP, dashed=True),
        _Words((LEFT + BOX + RIGHT) / 2, middle - 8, "skip", 12, FAINT, "middle"),
        _Box(RIGHT, top, BOX, height, DECODER),
        _Words(RIGHT + 12, top + 24, f"{n} × convolution{_plural(n)}", 15),
        _Words(RIGHT + 12, top + 46, f"{2 * stage.features} → {stage.features} features"),
        _Box(RIGHT + BOX - 92, top + 54, 84, 24, OUTPUT),
        _Words(RIGHT + BOX - 50, top + 70, "output", 12, INK, "middle"),
    ]
    below = facts.stages[stage.index + 1]
    down, up = LEFT + 30, RIGHT + BOX / 2
    stride = _times(below.stride)
    end = top + STAGE_HEIGHT - 4
    return [
        *shapes,
        _Arrow(down, top + height, down, end),
        _Words(down + 14, top + height + 24, f"stride {stride}"),
        _Words(down + 14, top + height + 44, below.reason, 11, FAINT),
        _Words(up + 12, top + height + 30, f"transposed {stride}"),
        _Arrow(up, end, up, top + height + 4),
    ]


def _limits(facts: NetworkFacts) -> str:
    gb = facts.memory_bytes_estimate / 1e9
    return (
        f" · one voxel of the last stage sees {_times(facts.receptive_field)} · about {gb:.1f} GB"
    )


def _write_svg(file: Path, shapes: Sequence[_Shape], height: float) -> None:
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}" '
        f'viewBox="0 0 {WIDTH} {height:g}" font-family="Helvetica, Arial, sans-serif">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="context-stroke"/>'
        "</marker></defs>",
        f'<rect width="{WIDTH}" height="{height:g}" fill="{PAPER}"/>',
        *map(_svg, shapes),
        "</svg>",
    ]
    text = "\n".join(lines) + "\n"
    write_whole(file, lambda path: _put(path, text))


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _svg(shape: _Shape) -> str:
    if isinstance(shape, _Box):
        return (
            f'<rect x="{shape.x:g}" y="{shape.y:g}" width="{shape.width:g}" '
            f'height="{shape.height:g}" rx="4" fill="{shape.fill}" stroke="{INK}"/>'
        )
    if isinstance(shape, _Arrow):
        dash = ' stroke-dasharray="5 4"' if shape.dashed else ""
        tip = ' marker-end="url(#tip)"' if shape.tip else ""
        return (
            f'<line x1="{shape.x0:g}" y1="{shape.y0:g}" x2="{shape.x1:g}" y2="{shape.y1:g}" '
            f'stroke="{shape.colour}" stroke-width="1.5"{dash}{tip}/>'
        )
    return (
        f'<text x="{shape.x:g}" y="{shape.y:g}" font-size="{shape.size}" '
        f'fill="{shape.colour}" text-anchor="{shape.anchor}">{escape(shape.text)}</text>'
    )


def _png_writer(file: Path) -> Callable[[Path, list[_Shape], float], None]:
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise BadInput(
            file,
            expected="Pillow, which draws PNG files",
            got="an installation without it",
            advice="write an .svg instead, or install pillow (napari brings it)",
        ) from None

    def write(target: Path, shapes: list[_Shape], height: float) -> None:
        image = Image.new("RGB", (WIDTH * SCALE, round(height) * SCALE), PAPER)
        pen = ImageDraw.Draw(image)
        for shape in shapes:
            if isinstance(shape, _Words):
                pen.text(
                    (shape.x * SCALE, shape.y * SCALE),
                    shape.text.translate(_IN_PILLOWS_FONT),
                    fill=shape.colour,
                    font=ImageFont.load_default(shape.size * SCALE),
                    anchor="ms" if shape.anchor == "middle" else "ls",
                )
            elif isinstance(shape, _Box):
                corners = (shape.x, shape.y, shape.x + shape.width, shape.y + shape.height)
                pen.rounded_rectangle(
                    [n * SCALE for n in corners], 4 * SCALE, shape.fill, INK, SCALE
                )
            else:
                _pen_arrow(pen, shape)
        write_whole(target, lambda path: image.save(path, format="PNG"))

    return write


def _pen_arrow(pen: ImageDraw.ImageDraw, arrow: _Arrow) -> None:
    """A straight line with a tip; only ever along an axis."""
    dx, dy = arrow.x1 - arrow.x0, arrow.y1 - arrow.y0
    length = abs(dx) + abs(dy)
    ux, uy = dx / length, dy / length
    step, on = (9.0, 5.0) if arrow.dashed else (length, length)
    at = 0.0
    while at < length:
        end = min(at + on, length)
        ends: Any = [
            (arrow.x0 + ux * at) * SCALE,
            (arrow.y0 + uy * at) * SCALE,
            (arrow.x0 + ux * end) * SCALE,
            (arrow.y0 + uy * end) * SCALE,
        ]
        pen.line(ends, fill=arrow.colour, width=round(1.5 * SCALE))
        at += step
    if not arrow.tip:
        return
    back, side = 9.0, 4.5
    base_x, base_y = arrow.x1 - ux * back, arrow.y1 - uy * back
    tip = [
        (arrow.x1 * SCALE, arrow.y1 * SCALE),
        ((base_x - uy * side) * SCALE, (base_y + ux * side) * SCALE),
        ((base_x + uy * side) * SCALE, (base_y - ux * side) * SCALE),
    ]
    pen.polygon(tip, fill=arrow.colour)


def _times(numbers: Sequence[float]) -> str:
    return "×".join(f"{n:g}" for n in numbers)


def _plural(n: int) -> str:
    return "s" if n != 1 else ""
