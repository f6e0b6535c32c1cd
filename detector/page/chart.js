// People over time: a chart that is a slider, too.

class TimeChart {
  // `onSeek` gets the seconds that were chosen by pointer or keyboard; without it the chart is a picture.
  constructor(root, onSeek) {
    this.root = root;
    this.onSeek = onSeek;
    this.data = { start: 0, step: 1, mean: [], most: [] };
    this.events = [];
    this.span = null;
    this.time = null;
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    this.svg = this.make("svg", { height: 190, "aria-hidden": "true" });
    root.replaceChildren(this.svg, this.tip);
    root.setAttribute("role", onSeek ? "slider" : "img");
    root.setAttribute("aria-label", "People over time");
    if (onSeek) {
      root.tabIndex = 0;
      root.addEventListener("keydown", (event) => this.key(event));
      root.addEventListener("pointerdown", (event) => this.press(event));
    }
    root.addEventListener("pointermove", (event) => this.hover(event));
    root.addEventListener("pointerleave", () => this.leave());
    new ResizeObserver(() => this.draw()).observe(root);
  }

  show(data, events = [], end = null) {
    this.data = data;
    this.events = events;
    this.span = null;
    this.end = end ?? data.start + Math.max(1, data.mean.length) * data.step;
    this.draw();
  }

  mark(span) {
    this.span = span;
    this.draw();
  }

  make(tag, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  x(seconds) {
    const share = (seconds - this.data.start) / Math.max(1e-9, this.end - this.data.start);
    return this.left + Math.min(1, Math.max(0, share)) * (this.right - this.left);
  }

  y(people) {
    return this.bottom - (people / this.top) * (this.bottom - 14);
  }

  draw() {
    const width = this.root.clientWidth;
    if (!width || this.end === undefined) return;
    const { start, step, mean, most } = this.data;
    const highest = Math.max(1, ...most.map((value) => value ?? 0));
    const unit = niceStep(highest / 4, 1);
    this.top = Math.ceil(highest / unit) * unit;
    this.left = 10 + 8 * String(this.top).length;
    this.right = width - 12;
    this.bottom = 162;
    this.svg.setAttribute("viewBox", `0 0 ${width} 190`);
    const parts = [];
    for (let people = 0; people <= this.top; people += unit) {
      const y = this.y(people);
      parts.push(this.make("line", { class: "grid", x1: this.left, x2: this.right, y1: y, y2: y }));
      parts.push(this.make("text", { x: this.left - 7, y: y + 4, "text-anchor": "end" }, people));
    }
    const tick = niceTime((this.end - start) / Math.max(2, Math.floor((this.right - this.left) / 90)));
    for (let at = Math.ceil(start / tick - 1e-6) * tick; at <= this.end + 1e-6; at += tick) {
      const text = clock(at, tick < 1);
      const anchor = this.x(at) > width - 24 ? "end" : "middle";
      parts.push(this.make("text", { x: anchor === "end" ? width : this.x(at), y: 181, "text-anchor": anchor }, text));
    }
    if (this.span) {
      const from = this.x(this.span[0]);
      const length = Math.max(3, this.x(this.span[1]) - from);
      parts.push(this.make("rect", { class: "span", x: from, y: this.bottom + 2, width: length, height: 4, rx: 2 }));
    }
    for (const run of runs(most, step)) {
      const points = run.map(([i, value]) => `${this.x(start + (i + 0.5) * step)},${this.y(value)}`);
      const ends = [run[0][0], run[run.length - 1][0] + 1].map((i) => this.x(start + i * step));
      const first = this.y(run[0][1]);
      const last = this.y(run[run.length - 1][1]);
      const area = `M${ends[0]},${this.bottom} L${ends[0]},${first} L${points.join(" L")} L${ends[1]},${last} L${ends[1]},${this.bottom}Z`;
      parts.push(this.make("path", { class: "most", d: area }));
    }
    for (const run of runs(mean, step)) {
      const points = run.map(([i, value]) => [this.x(start + (i + 0.5) * step), this.y(value)]);
      points.unshift([this.x(start + run[0][0] * step), points[0][1]]);
      points.push([this.x(start + (run[run.length - 1][0] + 1) * step), points[points.length - 1][1]]);
      parts.push(this.make("polyline", { class: "mean", points: points.map((p) => p.join(",")).join(" ") }));
    }
    for (const event of this.events.slice(0, 500)) {
      parts.push(this.make("circle", { class: "event", cx: this.x(event.seconds), cy: 7, r: 4 }));
    }
    this.cursor = this.make("line", { class: "cursor", y1: 0, y2: this.bottom });
    this.hoverLine = this.make("line", { class: "hover", y1: 0, y2: this.bottom, visibility: "hidden" });
    this.svg.replaceChildren(...parts, this.hoverLine, this.cursor);
    this.moveTo(this.time);
  }

  moveTo(seconds) {
    this.time = seconds;
    if (!this.cursor) return;
    this.cursor.setAttribute("visibility", seconds === null ? "hidden" : "visible");
    if (seconds !== null) this.place(this.cursor, this.x(seconds));
    if (!this.onSeek) return;
    const now = seconds ?? this.data.start;
    this.root.setAttribute("aria-valuemin", this.data.start);
    this.root.setAttribute("aria-valuemax", this.end);
    this.root.setAttribute("aria-valuenow", now.toFixed(2));
    this.root.setAttribute("aria-valuetext", `${clock(now, true)}, ${this.people(now)}`);
  }

  place(line, x) {
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
  }

  people(seconds) {
    const value = this.data.most[Math.floor((seconds - this.data.start) / this.data.step)];
    return value === undefined || value === null ? "no frame" : many(value, "person", "people");
  }

  secondsAt(event) {
    const box = this.svg.getBoundingClientRect();
    const share = (event.clientX - box.left - this.left) / (this.right - this.left);
    return this.data.start + Math.min(1, Math.max(0, share)) * (this.end - this.data.start);
  }

  press(event) {
    if (event.button !== 0) return;
    this.root.setPointerCapture(event.pointerId);
    this.onSeek(this.secondsAt(event));
  }

  hover(event) {
    if (!this.hoverLine) return;
    const seconds = this.secondsAt(event);
    if (this.onSeek && event.buttons === 1) this.onSeek(seconds);
    const x = this.x(seconds);
    this.place(this.hoverLine, x);
    this.hoverLine.setAttribute("visibility", "visible");
    this.tip.textContent = `${clock(seconds, true)} · ${this.people(seconds)}`;
    this.tip.hidden = false;
    const half = this.tip.offsetWidth / 2;
    this.tip.style.left = `${Math.min(this.root.clientWidth - half, Math.max(half, x))}px`;
  }

  leave() {
    this.tip.hidden = true;
    if (this.hoverLine) this.hoverLine.setAttribute("visibility", "hidden");
  }

  key(event) {
    const small = Math.max(1, this.data.step);
    const large = Math.max(small, (this.end - this.data.start) / 10);
    const now = this.time ?? this.data.start;
    const to = {
      ArrowLeft: now - small, ArrowDown: now - small, ArrowRight: now + small, ArrowUp: now + small,
      PageDown: now - large, PageUp: now + large, Home: this.data.start, End: this.end,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.onSeek(Math.min(this.end, Math.max(this.data.start, to)));
  }
}

// Stretches of [index, value] without a longer gap; with few frames a second there are intervals without one.
function runs(values, step) {
  const longest = Math.max(1, Math.round(3 / step));
  const found = [];
  let last = -Infinity;
  values.forEach((value, index) => {
    if (value === null) return;
    if (index - last > longest) found.push([]);
    found[found.length - 1].push([index, value]);
    last = index;
  });
  return found;
}

function niceStep(least, smallest) {
  let step = smallest;
  for (let i = 0; step < least; i += 1) step *= i % 3 === 1 ? 2.5 : 2;
  return step;
}

function niceTime(least) {
  const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
  return steps.find((step) => step >= least) ?? Math.ceil(least / 14400) * 14400;
}
