// The page of a run: one source at a time, all pictures together.

const blocks = [...document.querySelectorAll("script[data-kind]")];
const run = JSON.parse(blocks.find((block) => block.dataset.kind === "run").textContent);
const pictureBlocks = blocks.filter((block) => block.dataset.kind === "picture");
const entries = blocks.filter((block) => block.dataset.kind === "video")
  .map((block) => ({ name: block.dataset.name, block }));
if (pictureBlocks.length) entries.push({ name: many(pictureBlocks.length, "picture"), block: null });

let source = null;
const chart = new TimeChart(byId("chart"), (seconds) => viewer.seek(seconds));
const viewer = new Viewer((seconds) => chart.moveTo(seconds));

function showEntry(entry) {
  byId("title").textContent = entry.name;
  document.title = `${entry.name} · Upright`;
  byId("video-part").hidden = entry.block === null;
  byId("picture-part").hidden = entry.block !== null;
  if (entry.block === null) showPictures(); else showVideo(JSON.parse(entry.block.textContent));
}

function showVideo(value) {
  source = value;
  byId("subtitle").textContent =
    `${lasting(source.last - source.first)} · ${many(source.frames, "frame")} · ${source.width} × ${source.height}`;
  const most = Math.max(0, ...source.chart.most.map((people) => people ?? 0));
  const stats = [["people on average", (source.people / Math.max(1, source.frames)).toFixed(1)], ["people at most", most]];
  if (source.tracked) stats.push(["tracks", source.tracks_total.toLocaleString("en")]);
  for (const [name, count] of Object.entries(source.crossings)) stats.push([name, count.toLocaleString("en")]);
  showTerms(byId("stats"), stats);
  viewer.show(source);
  chart.show(source.chart, source.events, source.last > source.first ? source.last : null);
  byId("chart-hint").textContent = viewer.screen.hidden ? "" : "Click, or use the arrow keys, to go there";
  byId("event-key").hidden = source.events.length === 0;
  showKinds();
  showEvents();
  showTracks();
  showHeat();
}

function showKinds() {
  const names = [...new Set(source.events.map((event) => event.name).filter(Boolean))];
  const kinds = [...new Set(source.events.map((event) => event.kind))];
  const choices = [["all", ""], ...kinds.map((kind) => [kind, `kind:${kind}`]), ...names.map((name) => [name, `name:${name}`])];
  byId("event-kind").replaceChildren(...choices.map(([text, value]) => element("option", { textContent: text, value })));
  byId("event-filter").hidden = choices.length < 3;
}

function showEvents() {
  const wanted = byId("event-kind").value;
  const shown = source.events.filter((event) =>
    !wanted || wanted === `kind:${event.kind}` || wanted === `name:${event.name}`);
  byId("events").replaceChildren(...shown.map((event) => eventRow(event, (chosen) => {
    selectTrack(chosen.track);
    viewer.seek(chosen.seconds);
  })));
  if (!shown.length) {
    const why = source.tracked ? "Nothing happened that was watched for." : "Events need tracks: run with --track.";
    byId("events").append(element("li", { className: "hint", textContent: why }));
  }
  const left = source.events_total - source.events.length;
  byId("events-note").hidden = left === 0;
  byId("events-note").textContent = `${many(left, "later event")} did not find room here; the events' file has them.`;
}

function selectTrack(track) {
  const chosen = source.tracks.find((one) => one.track === track);
  viewer.select(chosen ? track : 0);
  chart.mark(chosen ? [chosen.first, chosen.last] : null);
  for (const button of byId("tracks").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(chosen !== undefined && Number(button.dataset.track) === track));
  }
}

function trackRow(track) {
  const views = element("span", { className: "views" },
    element("img", { src: track.surroundings, alt: "", width: 84, height: 84 }),
    element("img", { src: track.crop, alt: `Person ${track.track}, set upright` }));
  const chip = element("span", { className: "chip" });
  chip.style.background = trackColour(track.track);
  const small = (text) => element("span", { className: "small", textContent: text });
  const times = small(`${clock(track.first, true)} – ${clock(track.last, true)}`);
  const lean = track.lean === null ? "" : ` · lean ${Math.round(track.lean)}°`;
  const button = element("button", { type: "button" }, views,
    element("span", { className: "name" }, chip, `Person ${track.track}`),
    times, small(many(track.frames, "frame")), small(`score ${track.score.toFixed(2)}${lean}`));
  button.dataset.track = track.track;
  button.setAttribute("aria-pressed", String(viewer.selected === track.track));
  button.addEventListener("click", () => {
    const again = viewer.selected === track.track;
    selectTrack(again ? 0 : track.track);
    if (!again) viewer.seek(track.first);
  });
  return element("li", {}, button);
}

function showTracks() {
  const busy = new Set(source.events.map((event) => event.track));
  const order = { first: (t) => t.first, long: (t) => t.first - t.last, score: (t) => -t.score }[byId("track-order").value];
  const shown = source.tracks.filter((track) => !byId("track-events").checked || busy.has(track.track))
    .sort((a, b) => order(a) - order(b) || a.track - b.track);
  byId("tracks").replaceChildren(...shown.map(trackRow));
  byId("track-tools").hidden = source.tracks.length === 0;
  const left = source.tracks_total - source.tracks.length;
  let note = left ? `${many(left, "track")} that ${left === 1 ? "was" : "were"} seen in fewer frames did not find room here.` : "";
  if (!source.tracked) note = "Nobody was followed from frame to frame: run with --track.";
  else if (!shown.length) note = "No tracks to show.";
  byId("tracks-note").textContent = note;
  byId("tracks-note").hidden = !note;
}

// From rare to often, readable without colour, too: dark to light (after Matplotlib's inferno).
const HEAT = [[48, 18, 59], [138, 41, 129], [221, 81, 58], [252, 165, 10], [252, 255, 164]];

function showHeat() {
  byId("still").src = source.still;
  const canvas = byId("heat");
  const { rows, columns, values } = source.heat;
  canvas.width = columns;
  canvas.height = rows;
  const picture = new ImageData(columns, rows);
  numbers(values, Uint8Array).forEach((value, i) => {
    const place = (value / 255) * (HEAT.length - 1);
    const low = Math.min(HEAT.length - 2, Math.floor(place));
    const mix = HEAT[low].map((part, channel) => part + (place - low) * (HEAT[low + 1][channel] - part));
    picture.data.set([...mix, Math.min(1, value / 90) * 220], 4 * i);
  });
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

function pictureRow(block) {
  const picture = JSON.parse(block.textContent);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 1 1");
  svg.setAttribute("preserveAspectRatio", "none");
  for (const [x1, y1, x2, y2] of picture.boxes) {
    const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 })) {
      box.setAttribute(name, value);
    }
    svg.append(box);
  }
  const people = many(picture.people, "person", "people");
  const image = element("img", { src: picture.thumbnail, alt: `${block.dataset.name}: ${people}`, loading: "lazy" });
  const frame = element("span", { className: "frame" }, image, svg);
  frame.style.aspectRatio = `${picture.width} / ${picture.height}`;
  frame.style[picture.width * 3 > picture.height * 4 ? "width" : "height"] = "100%";
  const link = element("a", {}, element("span", { className: "picture" }, frame),
    element("span", { className: "name", textContent: block.dataset.name }),
    element("span", { className: "hint", textContent: people }));
  const address = picture.copy ?? picture.original;
  if (address) link.href = address;
  const row = element("li", {}, link);
  row.dataset.people = picture.people;
  return row;
}

function showPictures() {
  byId("gallery").replaceChildren(...pictureBlocks.map(pictureRow));
  const counts = [...byId("gallery").children].map((row) => Number(row.dataset.people));
  const people = counts.reduce((sum, count) => sum + count, 0);
  byId("subtitle").textContent = many(people, "person", "people");
  showTerms(byId("stats"), [["people", people], ["pictures with people", counts.filter(Boolean).length]]);
  showFound();
}

function showFound() {
  for (const row of byId("gallery").children) {
    row.hidden = byId("found-only").checked && row.dataset.people === "0";
  }
}

byId("event-kind").addEventListener("change", showEvents);
byId("track-order").addEventListener("change", showTracks);
byId("track-events").addEventListener("change", showTracks);
byId("found-only").addEventListener("change", showFound);
byId("source").append(...entries.map((entry, i) => element("option", { textContent: entry.name, value: i })));
byId("source").addEventListener("change", () => showEntry(entries[byId("source").value]));
byId("chooser").hidden = entries.length < 2;
showTerms(byId("facts"), [...Object.entries(run.settings), ...Object.entries(run.figures)].map(([name, value]) =>
  [name, typeof value === "number" ? value.toLocaleString("en") : value]));
showEntry(entries[0]);
