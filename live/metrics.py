"""The metrics of `GET /metrics`, for Prometheus: frames, the time of each stage, viewers, and the state of the camera.

Numbers that the app keeps anyway are read only when Prometheus asks. A frame costs a few observations, microseconds in all.
Each app has a registry of its own, so that several can live in one process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

METRICS_MIMETYPE = "text/plain; version=0.0.4; charset=utf-8"

_STAGE_BUCKETS_S = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0)
# Fine steps round 15 and 40 ms: 95 % and 99 % of the pictures should stay below these.
_DELIVERY_BUCKETS_S = (
    *(0.002, 0.004, 0.006, 0.008, 0.01, 0.0125, 0.015, 0.0175, 0.02, 0.025, 0.03, 0.035, 0.04, 0.045, 0.05, 0.06, 0.08),
    *(0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0),
)


@dataclass(frozen=True)
class Counts:
    """What the app has counted since it started, and how things stand now.

    `dropped`: frames captured but not analysed, by reason. `searches`: searches of whole frames that worked;
    `failed_searches`: those that failed. `viewers`: open streams, by kind. `camera`: its state, one of `camera_states`.
    """

    captured: int
    analysed: int
    dropped: Mapping[str, int]
    searches: int
    failed_searches: int
    faces: int
    viewers: Mapping[str, int]
    camera: str
    camera_states: tuple[str, ...]
    uptime_s: float


class Metrics(Collector):
    """The metrics of one app. `counts` is called from any thread whenever Prometheus asks."""

    def __init__(self, counts: Callable[[], Counts]) -> None:
        self._counts = counts
        self.refusals: Callable[[], Mapping[str, int]] = dict  # by reason; the app sets it
        self._registry = CollectorRegistry()
        stages = Histogram(
            "smile_stage_seconds",
            "Time that one stage of the analysis took for a frame.",
            ["stage"],
            buckets=_STAGE_BUCKETS_S,
            registry=self._registry,
        )
        self._stages = {stage: stages.labels(stage) for stage in ("track", "draw", "encode")}
        self._analysis = Histogram(
            "smile_analysis_seconds",
            "Time that the whole analysis of a frame took, until its picture went to the viewers.",
            buckets=_STAGE_BUCKETS_S,
            registry=self._registry,
        )
        self._delivery = Histogram(
            "smile_frame_to_viewer_seconds",
            "Time from the capture of a frame until the server had taken its picture for one viewer.",
            buckets=_DELIVERY_BUCKETS_S,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)  # Linux only; elsewhere it adds nothing
        self._registry.register(self)

    def analysed(self, *, track: float, draw: float, encode: float, whole: float) -> None:
        """Note how many seconds each stage, and the whole analysis, took for one frame."""
        self._stages["track"].observe(track)
        self._stages["draw"].observe(draw)
        self._stages["encode"].observe(encode)
        self._analysis.observe(whole)

    def delivered(self, seconds: float) -> None:
        """Note that the server took one viewer's picture `seconds` after its capture."""
        self._delivery.observe(seconds)

    def text(self, *, worker: int = 0) -> bytes:
        """All metrics in Prometheus's text format, `METRICS_MIMETYPE`.

        `worker`: this process's number among those that serve one address; it becomes a label of every value. Prometheus
        gets the numbers of the worker that answers, and the label tells workers apart. 0: no label.
        """
        return generate_latest(_Labelled(self._registry, {"worker": str(worker)}) if worker else self._registry)

    def collect(self) -> Iterator[Metric]:
        """The metrics that come from `counts`. The registry calls this."""
        now = self._counts()
        yield _counter("smile_frames_captured", "Frames that the camera gave.", now.captured)
        yield _counter("smile_frames_analysed", "Frames that were analysed and shown.", now.analysed)
        yield _counter(
            "smile_frames_dropped",
            "Frames captured but not analysed: late (a newer one came first), unwatched (nobody watched), or failed.",
            now.dropped,
            "reason",
        )
        yield _counter("smile_detector_runs", "Searches of a whole frame for faces.", now.searches + now.failed_searches)
        yield _counter("smile_detector_failures", "Searches of a whole frame that failed.", now.failed_searches)
        yield _counter("smile_refusals", "Visitors that were refused, by reason.", self.refusals(), "reason")
        yield _gauge("smile_faces", "Faces in the newest picture.", now.faces)
        yield _gauge("smile_viewers", "Open picture streams, event streams and snapshots.", now.viewers, "kind")
        states = {state: int(state == now.camera) for state in now.camera_states}
        yield _gauge("smile_camera_state", "1 for the state that the camera is in, 0 for all others.", states, "state")
        yield _gauge("smile_uptime_seconds", "Time since the app started.", now.uptime_s)


class _Labelled(CollectorRegistry):
    """The metrics of `inner` with more labels."""

    def __init__(self, inner: CollectorRegistry, labels: Mapping[str, str]) -> None:
        super().__init__()
        self._inner = inner
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        for metric in self._inner.collect():
            metric.samples = [sample._replace(labels={**sample.labels, **self._labels}) for sample in metric.samples]
            yield metric


def _counter(name: str, text: str, value: int | Mapping[str, int], label: str = "") -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label] if label else [])
    for key, number in _by_label(value):
        family.add_metric(key, number)
    return family


def _gauge(name: str, text: str, value: float | Mapping[str, int], label: str = "") -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label] if label else [])
    for key, number in _by_label(value):
        family.add_metric(key, number)
    return family


def _by_label(value: float | Mapping[str, int]) -> list[tuple[list[str], float]]:
    return [([key], number) for key, number in value.items()] if isinstance(value, Mapping) else [([], value)]
