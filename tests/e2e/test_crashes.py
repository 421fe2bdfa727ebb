"""The program killed while a person labels: what is left is never older than two seconds."""

from __future__ import annotations

import os

import pytest

from benchmarks.crash import kill_programs
from benchmarks.small_disk import SmallDisk

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the programs are forked from one")

LATE_S = 8.0
"""The benchmark holds the program to two seconds; beside other tests nobody gets the processor when it is due."""


def test_killed_at_any_moment_it_loses_nothing_old_and_a_cut_log_keeps_every_whole_transaction() -> None:
    results = kill_programs(6, full_disk=False, cuts=4, longest=3.0, jobs=3, seed=1, promise=LATE_S)
    assert [problem for result in results for problem in result.problems] == []
    assert sum(result.steps for result in results) > 0
    cuts = sum(result.cuts for result in results)
    assert cuts > 0
    assert sum(result.cuts_whole for result in results) == cuts


@pytest.mark.slow
@pytest.mark.skipif(SmallDisk.missing() is not None, reason=f"needs a small disk: {SmallDisk.missing()}")
def test_a_disk_that_fills_up_costs_nothing_and_is_told() -> None:
    results = kill_programs(2, full_disk=True, cuts=1, longest=3.0, jobs=2, seed=1, promise=LATE_S)
    assert [problem for result in results for problem in result.problems] == []
    assert [result.told for result in results] == [True, True]
    assert [result.resumed for result in results] == [False, True]
