"""`--serve PORT`: a page with the latest picture and the counts, in the browser, while the detector runs."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socket import AF_INET, AF_INET6
from socketserver import TCPServer
from threading import Condition, Lock, Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import cv2
import numpy as np

from upright.detector.annotated_copies import track_labels
from upright.detector.drawing import draw_detections
from upright.detector.events import Event, Fallen, Line, Zone
from upright.detector.page.gathering import smaller
from upright.detector.page.html import page_end, page_start, printable, short_name
from upright.detector.page.people_over_time import PeopleOverTime
from upright.detector.tracking import HELD
from upright.detector.watch_drawing import draw_watched
from upright.errors import InputError

if TYPE_CHECKING:
    from upright.detector.recording import FrameRecord
    from upright.detector.sources import Source

LATEST_EVENTS = 50
STREAM_SIZE = (1280, 960)  # pixels of the picture at most
MOST_STREAMS = 16  # at a time
AGAIN = 0.5  # seconds until a picture is sent once more
PATIENCE = 20.0  # seconds until a client that takes nothing is left
BOUNDARY = "upright-frame"
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'"
)
SCRIPTS = ("chart.js", "elements.js", "live.js")


class LivePage:
    """An output of `upright.detector.recording.Recorder` that serves the latest frame and what was counted.

    The detector never waits for a browser: pictures are drawn and sent in the threads of those who look on, each of
    whom gets the latest frame when ready for it.

    Args:
        host, port: where it is served; port 0 is any that is free.
        watched: lines and zones, drawn with their counts.

    Attributes:
        address: for the browser.

    Raises:
        InputError: the port is in use, or the host is none of this machine.
    """

    def __init__(self, host: str, port: int, watched: Sequence[Line | Zone | Fallen] = ()) -> None:
        self._state = State(watched)
        try:
            self._server = Server(host, port, self._state)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"cannot serve at {host} port {port} ({reason}): give another --serve PORT") from None
        shown = f"[{host}]" if ":" in host else host
        self.address = f"http://{shown}:{self._server.server_address[1]}/"
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="live page", daemon=True)
        self._thread.start()

    def begin(self, source: Source) -> None:
        """A source is about to come: counting starts anew."""
        self._state.begin(printable(short_name(source)))

    def add(self, record: FrameRecord) -> None:
        self._state.add(record)

    def finish(self, events: tuple[Event, ...]) -> None:
        self._state.add_events(events)

    def discard(self) -> None:
        """What was shown was shown."""

    def close(self) -> None:
        """End the streams and the server."""
        self._state.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class State:
    """What is known of the source that runs, handed from the detector's thread to those of the server."""

    def __init__(self, watched: Sequence[Line | Zone | Fallen]) -> None:
        self.watched = watched
        self.closed = False
        self._changed = Condition()
        self._drawing = Lock()
        self._record: FrameRecord | None = None
        self._number = 0  # of the record, over all sources
        self._drawn: tuple[int, bytes] = (0, b"")
        self._streams = 0
        self.begin("")

    def begin(self, name: str) -> None:
        with self._changed:
            self._name = name
            self._started = perf_counter()
            self._frames = self._most = self._tracks = 0
            self._seconds = 0.0
            self._counts: dict[str, int] = {}
            self._events: deque[Event] = deque(maxlen=LATEST_EVENTS)
            self._over_time = PeopleOverTime()
            self._times: deque[float] = deque(maxlen=30)
            self._seen: dict[int, tuple[float, float]] = {}  # first and last time of those in sight
            self._in_picture: list[int] | None = None

    def add(self, record: FrameRecord) -> None:
        now = perf_counter()
        people = len(record.found.scores)
        with self._changed:
            seconds = record.frame.seconds
            self._seconds = now - self._started if seconds is None else seconds
            self._record, self._number = record, self._number + 1
            self._frames += 1
            self._most = max(self._most, people)
            self._counts = {**record.counts, "people": people}
            self._events.extend(record.events)
            self._over_time.add(self._seconds, people)
            self._times.append(now)
            self._see(record.found.track)
            self._changed.notify_all()

    def _see(self, tracks: np.ndarray | None) -> None:
        self._in_picture = None if tracks is None else sorted(track for track in tracks.tolist() if track > 0)
        for track in self._in_picture or []:
            self._tracks += track not in self._seen
            self._seen[track] = (self._seen.get(track, (self._seconds, 0.0))[0], self._seconds)
        for track in [track for track, (_, last) in self._seen.items() if last < self._seconds - HELD]:
            del self._seen[track]

    def add_events(self, events: tuple[Event, ...]) -> None:
        with self._changed:
            self._events.extend(events)

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def counts(self) -> dict[str, Any]:
        """What `/counts.json` says."""
        with self._changed:
            size = (0, 0) if self._record is None else self._record.frame.image.shape[1::-1]
            passed = self._times[-1] - self._times[0] if len(self._times) > 1 else 0.0
            tracks = None
            if self._in_picture is not None:
                tracks = [
                    {"track": track, "seconds": round(self._seconds - self._seen[track][0], 2)}
                    for track in self._in_picture
                ]
            return {
                "source": self._name,
                "frames": self._frames,
                "seconds": round(self._seconds, 3),
                "frames_per_second": round((len(self._times) - 1) / passed, 2) if passed else 0.0,
                "width": size[0],
                "height": size[1],
                "people": self._counts.get("people", 0),
                "most": self._most,
                "counts": self._counts,
                "tracks": tracks,
                "tracks_total": self._tracks,
                "events": [asdict(event) for event in sorted(self._events, key=lambda event: event.seconds)],
            }

    def chart(self) -> dict[str, Any]:
        """What `/chart.json` says: `PeopleOverTime.as_json`."""
        with self._changed:
            return self._over_time.as_json()

    def next_picture(self, after: int) -> tuple[int, bytes] | None:
        """The latest frame as JPEG with its number; None at the end.

        It waits until the number is another than `after`, but no longer than `AGAIN`: browsers show a picture only
        when the next one comes, and whoever went away is noticed only when something is sent.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self._number != after, AGAIN)
            while self._record is None and not self.closed:
                self._changed.wait()
            if self.closed or self._record is None:
                return None
            number, record = self._number, self._record
        with self._drawing:  # once for all who look on
            if self._drawn[0] < number:
                self._drawn = (number, drawn(record, self.watched))
            return self._drawn

    def enter(self) -> bool:
        """Whether there is room for one more stream; then `leave` has to follow."""
        with self._changed:
            room = self._streams < MOST_STREAMS
            self._streams += room
            return room

    def leave(self) -> None:
        with self._changed:
            self._streams -= 1


def drawn(record: FrameRecord, watched: Sequence[Line | Zone | Fallen]) -> bytes:
    """A frame with its boxes, lines and zones as JPEG."""
    found, image = record.found, record.frame.image
    labels = None if found.track is None else track_labels(found.track, found.scores)
    canvas = draw_detections(image, found.boxes, found.scores, labels)
    if record.frame.number is not None:
        draw_watched(canvas, watched, record.counts)
    canvas = cv2.cvtColor(smaller(canvas, *STREAM_SIZE), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


class Server(ThreadingHTTPServer):
    """Serves each client in a thread of its own, which does not outlive the program."""

    daemon_threads = True

    def __init__(self, host: str, port: int, state: State) -> None:
        self.state = state
        self.address_family = AF_INET6 if ":" in host else AF_INET
        super().__init__((host, port), Handler)
        self.is_private = ip_address(str(self.server_address[0])).is_loopback

    def server_bind(self) -> None:
        """Without http.server's look-up of the machine's name, which may wait for a network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no fault."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers GET for the page, its figures and its stream."""

    server: Server
    timeout = PATIENCE
    server_version = "Upright"
    sys_version = ""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if not self._is_addressed():
            self.send_error(403, "This page answers to its own address alone")
        elif path == "/":
            self._answer(
                "text/html; charset=utf-8", page_start("Upright, live", "live.html", POLICY) + page_end(SCRIPTS)
            )
        elif path == "/counts.json":
            self._answer("application/json", json.dumps(self.server.state.counts()))
        elif path == "/chart.json":
            self._answer("application/json", json.dumps(self.server.state.chart()))
        elif path == "/stream":
            self._stream()
        else:
            self.send_error(404)

    def _is_addressed(self) -> bool:
        """Whether the browser asked for this machine by its number or as localhost, where it alone may look on.

        Another site's name may be made to lead here; its scripts must not see the camera.
        """
        if not self.server.is_private:
            return True
        try:
            name = urlsplit(f"//{self.headers.get('Host', '')}").hostname or "localhost"
            return name == "localhost" or bool(ip_address(name))
        except ValueError:
            return False

    def _answer(self, kind: str, text: str) -> None:
        data = text.encode("utf-8")
        self._start(kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _start(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")

    def _stream(self) -> None:
        state = self.server.state
        if not state.enter():
            self.send_error(503, f"{MOST_STREAMS} look on already")
            return
        try:
            self._start(f"multipart/x-mixed-replace; boundary={BOUNDARY}")
            self.end_headers()
            boundary = f"--{BOUNDARY}\r\n".encode("ascii")
            self.wfile.write(boundary)
            number = 0
            while (picture := state.next_picture(number)) is not None:
                number, data = picture
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                # The boundary at once, not with the next picture: it is what ends a part.
                self.wfile.write(head.encode("ascii") + data + b"\r\n" + boundary)
        finally:
            state.leave()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not printed: stderr is for warnings and errors."""
