"""Shards on a Ray cluster of two nodes, one of which is killed on the way: the bytes are those of one process."""

import sys
import threading
import time

import pytest
from steps.small_corpus import Run, tree, write_corpus

from audioprep.config.engine import EngineRule
from audioprep.engine import ShardTask, fingerprint, run_shards
from audioprep.errors import ConfigError, ShardError
from audioprep.steps import resample as resample_step

AUDIO = resample_step.make_audio_shard


def slow_audio_shard(arguments, out):
    """Say on which node the shard is being made, and take long enough to be killed there."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    (out.parents[2] / f"{node}-{arguments['shard']}-{time.monotonic_ns()}").touch()
    (out / "half").write_text("half")
    time.sleep(1)
    (out / "half").unlink()
    return AUDIO(arguments, out)


def damaged(_arguments, _out):
    """Fail as a step does."""
    raise ShardError("here: expected x, got y; do z")


@pytest.fixture
def cluster():
    """Return a cluster of two nodes of one core each."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    second = cluster.add_node(**node)
    cluster.wait_for_nodes()
    yield cluster, second
    cluster.shutdown()


@pytest.mark.slow
def test_a_killed_node_loses_nothing(tmp_path, monkeypatch, cluster):
    cluster, second = cluster
    engine = EngineRule.model_validate({"engine": "ray", "ray": {"address": cluster.address}})
    monkeypatch.setenv("AUDIOPREP_WORKERS", "1")
    corpus = write_corpus(tmp_path / "corpus")
    serial, run = Run(corpus, tmp_path / "serial"), Run(corpus, tmp_path / "ray")
    for one in (serial, run):
        one.download()
    serial.resample()
    marks = run.layout.work.parent

    def kill():
        deadline_s = time.monotonic() + 60
        while not list(marks.glob(f"{second.node_id}-*")) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        cluster.remove_node(second, allow_graceful=False)

    monkeypatch.setattr(resample_step, "make_audio_shard", slow_audio_shard)
    killer = threading.Thread(target=kill)
    killer.start()
    run.engine = engine
    run.resample()
    killer.join()
    begun = [path.name.split("-")[:2] for path in marks.glob("*-*-*")]
    assert len({node for node, _ in begun}) == 2, "both nodes were at work"
    assert len(begun) > len({shard for _, shard in begun}), "what the dead node was at was made again"
    assert tree(run.layout.audio) == tree(serial.layout.audio)

    for one in (serial, run):
        one.decide()
        one.features()
    assert tree(run.layout.features("logmel")) == tree(serial.layout.features("logmel"))

    tasks = [ShardTask(number, fingerprint(number), number) for number in range(2)]
    with pytest.raises(ShardError, match=r"^here: expected x, got y; do z$"):
        run_shards(tasks, damaged, tmp_path / "work", label="test", engine=engine)


def test_an_address_without_a_cluster_is_one_line(tmp_path):
    pytest.importorskip("ray")
    engine = EngineRule.model_validate({"engine": "ray", "ray": {"address": "127.0.0.1:1"}})
    message = (
        r"^ray\.address: expected a Ray cluster at 127\.0\.0\.1:1, got ConnectionRefusedError: .+; start it, or mend "
    )
    with pytest.raises(ConfigError, match=message):
        run_shards([ShardTask(0, "0", 0)], damaged, tmp_path / "work", label="test", engine=engine)


def test_without_ray_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    engine = EngineRule(engine="ray")
    with pytest.raises(ConfigError, match=r"^engine: expected Ray, found none; run: pip install 'audioprep\[ray\]'$"):
        run_shards([ShardTask(0, "0", 0)], damaged, tmp_path / "work", label="test", engine=engine)
