// The live page: asks for the counts once a second; the picture comes as a stream of its own.

const EVERY = 1000; // milliseconds
const chart = new TimeChart(byId("chart"), null);
let running = null;

async function answer(address) {
  const response = await fetch(address, { cache: "no-store" });
  if (!response.ok) throw new Error(response.statusText);
  return response.json();
}

function show(counts, overTime) {
  document.title = `${counts.people} now · ${counts.source} · Upright`;
  byId("title").textContent = counts.source;
  byId("subtitle").textContent =
    `${lasting(counts.seconds)} · ${many(counts.frames, "frame")} · ${counts.frames_per_second.toFixed(1)} frames a second`;
  if (counts.width) {
    byId("screen").style.aspectRatio = `${counts.width} / ${counts.height}`;
    byId("screen").style.maxWidth = `calc(72vh * ${counts.width / counts.height})`;
  }
  const stats = [["people now", counts.people], ["at most", counts.most]];
  if (counts.tracks !== null) stats.push(["tracks so far", counts.tracks_total]);
  for (const [name, count] of Object.entries(counts.counts)) if (name !== "people") stats.push([name, count]);
  showTerms(byId("stats"), stats);
  chart.show(overTime, counts.events);
  const rows = counts.events.map((event) => eventRow(event)).reverse();
  byId("events").replaceChildren(...rows);
  if (!rows.length) byId("events").append(element("li", { className: "hint", textContent: "None so far." }));
  const people = (counts.tracks ?? []).map((track) => [`Person ${track.track}`, `for ${lasting(track.seconds)}`]);
  showTerms(byId("tracks"), people.length ? people : [[many(counts.people, "person", "people"), ""]]);
}

async function ask() {
  try {
    const [counts, overTime] = await Promise.all([answer("counts.json"), answer("chart.json")]);
    byId("over").hidden = true;
    if (counts.frames) show(counts, overTime);
    if (running === false) byId("picture").src = `stream?${Date.now()}`; // another run at the same address
    running = true;
  } catch {
    running = false;
    byId("over").hidden = false;
  }
  setTimeout(ask, EVERY);
}

ask();
