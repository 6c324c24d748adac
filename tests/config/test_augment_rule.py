from pathlib import Path

import pytest

from audioprep.config.augment import AugmentRule, load_augment_rule
from audioprep.errors import ConfigError

ROOT = Path(__file__).parents[2]


def load(tmp_path: Path, text: str) -> AugmentRule:
    (tmp_path / "params.yaml").write_text(text)
    return load_augment_rule(tmp_path / "params.yaml")


def test_defaults_are_what_params_yaml_says_and_make_no_copies() -> None:
    rule = load_augment_rule(ROOT / "params.yaml")
    assert rule == AugmentRule()
    assert rule.copies == 0


def test_the_section_may_be_missing_or_empty(tmp_path: Path) -> None:
    assert load(tmp_path, "datasets: [demo]\n") == load(tmp_path, "augment:\n") == AugmentRule()


def test_single_labels_of_a_corpus_may_be_named(tmp_path: Path) -> None:
    rule = load(tmp_path, "augment: {background: {corpora: [musan/noise, my_noise]}}")
    assert rule.background.corpora == ("musan/noise", "my_noise")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{copy: 3}", r"params.yaml augment: expected one of .*, got 'copy'; did you mean 'copies'\?"),
        ("{copies: -1}", r"augment.copies: expected greater than or equal to 0, got -1"),
        ("{gain: {prob: 2}}", r"augment.gain.prob: expected less than or equal to 1, got 2"),
        (
            "{gain: {range_db: [6, -6]}}",
            r"augment.gain.range_db: expected \[lowest, highest\] within -100 and 200, got",
        ),
        ("{room: {rt60_s: [0, 1]}}", r"augment.room.rt60_s: expected .* within 0.05 and 20, got \[0, 1\]; mend them"),
        ("{time_stretch: {max_factor: 2}}", r"augment.time_stretch.max_factor: expected less than or equal to 1.8"),
        ("{room: {corpora: [../x]}}", r"augment.room.corpora.0: expected a prepared corpus, .*, got '../x'; mend it"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        load(tmp_path, f"augment: {text}")
