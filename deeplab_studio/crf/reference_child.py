"""The process that pydensecrf computes in, and how it is spoken to.

pydensecrf never releases the interpreter lock, and some input makes it crash: in the window's own process it would stop
the window for a second at a time, or end it. The child reads requests from its standard input and answers on its
standard output. A message is the length of a JSON text in eight bytes, the text, and the arrays that it describes.

The child answers after every lattice and every iteration. If nobody listens any more it ends there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import IO, Any

import numpy as np
import numpy.typing as npt

_LENGTH_BYTES = 8

Message = dict[str, Any]
Arrays = list[npt.NDArray[Any]]


def send(stream: IO[bytes], message: Message, *arrays: npt.NDArray[Any]) -> None:
    """Write a message.

    Parameters
    ----------
    stream : binary file
    message : dict
        Plain values, for JSON.
    *arrays : ndarray
        None of them empty; any strides.

    Raises
    ------
    OSError
        If nobody reads.
    """
    described = [(array.dtype.str, array.shape) for array in arrays]
    head = json.dumps({**message, "arrays": described}).encode()
    stream.write(len(head).to_bytes(_LENGTH_BYTES, "little") + head)
    for array in arrays:
        stream.write(np.ascontiguousarray(array).data.cast("B"))
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[Message, Arrays]:
    """Read a message and its arrays.

    Raises
    ------
    EOFError
        If there is none, or not a whole one.
    """
    head = bytearray(_LENGTH_BYTES)
    _fill(stream, memoryview(head))
    text = bytearray(int.from_bytes(head, "little"))
    _fill(stream, memoryview(text))
    message: Message = json.loads(text)
    arrays: Arrays = []
    for dtype, shape in message.pop("arrays"):
        arrays.append(np.empty(shape, dtype))
        _fill(stream, arrays[-1].data.cast("B"))
    return message, arrays


def _fill(stream: IO[bytes], view: memoryview) -> None:
    done = 0
    while done < len(view):
        count = stream.readinto(view[done:])  # type: ignore[attr-defined]  # every binary stream has it, IO does not say
        if not count:
            raise EOFError
        done += count


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is the parent's to handle
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever is printed must not get among the answers
    image: npt.NDArray[np.uint8] | None = None
    try:
        while True:
            request, arrays = receive(requests)
            if request["image"]:
                image = arrays.pop(0)
            assert image is not None
            try:
                _infer(answers, request, image, *arrays)
            except MemoryError:
                send(answers, {"failed": "there is not enough memory for pydensecrf"})
            except (ImportError, ValueError, TypeError, IndexError, RuntimeError) as error:
                send(answers, {"failed": f"pydensecrf cannot be used ({type(error).__name__}: {error})"})
    except (EOFError, OSError):
        # The parent is gone, or has no more use for this process. Without clearing up: the answers have no reader.
        os._exit(0)


def _infer(
    answers: IO[bytes],
    request: Message,
    image: npt.NDArray[np.uint8],
    given: npt.NDArray[np.float32],
    pinned: npt.NDArray[np.int16] | None = None,
) -> None:
    """Run the mean field as pydensecrf's own `inference` does, step by step."""
    import pydensecrf.densecrf as dense_crf
    from pydensecrf.utils import unary_from_softmax

    params = request["params"]
    labels, height, width = given.shape
    normalization = {"symmetric": dense_crf.NORMALIZE_SYMMETRIC, "after": dense_crf.NORMALIZE_AFTER}
    kind = {"kernel": dense_crf.DIAG_KERNEL, "normalization": normalization[params["normalization"]]}
    crf = dense_crf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(-given.reshape(labels, -1) if request["logs"] else unary_from_softmax(given))
    if params["smoothness_weight"] > 0:
        crf.addPairwiseGaussian(sxy=params["smoothness_sigma"], compat=params["smoothness_weight"], **kind)
        send(answers, {"built": "smoothness"})
    if params["appearance_weight"] > 0:
        crf.addPairwiseBilateral(
            sxy=params["appearance_position_sigma"],
            srgb=params["appearance_colour_sigma"],
            rgbim=image,
            compat=params["appearance_weight"],
            **kind,
        )
        send(answers, {"built": "appearance"})

    q, field, message = crf.startInference()
    marginals = np.asarray(q)  # the library's own memory, (labels, pixels)
    decided = np.flatnonzero(pinned.ravel() >= 0) if pinned is not None else None

    def pin() -> None:
        if pinned is not None:
            marginals[:, decided] = 0
            marginals[pinned.ravel()[decided], decided] = 1

    pin()
    iterations = int(params["iterations"])
    if iterations == 0:
        send(answers, {"iteration": 0}, marginals.reshape(given.shape))
    for iteration in range(1, iterations + 1):
        crf.stepInference(q, field, message)
        pin()
        wanted = request["every"] or iteration == iterations
        send(answers, {"iteration": iteration}, *([marginals.reshape(given.shape)] if wanted else []))
