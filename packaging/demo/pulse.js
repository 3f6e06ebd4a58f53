/**
 * The page's pulse: a line that scrolls with every animation frame, and the frames counted.
 *
 * It shows what the page's thread really does: the line is drawn by the same thread as everything else, so where
 * that thread stood still the line has a gap, as wide as the stop was long. Nothing here is computed ahead or
 * smoothed over.
 */

const SECONDS_SHOWN = 8;
const FROZEN_FROM_MS = 200;
const READOUT_EVERY_MS = 250;

const canvas = document.getElementById("pulse");
const fps = document.getElementById("fps");
const longest = document.getElementById("longest");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

const frames = [];
let longestMs = 0;
let firstMark = Infinity;
let lastReadout = 0;
let ink = colours();

dark.addEventListener("change", () => { ink = colours(); });
// A hidden tab gets no frames: that gap is the browser's doing, not a stop of the page's.
document.addEventListener("visibilitychange", () => { frames.length = 0; longestMs = 0; });
requestAnimationFrame(frame);

/** Forgets the longest frame: what comes next is measured from here. */
export function mark() {
  longestMs = 0;
  firstMark = Math.min(firstMark, performance.now());
}

/** Tells the frames per second of the last second and the longest frame since the last mark. */
export function read() {
  const now = performance.now();
  const recent = frames.filter((at) => at > now - 1000).length;
  return { fps: recent, longest: longestMs };
}

/** Resolves when what was changed on the page has been painted. */
export function painted() {
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}

function frame(at) {
  const before = frames.at(-1);
  if (before !== undefined) longestMs = Math.max(longestMs, at - before);
  frames.push(at);
  while (frames[0] < at - SECONDS_SHOWN * 1000 - 10000) frames.shift();
  draw(at);
  if (at - lastReadout > READOUT_EVERY_MS) {
    lastReadout = at;
    readOut();
  }
  requestAnimationFrame(frame);
}

function readOut() {
  const { fps: recent, longest: stop } = read();
  fps.textContent = recent;
  longest.textContent = stop < 1000 ? `${Math.round(stop)} ms` : `${(stop / 1000).toFixed(1)} s`;
  longest.dataset.state = stop < FROZEN_FROM_MS ? "good" : "bad";
}

function draw(now) {
  const scale = devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);

  const right = width - 8;
  const x = (at) => right - ((now - at) / (SECONDS_SHOWN * 1000)) * right;
  const y = (at) => height / 2 - (calm.matches ? 0 : beat(at)) * (height / 2 - 6);

  const line = pen.createLinearGradient(0, 0, right, 0);
  line.addColorStop(0, ink.clear);
  line.addColorStop(0.3, ink.line);
  line.addColorStop(1, ink.line);
  pen.lineWidth = 2;
  pen.lineJoin = "round";
  pen.strokeStyle = line;
  pen.beginPath();
  let before;
  const stops = [];
  for (const at of frames) {
    const stopped = before !== undefined && at - before >= FROZEN_FROM_MS;
    if (stopped) stops.push([before, at]);
    if (before === undefined || stopped) pen.moveTo(x(at), y(at));
    else pen.lineTo(x(at), y(at));
    before = at;
  }
  pen.stroke();

  pen.font = "600 11px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (const [from, to] of stops) {
    const left = Math.max(0, x(from));
    const span = x(to) - left;
    if (span <= 0) continue;
    // Before the first action there is nobody to wait: Python itself is being loaded.
    const loading = to < firstMark;
    pen.fillStyle = loading ? ink.load : ink.stop;
    pen.fillRect(left, 2, span, height - 4);
    const label = `${loading ? "loading Python" : "stood still"} ${((to - from) / 1000).toFixed(1)} s`;
    if (span > pen.measureText(label).width + 8) {
      pen.fillStyle = loading ? ink.loadText : ink.stopText;
      pen.fillText(label, left + span / 2, height / 2);
    }
  }
  pen.fillStyle = ink.dot;
  pen.beginPath();
  pen.arc(right, y(now), 4, 0, 2 * Math.PI);
  pen.fill();
}

/** A calm line with a beat each 1.6 seconds, as a function of time. */
function beat(at) {
  const phase = (at % 1600) / 1600;
  const bump = (centre, spread, size) => size * Math.exp(-(((phase - centre) / spread) ** 2));
  return bump(0.3, 0.05, 0.16) + bump(0.44, 0.016, -0.22) + bump(0.48, 0.02, 0.95) + bump(0.53, 0.018, -0.4) + bump(0.72, 0.07, 0.26);
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const named = (name) => style.getPropertyValue(name).trim();
  return {
    line: named("--accent"), clear: "transparent", dot: named("--sun"), stop: named("--stop-soft"), stopText: named("--stop"),
    load: named("--soft"), loadText: named("--quiet"),
  };
}
