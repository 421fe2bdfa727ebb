"""The label maps that the authors of DeepLab v1 published, before and after their CRF."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.crf_paper import measure, soften


def test_our_crf_moves_the_authors_label_maps_as_theirs_did(shared: Path) -> None:
    before, theirs, ours, softened = measure(shared / "data" / "deeplab_v1_paper", ["v1-largefov"])
    assert theirs["gain"] > 0.05
    assert ours["gain"] >= theirs["gain"] / 2
    # It is the CRF that gains, not the softening.
    assert abs(softened["gain"]) < 0.01
    assert before["miou"] > 0.5


def test_softened_labels_are_probabilities_that_mean_the_labels() -> None:
    labels = np.zeros((60, 90), np.uint8)
    labels[10:50, 20:70] = 15
    p = soften(labels)
    assert p.shape == (21, 60, 90)
    assert np.allclose(p.sum(axis=0), 1, atol=1e-5)
    assert p.min() >= 0.1 / 21 - 1e-6
    assert (p.argmax(axis=0) == labels).mean() > 0.9
    assert 0.2 < p[15, 10, 45] < 0.8  # unsure at the border
