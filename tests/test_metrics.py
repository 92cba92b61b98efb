"""What `/metrics` says, and that asking costs nothing and starts nothing."""

import itertools
import threading
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from common.errors import DetectorError
from live.stream import LiveStream
from tests.running import arrivals, viewer
from tests.waiting import PATIENCE_S, eventually
from web.application import close_app

pytestmark = pytest.mark.slow


def metrics(client) -> dict[str, float]:
    """Samples by name, followed by the values of their labels: `smile_viewers picture`."""
    text = client.get("/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


def test_it_is_prometheus_text_and_asking_starts_nothing(make_client):
    client = make_client(source="0")
    before = set(threading.enumerate())
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    ours = {name: family for name, family in families.items() if name.startswith("smile_") and "_created" not in name}
    assert {name: family.type for name, family in ours.items()} == {
        "smile_frames_captured": "counter",
        "smile_frames_analysed": "counter",
        "smile_frames_dropped": "counter",
        "smile_detector_runs": "counter",
        "smile_detector_failures": "counter",
        "smile_refusals": "counter",
        "smile_faces": "gauge",
        "smile_viewers": "gauge",
        "smile_camera_state": "gauge",
        "smile_uptime_seconds": "gauge",
        "smile_stage_seconds": "histogram",
        "smile_analysis_seconds": "histogram",
        "smile_frame_to_viewer_seconds": "histogram",
    }
    assert all(family.documentation.endswith(".") for family in ours.values())
    assert set(threading.enumerate()) == before
    assert client.get("/healthz").json["camera"]["status"] == "idle"
    assert metrics(client)["smile_camera_state idle"] == 1


def test_each_app_counts_for_itself(make_client, face_video):
    watched, other = make_client(source=str(face_video)), make_client(source=str(face_video))
    watched.get("/snapshot.jpg")
    assert metrics(watched)["smile_frames_analysed_total"] >= 1
    assert metrics(other)["smile_frames_analysed_total"] == 0
    assert metrics(other)["smile_stage_seconds_count track"] == 0


def test_every_captured_frame_is_analysed_or_dropped_for_a_reason(make_client, face_video):
    client = make_client(source=str(face_video))
    watch = client.application.extensions["smile_watch"]

    def let_frames_pass() -> None:
        captured = watch.camera.captured
        eventually(lambda: watch.camera.captured > captured + 5)

    for _ in range(5):
        client.get("/snapshot.jpg")
        let_frames_pass()
    eventually(lambda: not watch._watched)
    let_frames_pass()
    client.get("/snapshot.jpg")  # what came unwatched is counted with the next one that is looked at
    close_app(client.application, timeout=PATIENCE_S)
    found = metrics(client)
    dropped = sum(found[f"smile_frames_dropped_total {reason}"] for reason in ("late", "unwatched", "failed"))
    last = watch._health.taken
    assert found["smile_frames_analysed_total"] + dropped == last <= found["smile_frames_captured_total"]
    assert found["smile_frames_analysed_total"] >= 3
    assert found["smile_frames_dropped_total unwatched"] > 0, "nobody watched between the snapshots"
    for name in (
        "stage_seconds_count track",
        "stage_seconds_count draw",
        "stage_seconds_count encode",
        "analysis_seconds_count",
    ):
        assert found[f"smile_{name}"] == found["smile_frames_analysed_total"]
    stages = sum(found[f"smile_stage_seconds_sum {stage}"] for stage in ("track", "draw", "encode"))
    assert 0 < stages <= found["smile_analysis_seconds_sum"]


def test_detector_runs_and_failures_are_counted(make_client, face_video, monkeypatch):
    client = make_client(source=str(face_video))
    client.get("/snapshot.jpg")
    eventually(lambda: client.get("/snapshot.jpg") and metrics(client)["smile_faces"] == 1)
    assert metrics(client)["smile_detector_runs_total"] >= 1
    assert metrics(client)["smile_detector_failures_total"] == 0

    def fail(*_, **__):
        raise DetectorError("It does not work.")

    monkeypatch.setattr(client.application.extensions["smile_watch"]._detector, "candidates", fail)
    with client.get("/events") as events:
        stream = iter(events.response)
        eventually(lambda: next(stream) and metrics(client)["smile_detector_failures_total"] >= 1)
    found = metrics(client)
    assert found["smile_detector_runs_total"] >= 1 + found["smile_detector_failures_total"]


def test_a_picture_counts_once_for_a_viewer_and_only_when_the_server_took_it():
    delivered: list[float] = []
    live = LiveStream(on_delivered=delivered.append)
    live.publish(b"older than the viewer", "{}", captured_at=time.monotonic())
    stream, events = live.mjpeg(), live.events(interval=0)
    next(stream)
    assert next(stream).startswith(b"older")
    captured = time.monotonic() - 7
    live.publish(b"picture", "{}", captured_at=captured)
    assert next(stream).startswith(b"picture")
    assert delivered == [], "yielded, not taken yet"
    assert next(stream).startswith(b"picture"), "a repeat, after a second"
    (seconds,) = delivered
    assert 7 < seconds <= time.monotonic() - captured
    next(stream)
    live.publish(b"card", "{}")
    assert next(stream).startswith(b"card")
    list(itertools.islice(events, 2))
    next(stream)
    assert len(delivered) == 1, "neither repeats nor cards nor events"
    for part in (stream, events):
        part.close()


def test_viewers_are_counted_by_kind(make_client):
    client = make_client()
    live = client.application.extensions["smile_watch"].stream
    streams = [live.mjpeg(), live.mjpeg(), live.events()]
    found = metrics(client)
    assert [found[f"smile_viewers {kind}"] for kind in ("picture", "event", "still")] == [2, 1, 0]
    for stream in streams:
        stream.close()
    assert metrics(client)["smile_viewers picture"] == 0


def test_the_real_app_tells_prometheus_how_it_is(run_app, face_video):
    app = run_app("--source", face_video)
    with viewer(app) as connection:
        coming = arrivals(connection)
        seen = len(list(itertools.islice(coming, 12)))
        eventually(lambda: app.metrics()["smile_frame_to_viewer_seconds_count"] >= seen)  # not a card, nor a repeat
        found = app.metrics()
    count = found["smile_frame_to_viewer_seconds_count"]
    assert seen <= count <= found["smile_frames_analysed_total"]
    assert found['smile_frame_to_viewer_seconds_bucket{le="+Inf"}'] == count
    states = {name: value for name, value in found.items() if name.startswith("smile_camera_state")}
    assert {name for name, value in states.items() if value} == {'smile_camera_state{state="live"}'}
    assert len(states) == 6
    assert found['smile_viewers{kind="picture"}'] == 1
    assert found["process_resident_memory_bytes"] > 1e7
    assert found["process_open_fds"] > 3
    assert found["process_cpu_seconds_total"] > 0
