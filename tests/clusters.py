"""Clusters of workers on loopback: their addresses, and the environment that tells a worker of them."""

import json
import socket


def configured(workers: object, task: object) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": workers, "task": task})}


def free_ports(count: int) -> list[int]:
    with_ports = [socket.create_server(("", 0)) for _ in range(count)]
    try:
        return [place.getsockname()[1] for place in with_ports]
    finally:
        for place in with_ports:
            place.close()


def addresses(count: int) -> tuple[str, ...]:
    return tuple(f"127.0.0.1:{port}" for port in free_ports(count))
