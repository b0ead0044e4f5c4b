"""Small rows whose every number says which episode and step it belongs to."""

import numpy as np
import pyarrow as pa
import pytest

from envs.trajectory import ragged

SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in [
            ("row_id", pa.string()),
            ("episode_id", pa.string()),
            ("group_id", pa.string()),
            ("first_step", pa.int64()),
            ("observation.x", pa.large_list(pa.list_(pa.int32(), 3))),
            ("initial_state", pa.list_(pa.float32(), 2)),
            ("action", pa.large_list(pa.int64())),
            ("reward", pa.large_list(pa.float32())),
            ("done", pa.large_list(pa.uint8())),
            ("ended", pa.bool_()),
        ]
    ]
    + [pa.field("success", pa.bool_())]
)


@pytest.fixture(scope="session")
def schema():
    return SCHEMA


@pytest.fixture(scope="session")
def build():
    """Rows from `(episode, first step, steps)` and, if wanted, whether the episode ends and the group's name."""

    def rows(key, *parts):
        parts = [(*part, False, 0)[:5] if len(part) == 3 else (*part, 0)[:5] for part in parts]
        steps = [part[2] for part in parts]

        def each(extra):
            return np.concatenate([1000 * e + np.arange(first, first + n + extra) for e, first, n, _, _ in parts])

        state = np.array([[e, first] for e, first, *_ in parts], np.float32)
        return pa.record_batch(
            [
                pa.array(["/".join(map(str, (*key, index))) for index in range(len(parts))]),
                pa.array([f"{key[0]}/{part[0]}" for part in parts]),
                pa.array([f"g{part[4]}" for part in parts]),
                pa.array([part[1] for part in parts], pa.int64()),
                ragged(np.stack([each(1)] * 3, 1).astype(np.int32), [n + 1 for n in steps]),
                pa.FixedSizeListArray.from_arrays(pa.array(state.reshape(-1)), 2),
                ragged(each(0).astype(np.int64), steps),
                ragged(each(0).astype(np.float32) / 2, steps),
                ragged((each(0) % 7).astype(np.uint8), steps),
                pa.array([part[3] for part in parts]),
                pa.array([None] * len(parts), pa.bool_()),
            ],
            schema=SCHEMA,
        )

    return rows
