"""Which machines train together, and how they meet: none starts before all are there with the same data and options.

    TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:9000", "10.0.0.2:9000"]}, "task": {"type": "worker", "index": 0}}'

TensorFlow itself would wait for ever for a worker that does not come, and ignore signals. So the workers first meet over
plain sockets, on the same addresses. Each tells the first one who it is and what it has, and hears when to begin, or why
not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from common.errors import ClusterError

EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:9000", "10.0.0.2:9000"]}, "task": {"type": "worker", "index": 0}}'
_CONNECT_SECONDS = 5.0
_HELLO_SECONDS = 5.0  # for the line that a worker sends once it is connected
_AGAIN_SECONDS = 0.5  # between two tries
_LONGEST_LINE = 4096
_DIFFERENT = (
    "The workers do not have the same dataset, options, code, TensorFlow and list of workers; give all of them the same."
)


@dataclass(frozen=True)
class Cluster:
    """`addresses`: host:port of every worker, the chief first; `index`: which of them this process is."""

    addresses: tuple[str, ...]
    index: int

    def host_and_port(self, index: int) -> tuple[str, int]:
        host, _, port = self.addresses[index].rpartition(":")
        return host.strip("[]"), int(port)


def read_cluster(environ: Mapping[str, str]) -> Cluster:
    """What `TF_CONFIG` says. Raises ClusterError, with an example, if it is missing or can't be used."""
    text = environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        addresses, index = cluster["worker"], task["index"]
        good = (
            set(cluster) == {"worker"}
            and task["type"] == "worker"
            and type(index) is int
            and isinstance(addresses, list)
            and 0 <= index < len(addresses)
            and len(set(addresses)) == len(addresses) >= 2
            and all(_is_address(address) for address in addresses)
        )
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise ClusterError(
            f"TF_CONFIG {'can not be used' if text else 'is not set'}; give it the addresses of two workers or more and, as "
            f"index, which of them this is, for instance {EXAMPLE}."
        )
    return Cluster(tuple(addresses), index)


def _is_address(address: object) -> bool:
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    host.strip("[]").encode("idna")  # UnicodeError, a ValueError, for a name that nobody can look up, as "10.0.0..1"
    return bool(host) and port.isascii() and port.isdigit() and 0 < int(port) < 65536


def meet(cluster: Cluster, digest: str, seconds: float) -> None:
    """Waits until all workers are there, at most `seconds`. `digest`: of everything that must be the same on each of them.

    Raises ClusterError for workers that don't come or that differ, and for an address that can't be used.
    """
    deadline = time.monotonic() + seconds
    same = hashlib.sha256(f"{digest} {cluster.addresses}".encode()).hexdigest()
    with _own_place(cluster) as place:
        if cluster.index == 0:
            _gather(cluster, place, same, deadline)
        else:
            _report(cluster, same, deadline)


@contextlib.contextmanager
def _own_place(cluster: Cluster) -> Iterator[socket.socket]:
    """Listens where TensorFlow will listen soon: at this worker's port, on every address of this machine."""
    _, port = cluster.host_and_port(cluster.index)
    both = socket.has_dualstack_ipv6()
    try:
        place = socket.create_server(
            ("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both, backlog=64
        )
    except OSError as error:
        raise ClusterError(f"Port {port} can't be used ({error.strerror}); give worker {cluster.index} another.") from error
    with place:
        yield place


def _gather(cluster: Cluster, place: socket.socket, same: str, deadline: float) -> None:
    """The first worker's part: it hears all others, and lets them begin together."""
    there: dict[int, socket.socket] = {}
    others = range(1, len(cluster.addresses))
    print(f"Waiting for {_counted(len(others))} to come.", flush=True)
    with contextlib.ExitStack() as connections:
        while missing := [index for index in others if index not in there or _has_left(there[index])]:
            if (left := deadline - time.monotonic()) <= 0:
                names = ", ".join(cluster.addresses[index] for index in missing)
                raise ClusterError(
                    f"No word from {names}; start the same command on every machine, each with its own index in TF_CONFIG, "
                    f"and see that all can reach {cluster.addresses[0]}."
                )
            place.settimeout(min(_AGAIN_SECONDS, left))
            try:
                connection = connections.enter_context(place.accept()[0])
            except TimeoutError:
                continue
            said = _receive(connection, time.monotonic() + _HELLO_SECONDS)
            index = said.get("index")
            if index not in others:  # another program, or a worker with a longer list
                _send(connection, {"refused": _DIFFERENT})
                connection.close()
            elif index not in missing:
                _send(connection, {"refused": f"Two workers say that they are worker {index}; give each its own index."})
            elif said.get("same") != same:
                for told in (connection, *there.values()):
                    _send(told, {"refused": _DIFFERENT})
                raise ClusterError(_DIFFERENT)
            else:
                there[index] = connection
        for connection in there.values():
            _send(connection, {"begin": True})


def _report(cluster: Cluster, same: str, deadline: float) -> None:
    """Every other worker's part: it says that it is there, again after a broken connection, and waits for the word to
    begin.
    """
    first = cluster.addresses[0]
    print(f"Waiting for {first} to begin.", flush=True)
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(OSError):  # not there yet, or gone again
            with socket.create_connection(cluster.host_and_port(0), timeout=min(_CONNECT_SECONDS, left)) as connection:
                _send(connection, {"index": cluster.index, "same": same})
                answer = _receive(connection, deadline)
            if "refused" in answer:
                raise ClusterError(str(answer["refused"]))
            if "begin" in answer:
                return
        time.sleep(max(0.0, min(_AGAIN_SECONDS, deadline - time.monotonic())))
    raise ClusterError(
        f"The first worker did not begin; start the same command with index 0 in TF_CONFIG at {first}, see that this "
        "machine can reach it, and that all the others start, too."
    )


def _counted(count: int) -> str:
    return f"{count} other workers" if count > 1 else "the other worker"


def _has_left(connection: socket.socket) -> bool:
    """A worker says nothing while it waits, so anything to read can only be the end."""
    connection.settimeout(0)
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _send(connection: socket.socket, message: dict) -> None:
    connection.settimeout(_CONNECT_SECONDS)
    with contextlib.suppress(OSError):  # a worker that has left needs no word
        connection.sendall(json.dumps(message).encode() + b"\n")


def _receive(connection: socket.socket, deadline: float) -> dict:
    """One line, a JSON object. An empty object for anything else, and if nothing comes in time."""
    line = b""
    try:
        while not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            if not (piece := connection.recv(_LONGEST_LINE)):
                return {}
            line += piece
        message = json.loads(line)
    except (OSError, ValueError):
        return {}
    return message if isinstance(message, dict) else {}
