import math
import warnings

import cv2
import numpy as np
import pytest

from common.face import Box, Face
from pictures.reading import VideoFrame
from scoring.timeline_plot import Timeline, TimelinePlots, thinned, timeline_figure, timeline_png

BLUE = (178, 114, 0)  # BGR


def face(id: int, smile: float, raw: float | None = None) -> Face:
    return Face(id, Box(0, 9, 9, 0), smile, smile if raw is None else raw)


def timeline_of(frames: list[list[Face]], rate: float = 10) -> Timeline:
    timeline = Timeline()
    for i, faces in enumerate(frames):
        timeline.add(i, i / rate, faces, rate)
    return timeline


def lines_of(figure) -> list[np.ndarray]:
    """`(n, 2)` seconds and P(smile) of each strip's thick line, strip by strip."""
    return [max(axes.lines, key=lambda line: line.get_linewidth()).get_xydata() for axes in figure.axes]


def titles_of(figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_the_line_is_interrupted_while_the_face_is_out_of_view():
    timeline = timeline_of([[face(1, 0.2)]] * 3 + [[]] * 4 + [[face(1, 0.9)]] * 2 + [[]] + [[face(1, 0.4)]])
    (line,) = lines_of(timeline_figure(timeline, "a.mp4"))
    runs = np.split(line, np.flatnonzero(np.isnan(line[:, 1])))
    spans = [(run[:, 0][~np.isnan(run[:, 1])].min(), run[:, 0].max()) for run in runs]
    assert np.array(spans) == pytest.approx(np.array([(0.0, 0.2), (0.7, 0.8), (1.0, 1.0)]))
    assert [run[-1, 1] for run in runs] == pytest.approx([0.2, 0.9, 0.4])


def test_the_share_of_smiling_counts_time_in_view_only():
    frames = [[face(1, 0.9), face(4, 0.1)]] * 10 + [[face(1, 0.1)]] * 30 + [[]] * 60
    assert titles_of(timeline_figure(timeline_of(frames), "a.mp4")) == [
        "face 1: smiling 25 % of 4.0 s in view",
        "face 4: smiling 0 % of 1.0 s in view",
    ]


def test_frames_count_for_as_long_as_they_were_shown():
    timeline = Timeline()
    for i, (time_s, smile) in enumerate([(0.0, 0.9), (3.0, 0.1), (3.5, 0.1), (4.0, 0.1)]):
        timeline.add(i, time_s, [face(1, smile)], rate=2)
    assert timeline.seen_and_smiling_s(timeline.tracks[1]) == pytest.approx((4.5, 3.0))
    timeline.add(40, 60.0, [], rate=2)
    assert timeline.seen_and_smiling_s(timeline.tracks[1]) == pytest.approx((4.5, 3.0)), "gone for the rest"


def test_only_the_faces_longest_in_view_are_drawn_and_the_rest_is_counted():
    frames = [[face(id, 0.5) for id in range(1, 12) if i < 10 * id] for i in range(120)]
    figure = timeline_figure(timeline_of(frames), "a.mp4")
    assert [title.partition(":")[0] for title in titles_of(figure)] == [f"face {id}" for id in range(4, 12)]
    assert "left out: 3 faces" in figure.get_supxlabel()
    assert "left out" not in timeline_figure(timeline_of(frames[100:]), "a.mp4").get_supxlabel()


def test_both_readings_are_drawn_when_they_differ():
    raw = [0.0, 1.0] * 10
    smooth, only = (
        timeline_figure(timeline_of([[face(1, s, r)] for s, r in pairs]), "a.mp4").axes[0]
        for pairs in (zip([0.5] * 20, raw, strict=True), zip(raw, raw, strict=True))
    )
    assert len(smooth.lines) == len(only.lines) + 1
    thin, thick = sorted(smooth.lines[1:], key=lambda line: line.get_linewidth())
    assert set(thin.get_ydata()) == {0.0, 1.0}
    assert set(thick.get_ydata()) == {0.5}


@pytest.mark.parametrize(
    ("end_s", "first", "last", "unit"),
    [
        (0.6, "0.0", "0.6", "seconds"),
        (60, "0", "60", "seconds"),
        (300, "0:00", "5:00", "minutes"),
        (7200, "0:00", "2:00", "hours"),
    ],
)
def test_times_are_written_in_units_that_fit(end_s, first, last, unit):
    figure = timeline_figure(timeline_of([[face(1, 0.5)]] * 60, rate=60 / end_s), "a.mp4")
    axes = figure.axes[-1]
    figure.canvas.draw()
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert (labels[0], labels[-1]) == (first, last)
    assert 3 <= len(labels) <= 8
    assert unit in axes.get_xlabel()


def test_a_long_line_keeps_its_shape_with_few_points():
    rng = np.random.default_rng(0)
    times = np.arange(100_000) / 30
    values = 0.5 + 0.5 * np.sin(times / 300)
    values[40_000:60_000] = np.nan
    values[70_000] = np.nan
    noisy = np.clip(values + rng.normal(0, 0.1, len(times)), 0, 1)
    for extremes in (False, True):
        x, y = thinned(times, noisy, times[-1], extremes=extremes)
        assert len(x) == len(y) < 4100
        assert np.isnan(y).sum() == 1, "the long interruption; nobody could see the short one"
        assert not ((x > times[40_000] + 4) & (x < times[60_000] - 4)).any()
        kept = ~np.isnan(y)
        assert np.abs(y[kept] - np.interp(x[kept], times[::7], np.nan_to_num(values[::7]))).mean() < (
            0.3 if extremes else 0.1
        )
    assert (np.nanmin(y), np.nanmax(y)) == (np.nanmin(noisy), np.nanmax(noisy)), "no peak is lost"


def test_a_short_line_keeps_every_point():
    times, values = np.arange(5.0), np.array([0.1, 0.2, np.nan, 0.3, 0.4])
    for extremes in (False, True):
        x, y = thinned(times, values, 5.0, extremes=extremes)
        assert list(zip(x[::2], y[::2], strict=False))[:2] == [(0.0, 0.1), (1.0, 0.2)]
        assert sorted(set(y[~np.isnan(y)])) == [0.1, 0.2, 0.3, 0.4]
        assert np.isnan(y).sum() == 1
    assert [len(part) for part in thinned(np.array([]), np.array([]), 0.0)] == [0, 0]


def test_a_line_of_many_interruptions_stays_small():
    times = np.arange(200_000) / 30
    values = np.where(np.arange(200_000) % 3, 0.5, np.nan)
    assert len(thinned(times, values, times[-1])[0]) < 4100


def decoded(png: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def test_smiles_are_shaded_in_the_picture():
    frames = [[face(1, 0.05)]] * 50 + [[face(1, 0.95)]] * 50
    image = decoded(timeline_png(timeline_of(frames), "a.mp4"))
    assert image.shape[1] == 1080
    blue = np.argwhere((np.abs(image.astype(int) - BLUE) < 20).all(axis=2))
    assert np.ptp(blue[:, 1]) > 800, "the line goes from side to side"
    middle = (blue[:, 0].min() + blue[:, 0].max()) // 2
    pale = ((image > 150) & (image < 250)).any(axis=2)
    left, right = pale[middle - 90 : middle - 40, 150:500], pale[middle - 90 : middle - 40, 620:1000]
    assert left.mean() < 0.05
    assert right.mean() > 0.9


@pytest.mark.parametrize("title", ["costs $5 and $x_1.mp4", "\udce9 no text.mp4", "笑顔 😀.mp4", "very " * 40 + ".mp4"])
def test_any_file_name_can_be_the_title(title):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoded(timeline_png(timeline_of([[face(1, 0.5)]]), title))


def test_a_video_without_faces_says_so():
    timeline = timeline_of([[]] * 20)
    assert timeline_figure(timeline, "a.mp4").get_supxlabel() == "No face was seen."
    decoded(timeline_png(timeline, "a.mp4"))
    timeline.add(20, 2.0, [face(1, math.nan)], 10)
    assert not timeline.tracks, "nor is what could not be read"


def test_drawing_leaves_other_users_of_matplotlib_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    timeline_png(timeline_of([[face(1, 0.5)]]), "a.mp4")
    assert dict(matplotlib.rcParams) == before


def test_a_video_that_failed_gets_no_plot_and_the_next_one_starts_afresh(tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    plots = TimelinePlots(str(tmp_path / "plots"), [str(videos)])
    frame = VideoFrame(np.zeros((9, 9, 3), np.uint8), 0, 0.0, 25.0)
    plots.end_video(whole=True)
    plots.add_frame(str(videos / "a.mp4"), frame, [face(1, 0.5)])
    plots.end_video(whole=False)
    plots.add_frame(str(videos / "b.mp4"), frame, [])
    plots.end_video(whole=True)
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["b.mp4.png"]
