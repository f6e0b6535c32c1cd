"""Streams served on this machine: MJPEG, MPEG-TS and HLS over HTTP, MPEG-TS in RTP over RTSP."""

from __future__ import annotations

import io
import socketserver
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from pathlib import Path

import av
import cv2
import numpy as np

TS_PACKET = 188


def grey(value: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), value, np.uint8)


def transport_stream(values: list[int], rate: int = 25, size: tuple[int, int] = (64, 48)) -> bytes:
    """MPEG-TS of plain pictures."""
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as container:
        stream = container.add_stream("mpeg2video", rate=rate, width=size[0], height=size[1], pix_fmt="yuv420p")
        stream.codec_context.gop_size = 5
        stream.codec_context.max_b_frames = 0
        for value in values:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(value, size))))
        container.mux(stream.encode(None))
    return file.getvalue()


class HttpStream:
    """Each connection gets `pictures` of MJPEG, one every `interval` seconds, and is then cut.

    Attributes:
        connections: how many there were.
    """

    def __init__(self, pictures: int, interval: float) -> None:
        self.connections = 0
        self.sent = 0
        self.closing = threading.Event()
        stream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path != "/video":
                    self.send_error(404)
                    return
                stream.connections += 1
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
                self.end_headers()
                for number in range(pictures):
                    if stream.closing.is_set():
                        return
                    data = cv2.imencode(".jpg", grey(number % 250))[1].tobytes()
                    head = f"--part\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                    try:
                        self.wfile.write(head.encode() + data + b"\r\n")
                    except OSError:
                        return
                    stream.sent += 1
                    time.sleep(interval)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}/video"

    @contextmanager
    def running(self) -> Iterator[HttpStream]:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield self
        finally:
            self.closing.set()
            self._server.shutdown()
            self._server.server_close()


FFMPEG = ["ffmpeg", "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=25"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "10"]


@contextmanager
def _served(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server, in threads of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a folder over HTTP."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with _served(partial(Quiet, directory=folder)) as address:
        yield address


@contextmanager
def serving_parts(parts: Callable[[], Iterable[bytes]]) -> Iterator[str]:
    """The address of a stream over HTTP that tells no length: each connection gets the parts, and is then cut."""
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            with suppress(OSError):
                for part in takewhile(lambda _: not closing.is_set(), parts()):
                    self.wfile.write(part)

        def log_message(self, *_: object) -> None:
            pass

    with _served(Handler) as address:
        try:
            yield f"{address}/street.ts"
        finally:
            closing.set()


def encoded_live(seconds: float) -> Iterator[bytes]:
    """MPEG-TS by the ffmpeg program, as fast as it is shown, for so long."""
    with subprocess.Popen([*FFMPEG, "-t", str(seconds), *H264, "-f", "mpegts", "-"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            while part := process.stdout.read1(TS_PACKET * 7):
                yield part
        finally:
            process.kill()


class RtspStream:
    """An RTSP server that plays an MPEG-TS to each client, interleaved in the connection, and then hangs up."""

    def __init__(self, data: bytes, seconds: float) -> None:
        self.plays = 0
        stream = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while (line := self.rfile.readline().decode()).strip():
                    method = line.split()[0]
                    headers = {}
                    while header := self.rfile.readline().decode().strip():
                        name, _, value = header.partition(":")
                        headers[name.lower()] = value.strip()
                    body = ""
                    more = {
                        "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n",
                        "DESCRIBE": "Content-Type: application/sdp\r\n",
                        "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n",
                        "PLAY": "Session: 1\r\n",
                    }.get(method, "")
                    if method == "DESCRIBE":
                        lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=test", "t=0 0", "m=video 0 RTP/AVP 33"]
                        body = "\r\n".join([*lines, "a=control:track0", ""])
                        more += f"Content-Length: {len(body)}\r\n"
                    self.wfile.write(f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\n{more}\r\n{body}".encode())
                    if method == "PLAY":
                        stream.plays += 1
                        self.play()
                        return

            def play(self) -> None:
                step = 7 * TS_PACKET
                parts = range(0, len(data), step)
                for number, start in enumerate(parts):
                    payload = data[start : start + step]
                    clock = int(number / len(parts) * seconds * 90_000)
                    packet = struct.pack("!BBHII", 0x80, 33, number & 0xFFFF, clock, 1) + payload
                    try:
                        self.wfile.write(struct.pack("!cBH", b"$", 0, len(packet)) + packet)
                    except OSError:
                        return
                    time.sleep(seconds / len(parts))

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"rtsp://someone:secret@127.0.0.1:{self._server.server_address[1]}/street"

    @contextmanager
    def running(self) -> Iterator[RtspStream]:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
