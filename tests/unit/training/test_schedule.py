from __future__ import annotations

import pytest

from deeplab_studio.training.schedule import Phase, Plan, phase_at


def test_the_rate_follows_the_poly_schedule_to_zero() -> None:
    plan = Plan(total=1000)
    assert plan.rate(0) == 1
    assert plan.rate(400) == pytest.approx(0.6**0.9)
    assert plan.rate(1000) == 0


def test_the_rate_rises_during_the_warm_up() -> None:
    plan = Plan(total=1000, warmup=100)
    assert plan.rate(0) == pytest.approx(0.01)
    assert plan.rate(49) < plan.rate(99) == pytest.approx(plan.decay(99))


def test_a_new_end_changes_the_way_but_not_the_present_rate() -> None:
    plan = Plan(total=1000)
    longer, shorter = plan.replanned(400, 2000), plan.replanned(400, 500)
    assert longer.rate(400) == shorter.rate(400) == pytest.approx(plan.rate(400))
    assert longer.rate(1000) > 0
    assert longer.rate(2000) == shorter.rate(500) == 0


def test_a_finished_run_goes_on_with_a_rate_above_zero() -> None:
    assert Plan(total=1000).replanned(1000, 2000).rate(1000) == pytest.approx(0.5**0.9)


def test_an_end_that_is_past_ends_at_once() -> None:
    assert Plan(total=1000).replanned(400, 100).total == 400


def test_phases_follow_each_other() -> None:
    phases = [Phase(until=0.5, crop=97, scale=(0.3, 0.6)), Phase(until=1.0, crop=161, scale=(0.4, 1.0))]
    assert [phase_at(phases, share).crop for share in (0, 0.49, 0.5, 0.99, 1.0)] == [97, 97, 161, 161, 161]
