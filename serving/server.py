"""Serve the app with waitress: one listening socket, one process or several workers. It ends within two seconds."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import cv2
import waitress.server
from flask import Flask

from common.errors import SettingsError
from common.event_log import log_event, write_line
from common.native_output import native_output_logged
from common.settings import Settings
from common.urls import without_password
from jokes.board import open_board
from pictures.sources import check_source
from serving.bounded_requests import MOST_HEAD_BYTES
from serving.channels import Doorkeeper
from serving.dealt_connections import taking_connections
from serving.memory import keep_little_memory
from serving.worker_processes import WorkerProcesses, end_this_worker
from visitors.analysis import MAX_BYTES
from web.application import close_app, create_app

_HEADROOM_THREADS = 16  # threads for pages, jokes and health while every viewer's place is taken
_UNSENT_BYTES = 16_384
_MOST_BODY_BYTES = MAX_BYTES + 2**20  # a picture, and the rest of a form
_GONE_AFTER_MS = 20_000
_SPARE_CONNECTIONS = 64
_ACCEPTED_AT_ONCE = 32
_MOST_SHARE = (
    0.25  # of one core, for connections; the interpreter runs one thread at a time, and viewers have threads of their own
)
_LONGEST_REST_S, _CREDIT_S = 0.05, 0.02
_S_PER_BYTE = 1e-9  # of a body; measured: 2 MB that were thrown away took 1.8 ms


def serve(settings: Settings) -> int:
    """Serves until Ctrl-C or SIGTERM. Raises SettingsError when the source or the address can't be used."""
    check_source(settings.source)
    if settings.workers > 1 and os.name == "nt":
        raise SettingsError("Windows serves with one process only; start without --workers.")
    started_at = time.monotonic()
    with _listen(settings.host, settings.port) as listener:
        code = _serve_with_workers(listener, settings) if settings.workers > 1 else serve_on(listener, settings)
    log_event("stopped", uptime_s=round(time.monotonic() - started_at, 1))
    return code


def _serve_with_workers(listener: socket.socket, settings: Settings) -> int:
    open_board(settings.board)  # a problem with it is told once, not once for each worker
    workers = WorkerProcesses(settings, listener, most_connections=_most_connections(settings) + _SPARE_CONNECTIONS // 2)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: workers.stop())
    _greet(settings, port=listener.getsockname()[1])
    return workers.run()


@dataclass(frozen=True)
class Share:
    """What each of several worker processes has to itself: its number, from 1, and the socket over which visitors come."""

    number: int
    pair: socket.socket


def serve_on(listener: socket.socket, settings: Settings, *, share: Share | None = None) -> int:
    """Serves what comes to `listener` in this process, or this worker's share of it."""
    keep_little_memory()
    # OpenCV's threads wait for more work in a loop; with them what is small and comes thirty times a second costs thrice.
    cv2.setNumThreads(1)
    with native_output_logged():
        _serve_on(listener, settings, share)
    return 0


def _serve_on(listener: socket.socket, settings: Settings, share: Share | None) -> None:
    app = create_app(settings, worker=share.number if share else 0)
    server = make_server(app, listener, settings)
    logging.getLogger("waitress").setLevel(logging.ERROR)  # it is not worth a line when a viewer leaves

    def stop(*_) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    threading.Thread(target=warm_up, args=(app, settings), name="warm-up", daemon=True).start()
    if share is None:
        _greet(settings, port=listener.getsockname()[1])
    with taking_connections(server, share.pair, on_dealer_gone=end_this_worker) if share else nullcontext():
        _run(server, on_stop=lambda: close_app(app, timeout=0.6))


def warm_up(app: Flask, settings: Settings) -> None:
    """Loads network and detector ahead, for visitors with their own cameras or for viewers of ours."""
    watch = app.extensions["smile_watch"]
    watch.warm_up(app.extensions["visitor_analysis"].warm_up if settings.source == "none" else None)


def make_server(app: Flask, listener: socket.socket, settings: Settings) -> Any:
    """waitress, ready to run, with `app` behind it.

    A visitor's address is that of the connection, or the one that `settings.trusted_proxies` proxies name. Every other
    X-Forwarded-* header is removed before the app sees it. waitress does this, not Werkzeug's ProxyFix, because waitress
    would remove these headers first. It also removes those that it does not use, such as X-Forwarded-Host.
    """
    proxies = {}
    if settings.trusted_proxies:
        proxies = {
            "trusted_proxy": "*",  # any address: in a container the proxy has no fixed one
            "trusted_proxy_count": settings.trusted_proxies,
            "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"},
        }
    server = waitress.server.create_server(
        app,
        sockets=[listener],
        # Pictures, events and snapshots have so many places each.
        threads=3 * settings.viewer_limit + _HEADROOM_THREADS,
        # Never reached: before that, the doorkeeper below closes a connection.
        connection_limit=_most_connections(settings) + _SPARE_CONNECTIONS,
        # A viewer that reads nothing holds up its own thread and fills no buffer.
        outbuf_high_watermark=1,
        channel_timeout=60,
        cleanup_interval=1,
        max_request_header_size=MOST_HEAD_BYTES,
        # A picture goes in one or two pieces, because each piece costs a look at every connection. The default is 8 kB.
        recv_bytes=131072,
        # Visitors' pictures stay in memory: above its own limit waitress would write them to disk.
        max_request_body_size=_MOST_BODY_BYTES,
        inbuf_overflow=2 * _MOST_BODY_BYTES,
        clear_untrusted_proxy_headers=True,
        ident="",
        **proxies,
    )
    keeper = Doorkeeper(_most_connections(settings), app.extensions["refusals"], proxies=settings.trusted_proxies)
    server.channel_class = keeper.channel
    usual = server.maintenance

    def maintenance(now: float) -> None:
        usual(now)  # closes idle connections
        keeper.maintain(server)

    accept = server.handle_accept

    def handle_accept() -> None:
        for _ in range(_ACCEPTED_AT_ONCE):  # one in each pass of the loop, and a newcomer waits for all before it
            before = keeper.accepted
            accept()
            if keeper.accepted == before:
                return

    server.maintenance, server.handle_accept = maintenance, handle_accept
    return server


def _most_connections(settings: Settings) -> int:
    return 4 * settings.viewer_limit + 100


def _greet(settings: Settings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{port}"
    public = settings.host not in ("127.0.0.1", "localhost", "::1")
    if settings.log_format == "text":  # for a person; programs read the line below
        write_line(sys.stdout, f"Smile at {address}  (Ctrl-C ends it)")
        if public:
            write_line(sys.stdout, "Everybody who can reach this computer can now see its camera on this page.")
    several: dict[str, Any] = {"workers": settings.workers} if settings.workers > 1 else {}
    log_event("started", address=address, source=without_password(settings.source), public=public, **several)


class LoopPace:
    """Keeps a loop's thread under `_MOST_SHARE` of a core, whatever wakes it, such as single bytes on many connections."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), time.thread_time()
        self._credit_s = 0.0

    def rest(self, received: int = 0) -> None:
        """Call it after each pass. It sleeps for a moment if the last passes took too much.

        `received`: bytes that have come since the server began. Their cost in other threads counts too.
        """
        wall, cpu = time.monotonic(), time.thread_time() + received * _S_PER_BYTE
        self._credit_s += _MOST_SHARE * (wall - self._wall) - (cpu - self._cpu)
        self._credit_s = min(max(self._credit_s, -_MOST_SHARE * _LONGEST_REST_S), _CREDIT_S)
        self._wall, self._cpu = wall, cpu
        if self._credit_s < 0:
            time.sleep(-self._credit_s / _MOST_SHARE)


def _run(server, *, on_stop) -> None:
    """waitress's own run(), except that it ends streams before it waits for the threads that serve them."""
    try:
        pace, keeper = LoopPace(), server.channel_class.__self__
        while server._map:
            # poll() where there is one: select() fails with more than 1,024 connections.
            server.asyncore.loop(timeout=1, map=server._map, use_poll=hasattr(select, "poll"), count=1)
            pace.rest(keeper.received)
    except (SystemExit, KeyboardInterrupt):
        pass
    finally:
        # A second Ctrl-C must not end the tidying up with a traceback.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        on_stop()
        for channel in list(server.active_channels.values()):
            channel.handle_close()  # wakes a thread that waits for a viewer to take more
        server.task_dispatcher.shutdown(timeout=0.3)
        server.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if hasattr(signal, "SIGHUP"):  # not on Windows, where two programs could then share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # Connections inherit this. The kernel takes little more than it can send, so a slow viewer lags a second, not
        # twenty.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # A viewer that reads nothing for so long is gone, and its place is free again.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GONE_AFTER_MS)
    try:
        listener.bind((host, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror) or error.errno in _NO_SUCH_ADDRESS:
            raise SettingsError(f"This computer has no address {host}; try --host 127.0.0.1.") from error
        if isinstance(error, PermissionError):
            raise SettingsError(f"Port {port} needs administrator rights; choose one above 1023 with --port.") from error
        other = port + 1 if port < 65535 else 5001
        raise SettingsError(
            f"Port {port} is already in use by another program; choose another with --port {other}."
        ) from error
    return listener


_NO_SUCH_ADDRESS = (99, 49, 10049)  # EADDRNOTAVAIL on Linux, macOS and Windows
