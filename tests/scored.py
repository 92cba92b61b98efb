"""What the tests of scoring share: the command's table, and a short video to score."""

import csv
from pathlib import Path

import cv2
import numpy as np

from inference import main
from tests.project import ROOT

# As `python inference.py`, but while there is a file `hold`, the run waits once so many bytes of its table are in the file:
# what happens to it then happens half-way, on any computer.
HELD = f"""if True:
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {str(ROOT)!r})
    from inference import main
    from scoring.table_writer import Table
    hold, size, write = Path(sys.argv.pop(1)), int(sys.argv.pop(1)), Table.write

    def write_and_wait(table, row):
        write(table, row)
        while hold.exists() and table.size() >= size:
            time.sleep(0.02)

    Table.write = write_and_wait
    sys.exit(main())"""


def score(tmp_path: Path, *arguments, code: int = 0) -> list[dict[str, str]]:
    """The table of `python inference.py arguments`, which must end with this exit code."""
    table = tmp_path / "table.csv"
    assert main([*map(str, arguments), "--out", str(table)]) == code
    assert not table.with_name("table.csv.part").exists()
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def box(row: dict[str, str]) -> tuple[int, ...]:
    return tuple(int(row[name]) for name in ("top", "right", "bottom", "left"))


def write_short_video(path: Path, astronaut: np.ndarray) -> Path:
    """75 frames, 25 a second, 480x360: one second with a moving face, then a grey wall."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (480, 360))
    for i in range(75):
        writer.write(astronaut[:360, i % 25 : i % 25 + 480] if i < 25 else np.full((360, 480, 3), 128, np.uint8))
    writer.release()
    return path
