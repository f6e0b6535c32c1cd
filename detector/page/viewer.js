// The video with its boxes on a canvas over it.

function numbers(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  return new Kind(bytes.buffer, 0, Math.floor(bytes.length / Kind.BYTES_PER_ELEMENT));
}

class Boxes {
  constructor(packed) {
    this.times = numbers(packed.times, Uint32Array);
    this.counts = numbers(packed.counts, Uint16Array);
    this.corners = numbers(packed.corners, Uint16Array);
    this.scores = numbers(packed.scores, Uint8Array);
    this.tracks = packed.tracks === null ? null : numbers(packed.tracks, Uint32Array);
    this.starts = new Uint32Array(this.times.length + 1);
    this.counts.forEach((count, frame) => { this.starts[frame + 1] = this.starts[frame] + count; });
    const gaps = Array.from(this.times.slice(1, 200), (time, i) => time - this.times[i]).sort((a, b) => a - b);
    this.hold = Math.max(300, 2 * (gaps[Math.floor(gaps.length / 2)] ?? 0)); // a gap in the frames shows no old boxes
  }

  // The boxes of the frame that is shown at a time; each x1 y1 x2 y2 in 0..1.
  at(seconds) {
    const wanted = seconds * 1000 + 1; // times were rounded
    let low = 0;
    let high = this.times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] <= wanted) low = middle + 1; else high = middle;
    }
    const frame = low - 1;
    if (frame < 0 || wanted - this.times[frame] > this.hold) return [];
    const found = [];
    for (let i = this.starts[frame]; i < this.starts[frame + 1]; i += 1) {
      const corners = Array.from(this.corners.slice(4 * i, 4 * i + 4), (part) => part / 65535);
      found.push({ corners, score: this.scores[i] / 100, track: this.tracks === null ? 0 : this.tracks[i] });
    }
    return found;
  }
}

class Viewer {
  constructor(onTime) {
    this.video = byId("video");
    this.canvas = byId("overlay");
    this.screen = byId("screen");
    this.onTime = onTime;
    this.selected = 0;
    this.shown = null;
    this.offset = 0; // seconds of the source at which the video in the page begins: a copy may be of a part
    byId("boxes").addEventListener("change", () => this.draw());
    byId("copy").addEventListener("change", () => this.load(byId("copy").checked));
    byId("fullscreen").addEventListener("click", () => {
      if (document.fullscreenElement) document.exitFullscreen(); else this.screen.requestFullscreen();
    });
    byId("fullscreen").hidden = !document.fullscreenEnabled;
    this.video.addEventListener("error", () => this.failed());
    for (const name of ["seeked", "loadeddata", "timeupdate"]) {
      this.video.addEventListener(name, () => this.update(this.video.currentTime + this.offset));
    }
    if ("requestVideoFrameCallback" in this.video) {
      const next = (_, frame) => {
        this.update(frame.mediaTime + this.offset);
        this.video.requestVideoFrameCallback(next);
      };
      this.video.requestVideoFrameCallback(next);
    }
    new ResizeObserver(() => this.draw()).observe(this.screen);
  }

  show(source) {
    this.source = source;
    this.boxes = new Boxes(source.boxes);
    this.selected = 0;
    this.width = source.width * source.aspect; // as it is shown; pixels need not be squares
    this.screen.style.aspectRatio = `${this.width} / ${source.height}`;
    this.screen.style.maxWidth = `calc(72vh * ${this.width / source.height})`;
    this.shown = null;
    byId("copy-label").hidden = !(source.original && source.copy);
    const until = source.boxes.until;
    byId("box-note").hidden = until === null;
    if (until !== null) {
      byId("box-note").textContent = `Boxes stand in this page up to ${clock(until)}, as many as it has room for; ` +
        "the annotated copy and detections.json have all of them.";
    }
    // Where the page has not all of the boxes, the copy has.
    this.load(!source.original || (until !== null && Boolean(source.copy)));
  }

  load(copy) {
    const seconds = this.shown === null ? this.source.first : this.video.currentTime + this.offset;
    const address = copy ? this.source.copy : this.source.original;
    byId("copy").checked = copy;
    byId("boxes-label").hidden = copy;
    byId("no-video").hidden = true;
    this.shown = address;
    this.copy = copy;
    this.offset = copy ? this.source.copy_start : 0;
    if (!address) {
      this.failed();
      return;
    }
    this.screen.hidden = false;
    this.video.src = address;
    if (seconds > this.offset) this.seek(seconds);
  }

  failed() {
    if (!this.shown && !this.source.copy) {
      this.say("There is no video here that a browser plays: run without --no-copies, then an annotated copy stands beside this page.");
    } else if (!this.copy && this.source.copy) {
      byId("copy-label").hidden = true;
      this.load(true);
    } else if (this.shown) {
      this.say(`The browser cannot play ${decodeURIComponent(this.shown)}: it is not where it was, or in a form that the browser does not know.`);
    }
  }

  say(text) {
    this.screen.hidden = true;
    byId("boxes-label").hidden = true;
    byId("copy-label").hidden = true;
    byId("fullscreen").hidden = true;
    byId("no-video").hidden = false;
    byId("no-video").textContent = text;
  }

  seek(seconds) {
    if (this.screen.hidden) this.update(seconds);
    else this.video.currentTime = Math.max(0, seconds - this.offset);
  }

  select(track) {
    this.selected = track;
    this.draw();
  }

  update(seconds) {
    this.time = seconds;
    this.onTime(seconds);
    this.draw();
  }

  draw() {
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    if (!this.source || !width) return;
    const finer = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * finer);
    this.canvas.height = Math.round(height * finer);
    const pen = this.canvas.getContext("2d");
    // A screen of another shape, full screen say, leaves margins beside the video.
    const scale = Math.min(width / this.width, height / this.source.height);
    const [wide, high] = [scale * this.width, scale * this.source.height];
    pen.setTransform(finer, 0, 0, finer, (finer * (width - wide)) / 2, (finer * (height - high)) / 2);
    const wanted = !this.copy && byId("boxes").checked;
    if (wanted) for (const shape of this.source.shapes) this.drawShape(pen, shape, scale);
    for (const box of this.boxes.at(this.time ?? 0)) {
      const chosen = this.selected > 0 && box.track === this.selected;
      if (wanted || chosen) this.drawBox(pen, box, wide, high, chosen);
    }
  }

  drawShape(pen, shape, scale) {
    const points = shape.points.map(([x, y]) => [x * scale * this.source.aspect, y * scale]);
    pen.beginPath();
    for (const point of points) pen.lineTo(...point);
    if (points.length > 2) {
      pen.closePath();
      pen.fillStyle = "#46c8ff26";
      pen.fill();
    }
    pen.lineWidth = 2;
    pen.strokeStyle = points.length > 2 ? "#46c8ff" : "#ff5ac8";
    pen.stroke();
    const [x, y] = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
    pen.font = "600 12px system-ui, sans-serif";
    const half = pen.measureText(shape.name).width / 2 + 4;
    pen.fillStyle = "#0b0d10cc";
    pen.fillRect(x - half, y - 8, 2 * half, 16);
    pen.fillStyle = "#eee";
    pen.fillText(shape.name, x - half + 4, y + 4);
  }

  drawBox(pen, box, wide, high, chosen) {
    const [x1, y1, x2, y2] = box.corners.map((part, i) => part * (i % 2 ? high : wide));
    const colour = box.track ? trackColour(box.track) : scoreColour(box.score);
    pen.globalAlpha = this.selected && !chosen ? 0.45 : 1;
    for (const [line, stroke] of [[chosen ? 6 : 4, "#000c"], [chosen ? 4 : 2, colour]]) {
      pen.lineWidth = line;
      pen.strokeStyle = stroke;
      pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
    }
    const text = box.track ? String(box.track) : box.score.toFixed(2);
    pen.font = "600 12px system-ui, sans-serif";
    const length = pen.measureText(text).width + 8;
    if (y2 - y1 >= 32 || chosen) {
      const top = y1 >= 17 ? y1 - 17 : y1;
      pen.fillStyle = colour;
      pen.fillRect(x1 - 1, top, length, 16);
      pen.fillStyle = "#0b0d10";
      pen.fillText(text, x1 + 3, top + 12);
    }
    pen.globalAlpha = 1;
  }
}
