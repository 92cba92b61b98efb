"""Workers that train together find each other first: what tells them where, who is refused, and who waits for whom."""

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from common.errors import ClusterError
from tests.clusters import addresses, configured
from tests.waiting import PATIENCE_S, always, eventually
from training import train
from training.fitting.cluster import Cluster, meet, read_cluster

pytestmark = pytest.mark.slow

TWO = {"worker": ["127.0.0.1:9000", "127.0.0.1:9001"]}


def test_a_cluster_is_read_from_the_environment():
    assert read_cluster(configured(TWO, {"type": "worker", "index": 1})) == Cluster(tuple(TWO["worker"]), 1)
    six = read_cluster(configured({"worker": ["[::1]:9000", "[::1]:9001"]}, {"type": "worker", "index": 0}))
    assert six.host_and_port(1) == ("::1", 9001)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"TF_CONFIG": ""},
        {"TF_CONFIG": "{"},
        {"TF_CONFIG": "[]"},
        configured({"worker": ["127.0.0.1:9000"]}, {"type": "worker", "index": 0}),
        configured({"worker": ["127.0.0.1:9000"] * 2}, {"type": "worker", "index": 0}),
        configured({"worker": ["127.0.0.1:9000", "127.0.0.1"]}, {"type": "worker", "index": 0}),
        configured({"worker": ["127.0.0.1:9000", "127.0.0.1:90000"]}, {"type": "worker", "index": 0}),
        configured({"worker": "127.0.0.1:9000,127.0.0.1:9001"}, {"type": "worker", "index": 0}),
        configured({"worker": ["127.0.0..1:9000", "127.0.0.1:9001"]}, {"type": "worker", "index": 0}),
        configured({"worker": ["127.0.0.1:9000", 9001]}, {"type": "worker", "index": 0}),
        configured(TWO | {"ps": ["127.0.0.1:9002"]}, {"type": "worker", "index": 0}),
        configured(TWO, {"type": "chief", "index": 0}),
        configured(TWO, {"type": "worker", "index": 2}),
        configured(TWO, {"type": "worker", "index": -1}),
        configured(TWO, {"type": "worker", "index": True}),
        configured(TWO, {"type": "worker"}),
        configured(TWO, None),
    ],
)
def test_a_cluster_that_can_not_be_used_is_said_in_a_sentence_with_an_example(environ, monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert (
        train.main(
            ["--from-scratch", "--distribute", "multiworker", "--data", str(tmp_path / "none.npz"), "--out", str(tmp_path)]
        )
        == 2
    )
    said = capsys.readouterr().err
    assert said.startswith("TF_CONFIG ")
    assert said.count("\n") == 1
    assert json.loads(said[said.index("{") : said.rindex("}") + 1])["task"]["index"] == 0


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_a_time_to_wait_that_is_none_is_refused(seconds, capsys):
    assert train.main(["--from-scratch", "--distribute", "multiworker", "--wait", seconds]) == 2
    assert capsys.readouterr().err == "--wait must be a number of seconds, more than 0.\n"


class Met:
    """Workers of one cluster, each in a thread of its own. `ended`: None for one that began, by index, else why not."""

    def __init__(self, at: tuple[str, ...]) -> None:
        self.at = at
        self.ended: dict[object, str | None] = {}
        self._threads: list[threading.Thread] = []

    def comes(self, index: int, *, same: str = "data", seconds: float = PATIENCE_S, name: object = None) -> threading.Thread:
        def come() -> None:
            try:
                meet(Cluster(self.at, index), same, seconds)
                self.ended[index if name is None else name] = None
            except ClusterError as error:
                self.ended[index if name is None else name] = str(error)

        self._threads.append(threading.Thread(target=come))
        self._threads[-1].start()
        return self._threads[-1]

    def all_end(self) -> dict[object, str | None]:
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)
            assert not thread.is_alive()
        return self.ended


@pytest.fixture
def met() -> Iterator[Met]:
    made = Met(addresses(3))
    yield made
    made.all_end()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_workers_begin_when_all_are_there_whoever_comes_first(met, order):
    for index in order[:2]:
        met.comes(index)
    always(lambda: not met.ended)
    met.comes(order[2])
    assert met.all_end() == {0: None, 1: None, 2: None}


def test_workers_with_other_data_are_refused_and_nobody_begins(met):
    met.comes(0)
    with connected_to_first(met) as there:
        there.sendall(hello(met, 1))
        with connected_to_first(met) as again:
            again.sendall(hello(met, 1))
            again.makefile().readline()  # a refusal: so the one before counts
        met.comes(2, same="other data")
        assert "the same dataset, options" in json.loads(there.makefile().readline())["refused"]
    ended = met.all_end()
    assert set(ended) == {0, 2}
    assert all(why and "the same dataset, options" in why for why in ended.values())


def test_workers_that_do_not_come_are_named(met):
    met.comes(2, seconds=10)
    met.comes(0, seconds=5)
    ended = met.all_end()
    assert ended[0] is not None
    assert met.at[1] in ended[0]
    assert met.at[2] not in ended[0]
    assert ended[2] is not None
    assert met.at[0] in ended[2]


def test_two_workers_of_one_number_are_told_so_and_the_rest_begin(met):
    met.comes(0)
    with connected_to_first(met) as first, connected_to_first(met) as second:
        for worker in (first, second):
            worker.sendall(hello(met, 1))
        assert "worker 1" in json.loads(second.makefile().readline())["refused"]
        met.comes(2)
        assert json.loads(first.makefile().readline()) == {"begin": True}
    assert met.all_end() == {0: None, 2: None}


def test_a_worker_with_a_longer_list_is_told_at_once(met):
    met.comes(0)
    with connected_to_first(met) as other:
        other.sendall(hello(met, 3))
        assert "list of workers" in json.loads(other.makefile().readline())["refused"]
    met.comes(1)
    met.comes(2)
    assert met.all_end() == {0: None, 1: None, 2: None}


def test_strangers_and_workers_that_left_again_do_not_count(met):
    met.comes(0)
    for said in (b"", b"GET / HTTP/1.1\r\n\r\n", b'{"index": 7}\n', b'{"index": [1]}\n', b"\xff\n", b"1\n", b"x" * 10_000):
        with connected_to_first(met) as stranger:
            stranger.sendall(said)
    with connected_to_first(met) as gone:
        gone.sendall(hello(met, 1))
    met.comes(2)
    always(lambda: not met.ended)
    met.comes(1)
    assert met.all_end() == {0: None, 1: None, 2: None}


def hello(met: Met, index: int) -> bytes:
    """What a worker of that number says who has the same data as the others."""
    same = hashlib.sha256(f"data {met.at}".encode()).hexdigest()
    return json.dumps({"index": index, "same": same}).encode() + b"\n"


@contextmanager
def connected_to_first(met: Met) -> Iterator[socket.socket]:
    def connect() -> socket.socket | None:
        with suppress(ConnectionRefusedError):
            return socket.create_connection(Cluster(met.at, 0).host_and_port(0), timeout=PATIENCE_S)
        return None

    with eventually(connect) as connection:
        yield connection


def test_a_port_that_is_taken_is_said(met):
    _, port = Cluster(met.at, 1).host_and_port(1)
    with socket.create_server(("", port)):
        met.comes(1)
        assert f"Port {port} can't be used" in str(met.all_end()[1])
