from pathlib import Path

from audioprep.model.costs import log_costs, read_cost


def test_a_cost_belongs_to_the_bytes_of_a_checkpoint(tmp_path: Path) -> None:
    log, checkpoint = tmp_path / "deep/train.jsonl", tmp_path / "fold1.pt"
    checkpoint.write_bytes(b"weights")
    assert read_cost(log, checkpoint) is None
    log_costs(log, {checkpoint: 51.25})
    assert read_cost(log, checkpoint) == 51.25
    checkpoint.write_bytes(b"other weights")
    assert read_cost(log, checkpoint) is None


def test_a_line_at_which_a_run_was_killed_hides_nothing(tmp_path: Path) -> None:
    log, checkpoint = tmp_path / "train.jsonl", tmp_path / "fold1.pt"
    checkpoint.write_bytes(b"weights")
    log_costs(log, {checkpoint: 1.0})
    with log.open("a") as file:
        file.write('{"checkpoint": "fo\n')
    assert read_cost(log, checkpoint) == 1.0
