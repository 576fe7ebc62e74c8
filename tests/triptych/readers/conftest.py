"""A writer of FCS files of every layout, independent of the reader."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


def encode(values: np.ndarray, datatype: str, bits: list[int], order: str) -> bytes:
    """DATA segment of integers or floats, channel by channel."""
    if datatype in "FD":
        return values.astype(
            f"{'<' if order.startswith('1') else '>'}f{4 if datatype == 'F' else 8}"
        ).tobytes()
    name = "little" if order.startswith("1") else "big"
    if any(width % 8 for width in bits):
        return packed(values, bits, name)
    return b"".join(
        int(value).to_bytes(width // 8, name)
        for row in values
        for value, width in zip(row, bits, strict=True)
    )


def packed(values: np.ndarray, bits: list[int], name: str) -> bytes:
    """One stream of bits without filler, from the highest bit of a byte (big) or from the lowest (little)."""
    stream = "".join(
        f"{int(value):0{width}b}"[:: 1 if name == "big" else -1]
        for row in values
        for value, width in zip(row, bits, strict=True)
    )
    stream += "0" * (-len(stream) % 8)
    pieces = (stream[first : first + 8][:: 1 if name == "big" else -1] for first in range(0, len(stream), 8))
    return bytes(int(piece, 2) for piece in pieces)


def fcs(
    path: Path,
    values: np.ndarray,
    *,
    version: str = "3.1",
    datatype: str = "F",
    bits: list[int] | None = None,
    order: str = "1,2,3,4",
    names: list[str] | None = None,
    keywords: dict[str, str] | None = None,
    late: int = 0,
    data: bytes | None = None,
) -> Path:
    """Write one data set; ``late`` bytes are added to the stated end of DATA, ``data`` stands for the coded values."""
    n, d = values.shape
    bits = bits or [{"F": 32, "D": 64, "I": 16}[datatype]] * d
    names = names or [f"FL{j + 1}-A" for j in range(d)]
    data = encode(values, datatype, bits, order) if data is None else data
    text = {
        "$BYTEORD": order,
        "$DATATYPE": datatype,
        "$MODE": "L",
        "$NEXTDATA": "0",
        "$PAR": str(d),
        "$TOT": str(n),
        "$BEGINANALYSIS": "0",
        "$ENDANALYSIS": "0",
        "$BEGINSTEXT": "0",
        "$ENDSTEXT": "0",
    }
    for j, (name, width) in enumerate(zip(names, bits, strict=True), start=1):
        text |= {f"$P{j}N": name, f"$P{j}B": str(width), f"$P{j}E": "0,0", f"$P{j}R": "262144"}
    start = 4096
    if version != "2.0":
        text |= {"$BEGINDATA": str(start), "$ENDDATA": str(start + len(data) - 1 + late)}
    text |= keywords or {}
    body = "/" + "/".join(f"{key}/{value}" for key, value in text.items()) + "/"
    header = f"FCS{version}    " + "".join(
        f"{number:>8}" for number in (256, 255 + len(body), start, start + len(data) - 1 + late, 0, 0)
    )
    path.write_bytes(header.encode().ljust(256) + body.encode().ljust(start - 256) + data + b"\0" * late)
    return path


@pytest.fixture
def write_fcs() -> Callable[..., Path]:
    """Writes an FCS file: path, values, then layout by keywords."""
    return fcs
