"""How shard tasks are run: in processes, resumable after a kill, and published by an index that comes last.

A task maps the inputs of one shard to the files of one shard, and knows nothing else. Its fingerprint is a
hash of everything that decides its bytes: inputs, rule and code version. A finished shard waits in the work
folder under its fingerprint until all shards of its folder are there; then they are linked into the folder
and `_index.json` is written. A folder without that file is unfinished; the next run makes what is missing.
What stands unchanged in an earlier version of the folder is taken from there.
"""

from audioprep.config.engine import EngineRule, num_workers
from audioprep.engine.alone import alone, try_lock
from audioprep.engine.earlier import Earlier, RestoreShard, dvc_cache
from audioprep.engine.files import file_identity, file_sha256, fresh_folder, link_or_copy, write_atomically
from audioprep.engine.index import (
    INDEX_NAME,
    check_file,
    checked_file,
    is_published,
    listed_sha256,
    publish,
    read_index,
    write_index,
)
from audioprep.engine.make import finished, make
from audioprep.engine.run import run_shards
from audioprep.engine.tasks import BESIDE, Shard, ShardFunction, ShardTask, auto_num_shards, fingerprint, shard_of

__all__ = [
    "BESIDE",
    "INDEX_NAME",
    "Earlier",
    "EngineRule",
    "RestoreShard",
    "Shard",
    "ShardFunction",
    "ShardTask",
    "alone",
    "auto_num_shards",
    "check_file",
    "checked_file",
    "dvc_cache",
    "file_identity",
    "file_sha256",
    "fingerprint",
    "finished",
    "fresh_folder",
    "is_published",
    "link_or_copy",
    "listed_sha256",
    "make",
    "num_workers",
    "publish",
    "read_index",
    "run_shards",
    "shard_of",
    "try_lock",
    "write_atomically",
    "write_index",
]
