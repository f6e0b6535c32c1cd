// Small parts that the pages are made of. Text from files only ever becomes text, never markup.

const byId = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function clock(seconds, fine = false) {
  let whole = Math.max(0, seconds);
  whole = fine ? Math.floor(whole * 10 + 1e-6) / 10 : Math.floor(whole + 1e-6);
  const rest = (whole % 60).toFixed(fine ? 1 : 0).padStart(fine ? 4 : 2, "0");
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

function lasting(seconds) {
  return seconds < 60 ? `${seconds.toFixed(1)} s` : clock(seconds);
}

function many(count, one, more = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : more}`;
}

// Neighbouring numbers get hues far apart.
function trackColour(track) {
  return `hsl(${(track * 137.5 + 150) % 360} 85% 62%)`;
}

function scoreColour(score) {
  return `hsl(${40 + 100 * score} 95% 60%)`;
}

function eventText(event) {
  const who = `Person ${event.track}`;
  const after = event.duration === null || event.duration === undefined ? "" : ` after ${lasting(event.duration)}`;
  const way = { left: " to the left", right: " to the right", up: " upwards", down: " downwards" }[event.direction] ?? "";
  switch (event.kind) {
    case "crossed": return `${who} crossed ${event.name}${way}`;
    case "entered": return `${who} entered ${event.name}`;
    case "left": return `${who} left ${event.name}${after}`;
    case "fallen": return `${who} lies or falls${way}`;
    case "risen": return `${who} got up${after}`;
    default: return `${who}: ${event.kind} ${event.name}${way}`;
  }
}

// With `act` a row is a button that calls it with the event.
function eventRow(event, act) {
  const text = element("span", { textContent: eventText(event) });
  if (event.kind === "fallen") text.className = "mark";
  const time = element("time", { textContent: clock(event.seconds, true) });
  const row = act ? element("button", { type: "button" }, time, text) : element("div", {}, time, text);
  if (act) row.addEventListener("click", () => act(event));
  return element("li", {}, row);
}

// Names and values, in a list of terms.
function showTerms(list, entries) {
  list.replaceChildren(...entries.map(([name, value]) =>
    element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value }))));
}
