"""Serve the app with waitress: one process, one listening socket, an end within two seconds."""

from __future__ import annotations

import logging
import select
import signal
import socket
import sys
import threading
import time

import waitress.server

from app import close_app, create_app
from errors import SettingsError
from event_log import log_event, write_line
from picture_source import check_source, without_password
from settings import Settings
from visitor_analysis import MAX_BYTES

_HEADROOM_THREADS = 16  # for pages, jokes and health while every viewer's place is taken
_UNSENT_BYTES = 16_384
_MOST_BODY_BYTES = MAX_BYTES + 2**20  # a picture, and what a form adds
_GONE_AFTER_MS = 20_000


def serve(settings: Settings) -> int:
    """Serves until Ctrl-C or SIGTERM. Raises SettingsError when the source or the address can't be used."""
    check_source(settings.source)
    listener = _listen(settings.host, settings.port)
    app = create_app(settings)
    server = waitress.server.create_server(
        app,
        sockets=[listener],
        # Pictures, events and snapshots have that many places each.
        threads=3 * settings.viewer_limit + _HEADROOM_THREADS,
        connection_limit=4 * settings.viewer_limit + 100,
        # A viewer that takes nothing holds its own thread, not a growing buffer.
        outbuf_high_watermark=1,
        channel_timeout=60,
        # Visitors' pictures stay in memory: what is larger than waitress's own limit goes through a file on disk.
        max_request_body_size=_MOST_BODY_BYTES,
        inbuf_overflow=2 * _MOST_BODY_BYTES,
        ident="",
    )
    logging.getLogger("waitress").setLevel(logging.ERROR)  # a viewer that leaves is no news

    def stop(*_) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    watch = app.extensions["smile_watch"]
    warming = threading.Thread(target=watch.warm_up, name="warm-up", daemon=True)
    warming.start()
    _greet(settings, port=listener.getsockname()[1])
    started_at = time.monotonic()
    try:
        _run(server, on_stop=lambda: close_app(app, timeout=1.0))
    finally:
        listener.close()
    log_event("stopped", uptime_s=round(time.monotonic() - started_at, 1))
    return 0


def _greet(settings: Settings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{port}"
    public = settings.host not in ("127.0.0.1", "localhost", "::1")
    if settings.log_format == "text":  # for a person; a program finds all of it in the line below
        write_line(sys.stdout, f"Smile at {address}  (Ctrl-C ends it)")
        if public:
            write_line(sys.stdout, "Everybody who can reach this computer can now see its camera on this page.")
    log_event("started", address=address, source=without_password(settings.source), public=public)


def _run(server, *, on_stop) -> None:
    """waitress's own run(), but streams are ended before it waits for the threads that serve them."""
    try:
        # poll() where there is one: select() fails with more than 1,024 connections.
        server.asyncore.loop(timeout=1, map=server._map, use_poll=hasattr(select, "poll"))
    except (SystemExit, KeyboardInterrupt):
        pass
    finally:
        # A second Ctrl-C must not break the tidying up with a traceback.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        on_stop()
        for channel in list(server.active_channels.values()):
            channel.handle_close()  # wakes a thread that waits for a viewer to take more
        server.task_dispatcher.shutdown(timeout=0.5)
        server.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if hasattr(signal, "SIGHUP"):  # not on Windows, where it would let two programs share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # Connections inherit it: the kernel takes little more than it can send, so a slow viewer lags a second, not twenty.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # A viewer that takes nothing at all for so long is gone, and its place is free again.
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
