"""Two teams, a stranger, and real remotes: what one has made, the others take and do not make again."""

import asyncio
import json
import logging
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from import_closure import ROOT
from pipeline.conftest import SHORT, Run, runner, tracked_files

pytestmark = pytest.mark.slow

TINY = {**SHORT, "datasets: ": "datasets: [esc50]", "  epochs: ": "  epochs: 1", "    window_s: 5": "    window_s: 1.0"}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Address of an S3 server with the bucket `team`."""
    pytest.importorskip("dvc_s3")
    boto3, server_module = pytest.importorskip("boto3"), pytest.importorskip("moto.server")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    address = "http://{}:{}".format(*server.get_host_and_port())
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3", endpoint_url=address).create_bucket(Bucket="team")
        yield address
    server.stop()


@pytest.fixture(scope="module")
def webdav(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of a WebDAV folder, and the folder behind it."""
    pytest.importorskip("dvc_webdav")
    wsgi, app = pytest.importorskip("cheroot.wsgi"), pytest.importorskip("wsgidav.wsgidav_app")
    root = tmp_path_factory.mktemp("webdav")
    (root / "team").mkdir()
    config = {"provider_mapping": {"/": str(root)}, "simple_dc": {"user_mapping": {"*": True}}, "verbose": 0}
    server = wsgi.Server(("127.0.0.1", 0), app.WsgiDAVApp(config))
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()
    yield f"webdav://127.0.0.1:{server.bind_addr[1]}/team", root / "team"
    server.stop()


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a folder behind an SSH server that asks for no password."""
    pytest.importorskip("dvc_ssh")
    asyncssh = pytest.importorskip("asyncssh")
    root = tmp_path_factory.mktemp("ssh")

    class Open(asyncssh.SSHServer):  # type: ignore[misc] # it has no types
        def begin_auth(self, username: str) -> bool:
            return False

    async def serve() -> int:
        key = asyncssh.generate_private_key("ssh-ed25519")
        chroot = lambda channel: asyncssh.SFTPServer(channel, chroot=root)
        server = await asyncssh.create_server(Open, "127.0.0.1", 0, server_host_keys=[key], sftp_factory=chroot)
        return int(server.get_port())

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    yield f"ssh://team@127.0.0.1:{asyncio.run_coroutine_threadsafe(serve(), loop).result()}/corpora"
    loop.call_soon_threadsafe(loop.stop)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the repositories of this test."""
    return tmp_path_factory.mktemp("teams")


@pytest.fixture(scope="module")
def team_a(world: Path, esc_archive: Path, s3: str) -> Run:
    """A team that has prepared, trained and shared; `origin.git` has its branch."""
    folder = world / "a"
    for name in tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "dvc.lock").unlink(missing_ok=True)
    params = (folder / "params.yaml").read_text(encoding="utf-8").splitlines()
    for start, line in TINY.items():
        params = [line if old.startswith(start) else old for old in params]
    (folder / "params.yaml").write_text("\n".join(params) + "\n", encoding="utf-8")
    run = runner(folder)
    run("git", "init", "-q", "-b", "main")
    run("git", "init", "-q", "--bare", "-b", "main", "../origin.git")
    run("git", "remote", "add", "origin", "../origin.git")
    run("dvc", "remote", "add", "-d", "team", "s3://team/audioprep")
    run("dvc", "remote", "modify", "team", "endpointurl", s3)
    run("audioprep", "prepare", "esc50", "--archive", str(esc_archive))
    run("dvc", "repro", "evaluate@esc50")
    run("git", "add", "-A")
    run("git", "commit", "-q", "-m", "esc50")
    run("git", "push", "-q", "-u", "origin", "main")
    return run


@pytest.fixture(scope="module")
def shared(team_a: Run) -> str:
    """What `share` prints."""
    return team_a("audioprep", "share")


def clone(world: Path, name: str) -> Run:
    runner(world)("git", "clone", "-q", "origin.git", name)
    return runner(world / name)


def outputs(project: Path) -> dict[str, bytes]:
    files = [path for top in ("data/esc50", "models", "reports") for path in (project / top).rglob("*")]
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in files if path.is_file()}


def test_training_again_gives_the_same_bytes(world: Path, team_a: Run) -> None:
    before = (world / "a/dvc.lock").read_bytes()
    team_a("dvc", "repro", "--force", "--single-item", "train@esc50")
    assert (world / "a/dvc.lock").read_bytes() == before


def test_share_says_what_it_runs_what_it_has_pushed_and_what_is_left(shared: str) -> None:
    assert "$ dvc push --run-cache\n" in shared
    assert "files pushed" not in shared, "DVC counts the run cache every time"
    assert re.search(r"on team \(s3://team/audioprep\): 11 stages, \d+ files, [\d.]+ MB", shared)
    assert "never run, so not shared: export@esc50" in shared
    assert "git: all is pushed; elsewhere: git pull && audioprep restore" in shared
    assert "not up to date" not in shared


def test_restore_runs_no_stage_and_gives_the_same_bytes(world: Path, shared: str) -> None:
    run = clone(world, "b")
    output = run("audioprep", "restore")
    assert "Running stage" not in output
    assert "merge.dvc-lock.driver" in output
    assert outputs(world / "b") == outputs(world / "a")
    assert "up to date" in run("dvc", "status", "evaluate@esc50")


def test_without_a_lock_the_run_cache_knows_everything(world: Path, shared: str) -> None:
    run = clone(world, "no_lock")
    (world / "no_lock/dvc.lock").unlink()
    assert "dvc.lock: expected the outputs of" in run("audioprep", "restore", fails=True)
    assert "Running stage" not in run("dvc", "repro", "--pull", "evaluate@esc50", "features@esc50-mfcc")
    assert outputs(world / "no_lock") == outputs(world / "a")


def test_another_network_needs_features_and_splits_only(world: Path, shared: str) -> None:
    run = clone(world, "c")
    changes = ("-S", "model.arch=cnn6", "-S", "train.folds=[1]")
    output = run("dvc", "exp", "run", "--pull", "--allow-missing", *changes, "train@esc50")
    assert re.findall(r"Running stage '([^']+)'", output) == ["train@esc50"]
    assert sorted(path.name for path in (world / "c/data/esc50").iterdir()) == ["augmented", "logmel", "splits"]


def test_a_stranger_reads_one_shard_and_one_row_group(world: Path, shared: str) -> None:
    from dvc.api import DVCFileSystem

    shard = "data/esc50/logmel/part-000001.parquet"
    runner(world)("dvc", "get", "origin.git", shard, "-o", "shard.parquet")
    assert (world / "shard.parquet").read_bytes() == (world / "a" / shard).read_bytes()
    with DVCFileSystem(str(world / "origin.git")).open(shard) as file:
        rows = pq.ParquetFile(file).read_row_group(0)
    assert rows.equals(pq.ParquetFile(world / "a" / shard).read_row_group(0))


def test_what_is_missing_on_a_remote_is_named(world: Path, shared: str, team_a: Run, webdav: tuple[str, Path]) -> None:
    url, folder = webdav
    team_a("dvc", "remote", "add", "--local", "dav", url)
    assert f"on dav ({url}): 11 stages" in team_a("audioprep", "share", "--remote", "dav")
    run = clone(world, "d")
    run("dvc", "remote", "add", "--local", "--default", "dav", url)
    lock = (world / "d/dvc.lock").read_text(encoding="utf-8")
    md5 = re.findall(r"path: data/esc50/card\.md\n +hash: md5\n +md5: (\w+)\n", lock)[-1]
    (folder / "files/md5" / md5[:2] / md5[2:]).rename(folder / "lost")
    output = run("audioprep", "restore", fails=True)
    assert "Running stage" not in output
    assert "error: remote dav: expected all that dvc.lock names, got no data/esc50/card.md (card@esc50);" in output
    assert set(outputs(world / "a")) - set(outputs(world / "d")) == {"data/esc50/card.md"}
    (folder / "lost").rename(folder / "files/md5" / md5[:2] / md5[2:])
    run("audioprep", "restore", "esc50", "--stage", "card")
    assert outputs(world / "d") == outputs(world / "a")


def test_share_sends_again_what_an_s3_remote_has_lost(world: Path, shared: str, team_a: Run, s3: str) -> None:
    lock = (world / "a/dvc.lock").read_text(encoding="utf-8")
    md5 = re.findall(r"path: data/esc50/splits\n +hash: md5\n +md5: (\w+\.dir)\n", lock)[-1]
    listing = json.loads((world / "a/.dvc/cache/files/md5" / md5[:2] / md5[2:]).read_text(encoding="utf-8"))
    lost = listing[0]
    key = f"audioprep/files/md5/{lost['md5'][:2]}/{lost['md5'][2:]}"
    client = pytest.importorskip("boto3").client("s3", endpoint_url=s3)
    client.delete_object(Bucket="team", Key=key)
    line = f"sent again, as team had lost it: data/esc50/splits/{lost['relpath']} (split@esc50)"
    assert line in team_a("audioprep", "share")
    sent = client.get_object(Bucket="team", Key=key)["Body"].read()
    assert sent == (world / "a/data/esc50/splits" / lost["relpath"]).read_bytes()
    assert "sent again" not in team_a("audioprep", "share")


def test_an_ssh_server_serves_as_well(world: Path, shared: str, team_a: Run, ssh: str) -> None:
    team_a("dvc", "remote", "add", "--local", "shell", ssh)
    assert f"on shell ({ssh}): 11 stages" in team_a("audioprep", "share", "--remote", "shell")
    run = clone(world, "e")
    run("dvc", "remote", "add", "--local", "--default", "shell", ssh)
    assert "Running stage" not in run("audioprep", "restore")
    assert outputs(world / "e") == outputs(world / "a")
