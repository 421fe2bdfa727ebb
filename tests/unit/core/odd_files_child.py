"""Opens every file of a folder in its own process and prints one JSON line about each.

Started by test_odd_files, so that a crash, a hang or an appetite for memory of a decoder is a failed test and not the
end of the test run.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PilImage
from PIL import ImageOps

from deeplab_studio.core.images import ImageError, image_size, load_image, load_thumbnail

THUMBNAIL = 96


def look_at(path: Path) -> dict[str, Any]:
    try:
        size = image_size(path)
    except ImageError:
        size = None
    try:
        image = load_image(path)
    except ImageError as error:
        return {"refused": str(error), "reason": error.reason, "hint": error.hint, "about": str(error.path)}
    thumbnail = load_thumbnail(path, THUMBNAIL)
    return {
        "format": image.format,
        "size": [image.width, image.height],
        "header_size": size,
        "orientation": image.orientation,
        "notes": image.notes,
        "sane": image.pixels.dtype == np.uint8
        and image.pixels.shape == (image.height, image.width, 3)
        and image.pixels.flags.c_contiguous,
        "thumbnail": list(thumbnail.shape),
        "from_pillow": distance_to_pillow(path, image.pixels) if not image.notes else None,
    }


def distance_to_pillow(path: Path, pixels: np.ndarray[Any, Any]) -> int:
    """Largest difference to what the plain calls of Pillow give."""
    with PilImage.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    if expected.shape != pixels.shape:
        return 255
    return int(np.abs(expected.astype(np.int16) - pixels).max())


def say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    folder, limit = Path(sys.argv[1]), int(sys.argv[2])
    # Twice what is allowed, so that the machine survives a failure: address space is more than memory.
    resource.setrlimit(resource.RLIMIT_AS, (2 * limit, 2 * limit))
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "INVENTORY.tsv":
            name = path.relative_to(folder).as_posix()
            # Said before it is tried: if the process dies, the last name is the culprit.
            say({"name": name})
            say({"name": name, **look_at(path)})
    say({"name": "", "peak": peak_memory()})


def peak_memory() -> int:
    """Bytes this program held at most."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux counts the process that started this one into ru_maxrss; this it does not.
        (peak,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
