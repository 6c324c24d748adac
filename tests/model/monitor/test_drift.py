import numpy as np
import pytest

from audioprep.model.monitor.drift import Drift, drift, drifts, edges, steps
from audioprep.model.monitor.tally import Tally

FACTS = {
    "num_clips": 1000,
    "class_shares": {"cat": 0.5, "dog": 0.5},
    "without_label": 0.0,
    "confidence": {"num_clips": 200, "deciles": np.linspace(0.2, 1.0, 11).tolist()},
    "rms_db": {"num_clips": 1000, "deciles": np.linspace(-60.0, -10.0, 11).tolist()},
    "loudness_lufs": {"num_clips": 1000, "deciles": np.linspace(-60.0, -10.0, 11).tolist()},
    "silent": 0.0,
    "over_full_scale": 0.1,
}


def test_the_index_is_that_of_its_definition() -> None:
    # Shares of 0.2, 0.3, 0.5 against 0.3, 0.3, 0.4: so many that half a line more changes nothing.
    expected = (0.2 - 0.3) * np.log(0.2 / 0.3) + (0.5 - 0.4) * np.log(0.5 / 0.4)
    found = drift([200_000, 300_000, 500_000], [0.3, 0.3, 0.4], 10**6)
    assert found.psi == pytest.approx(expected, abs=1e-5)
    assert found.num_lines == 10**6


def test_chance_alone_is_seldom_more_than_is_said() -> None:
    rng, shares = np.random.default_rng(0), [0.1] * 10
    over = 0
    for _ in range(2000):
        usual = rng.multinomial(300, shares) / 300
        found = drift(rng.multinomial(200, shares).tolist(), usual.tolist(), 300)
        assert found.psi is not None
        assert found.chance_psi is not None
        over += found.psi > found.chance_psi
    assert 0.002 <= over / 2000 <= 0.02, "one in a hundred"


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ([1000, 1000], "as in training"),
        ([1220, 780], "as in training"),
        ([1380, 620], "shifted a little"),
        ([1600, 400], "shifted"),
        ([12, 12], "too few"),
        ([0, 29], "too few"),
        ([0, 40], "shifted"),
        ([0, 0], "too few"),
    ],
)
def test_verdicts(counts: list[int], verdict: str) -> None:
    found = drift(counts, [0.5, 0.5], 500)
    assert found.verdict == verdict
    assert found.num_lines == sum(counts)
    assert (found.psi is None) == (sum(counts) < 30), "a number that says nothing is not shown"


def test_a_number_that_chance_may_give_is_no_shift_and_no_proof_of_none() -> None:
    counts, shares = [7, 6, 5, 5, 4, 4, 3, 3, 2, 1], [0.1] * 10
    few, many = drift(counts, shares, 500), drift([10 * count for count in counts], shares, 500)
    assert few.psi == pytest.approx(many.psi, abs=0.1)
    assert few.chance_psi is not None
    assert few.chance_psi > 0.25
    assert (few.verdict, many.verdict) == ("too few", "shifted a little")


def test_lines_that_say_little_new_are_few() -> None:
    heard = heard_like_training()
    heard.binned["rms_db"] = [600, 400] + [0] * 8
    heard.num_new = 20.0
    assert {each.verdict for each in drifts(heard, FACTS).values()} == {"too few"}


def test_training_clips_that_are_alike_share_a_bin() -> None:
    deciles = [0.3, 0.5, 0.7, 0.9, 0.9, 0.9, 0.95, 1.0, 1.0, 1.0, 1.0]
    values, shares = steps(deciles)
    assert values.tolist() == [0.3, 0.5, 0.7, 0.9, 0.95, 1.0]
    assert shares.tolist() == pytest.approx([0.0, 0.1, 0.2, 0.5, 0.6, 1.0])
    fact = {"num_clips": 1000, "deciles": deciles}
    assert edges(fact) == [0.5, 0.7, 0.9, 0.95]
    heard = heard_like_training()
    heard.binned["confidence"] = [100, 100, 300, 100, 400]
    assert drifts(heard, FACTS | {"confidence": fact})["confidence"].psi == pytest.approx(0.0, abs=1e-5)


def test_clips_that_are_all_alike_are_not_compared() -> None:
    fact = {"num_clips": 10, "deciles": [-20.0] * 11}
    assert edges(fact) == []
    assert drifts(heard_like_training(), FACTS | {"rms_db": fact})["rms_db"] == Drift("not compared")


def heard_like_training(num_lines: int = 1000) -> Tally:
    """Return what a device hears where all is as in training."""
    heard = Tally({name: edges(FACTS[name]) for name in ("rms_db", "loudness_lufs", "confidence")})
    for name in heard.binned:
        heard.binned[name] = [num_lines // 10] * 10
    heard.num_lines = heard.num_new = heard.num_judged = heard.num_peaks = num_lines
    heard.num_over = num_lines // 10
    heard.labels.update(cat=num_lines // 2, dog=num_lines // 2)
    return heard


def test_what_is_as_in_training_is_said_to_be() -> None:
    found = drifts(heard_like_training(), FACTS)
    assert list(found) == ["rms_db", "loudness_lufs", "confidence", "classes", "silent", "over_full_scale", "failed"]
    assert {each.verdict for each in found.values()} == {"as in training"}


def test_each_aspect_shifts_alone() -> None:
    def shifted(heard: Tally) -> list[str]:
        return [name for name, each in drifts(heard, FACTS).items() if each.verdict == "shifted"]

    for name in ("rms_db", "loudness_lufs", "confidence"):
        heard = heard_like_training()
        heard.binned[name] = [1000] + [0] * 9
        assert shifted(heard) == [name]
    heard = heard_like_training()
    heard.labels["cat"] = 5000
    assert shifted(heard) == ["classes"]
    heard = heard_like_training()
    heard.num_over = 600
    assert shifted(heard) == ["over_full_scale"]
    for status, name in (("silent", "silent"), ("decode_error", "failed")):
        heard = heard_like_training()
        heard.problems[status] = 200
        assert shifted(heard) == [name]


def test_clips_without_a_label_are_a_kind_too() -> None:
    heard = heard_like_training()
    heard.num_unlabelled = 1000
    assert drifts(heard, FACTS)["classes"].verdict == "shifted"


def test_what_the_bundle_does_not_know_is_not_compared() -> None:
    known = {name: FACTS[name] for name in ("num_clips", "class_shares", "without_label", "confidence")}
    found = drifts(heard_like_training(), known)
    unknown = [name for name, each in found.items() if each.verdict == "not compared"]
    assert unknown == ["rms_db", "loudness_lufs", "silent", "over_full_scale"]
