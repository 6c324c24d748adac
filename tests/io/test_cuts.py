"""Lines of cuts are what `json.dumps` makes of the same values."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.io.cuts import DECIDED, cut_lines
from audioprep.io.tables import rows_to_table

HOP_S = 0.125
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
MAP = st.dictionaries(TEXT, TEXT, max_size=3)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": TEXT,
            "start": st.integers(0, 10**9),
            "stop": st.integers(0, 10**9),
            "labels": st.lists(TEXT, max_size=3),
            "group": TEXT,
            "splits": MAP,
            "attributes": MAP,
            "status": st.sampled_from(["ok", "silent"]),
            "gain_db": st.floats(-100, 100),
            "used": st.booleans(),
            "num_windows": st.integers(1, 3),
        }
    ),
    min_size=1,
    max_size=8,
)


def cut(row, rate_hz, pad, window_s):
    """Return a row's cut as plain values."""
    duration_s = (row["stop"] - row["start"]) / rate_hz
    supervision = {
        "id": row["id"],
        "recording_id": row["id"],
        "start": 0.0,
        "duration": duration_s,
        "channel": 0,
        "custom": {"labels": row["labels"]},
    }
    custom = {key: row[key] for key in ("group", "splits", "attributes", "status", "gain_db")}
    windows = {} if row["num_windows"] == 1 else {"hop_s": HOP_S, "num_windows": row["num_windows"]}
    return {
        "id": row["id"],
        "start": row["start"] / rate_hz,
        "duration": duration_s,
        "channel": 0,
        "supervisions": [supervision],
        "custom": {**custom, "pad": pad, "window_s": window_s, "used": row["used"], **windows},
        "type": "MonoCut",
    }


@settings(max_examples=100, deadline=None)
@given(ROWS, st.sampled_from([8000, 11025, 16000]), TEXT, st.floats(0.01, 3600))
def test_every_line_is_json_as_python_writes_it(rows, rate_hz, pad, window_s):
    lines = list(cut_lines(rows_to_table(rows, DECIDED), rate_hz=rate_hz, pad=pad, window_s=window_s, hop_s=HOP_S))
    assert lines == [json.dumps(cut(row, rate_hz, pad, window_s), ensure_ascii=False) + "\n" for row in rows]
