"""A hundred schedules of faults, crashes and interleavings; each seed comes again with the same trace."""

import pytest
from schedule import Step, generate
from simulate import explain, run, shrink

CHUNK = 5


@pytest.mark.parametrize("first", range(0, 100, CHUNK))
async def test_no_schedule_breaks_a_promise(ground, first):
    for seed in range(first, first + CHUNK):
        result = await run(ground, seed)
        if result.fault is not None:
            pytest.fail(await explain(ground, result))


@pytest.mark.parametrize("seed", [1, 3])
async def test_a_seed_comes_again_with_the_same_trace(ground, seed):
    one, other = await run(ground, seed), await run(ground, seed)
    assert one.hash == other.hash
    assert one.calls > 0
    assert (await run(ground, seed + 30)).hash != one.hash


async def test_a_schedule_shrinks_to_what_is_needed():
    async def fails(steps: list[Step]) -> bool:
        verbs = [step.verb for step in steps]
        return "crash" in verbs and "sweep" in verbs[verbs.index("crash") :]

    steps = await shrink(generate(1), fails)
    assert [step.verb for step in steps] == ["crash", "sweep"]
