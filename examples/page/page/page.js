// Draws the rooms and passes numbers. The crate computes every experiment, in WebAssembly (wasm.js).
"use strict";

let wasm;
const $ = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const still = matchMedia("(prefers-reduced-motion: reduce)");

// Copies the list that a call of the crate has returned.
const numbers = (pointer) => Array.from(new Float64Array(wasm.memory.buffer, pointer >>> 0, wasm.len()));
const rows = (list, width) => Array.from({ length: list.length / width }, (_, i) => list.slice(width * i, width * (i + 1)));
const pairs = (list) => rows(list, 2);

// ---- Text

function short(x) {
  if (!Number.isFinite(x)) return String(x);
  const plain = x === 0 || (Math.abs(x) > 0.99e-4 && Math.abs(x) < 1e5);
  const text = Number.isInteger(x) && plain ? String(x) : plain ? String(Number(x.toPrecision(3))) : x.toExponential(1).replace(".0e", "e").replace("+", "");
  return text.replaceAll("-", "−");
}

// Shows some digits of a number, and has all of them as its value.
const data = (x, text = short(x)) => `<data value="${x}">${text}</data>`;

// ---- Charts

// Round numbers between two others.
function ticks([from, to], count) {
  const rough = (to - from) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const list = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + 1e-9 * step; i++) list.push(Number((i * step).toPrecision(12)));
  return list;
}

function powers([from, to], base) {
  const log = (x) => Math.log(x) / Math.log(base);
  const list = [];
  for (let i = Math.ceil(log(from) - 1e-9); i <= log(to) + 1e-9; i++) list.push(base ** i);
  return list;
}

const SHAPES = [
  (x, y) => `<circle cx="${x}" cy="${y}" r="6"/>`,
  (x, y) => `<rect x="${x - 5.5}" y="${y - 5.5}" width="11" height="11"/>`,
  (x, y) => `<path d="M${x - 7} ${y + 5}h14l-7 -12z"/>`,
  (x, y) => `<rect x="${x - 9}" y="${y - 9}" width="18" height="18"/>`,
  (x, y) => `<path d="M${x - 12} ${y + 8.5}h24l-12 -20.5z"/>`,
];

class Chart {
  // Ranges of x and y, the names of the axes, which of them are logarithmic (and the base of their ticks).
  constructor(id, x, y, { xName = "", yName = "", xLog, yLog } = {}) {
    this.svg = $("#" + id);
    // At least 120, because a window may have no width for a moment.
    const [width, height] = [Math.max(120, this.svg.clientWidth), Math.max(120, this.svg.clientHeight)];
    Object.assign(this, { width, height, left: 54, right: width - 12, top: 10, bottom: height - (xName ? 38 : 22) });
    const scale = ([from, to], log, start, end) => {
      const f = log ? Math.log : (v) => v;
      const factor = (end - start) / (f(to) - f(from));
      // Points off the chart are drawn a little off its edge, and clipped.
      const least = Math.min(start, end) - 50, most = Math.max(start, end) + 50;
      return (v) => {
        const at = start + (f(v) - f(from)) * factor;
        return Math.round(10 * Math.min(most, Math.max(least, Number.isNaN(at) ? end : at))) / 10;
      };
    };
    this.x = scale(x, xLog, this.left, this.right);
    this.y = scale(y, yLog, this.bottom, this.top);
    this.parts = [];
    const room = Math.max(2, Math.floor((this.right - this.left) / 60));
    let xs = xLog ? powers(x, xLog) : ticks(x, room);
    while (xs.length > room + 1) xs = xs.filter((_, i) => i % 2 === 0);
    for (const v of xs) {
      this.parts.push(`<path class="grid" d="M${this.x(v)} ${this.top}V${this.bottom}"/>`);
      this.text(this.x(v), this.bottom + 15, short(v), "middle");
    }
    for (const v of yLog ? powers(y, yLog) : ticks(y, 5)) {
      this.parts.push(`<path class="grid" d="M${this.left} ${this.y(v)}H${this.right}"/>`);
      this.text(this.left - 5, this.y(v) + 4, short(v), "end");
    }
    this.text((this.left + this.right) / 2, height - 4, xName, "middle");
    this.text(this.left + 4, this.top + 12, yName, "start");
    this.parts.push(`<clipPath id="${id}-clip"><rect x="${this.left}" y="${this.top}" width="${this.right - this.left}"
      height="${this.bottom - this.top}"/></clipPath><g clip-path="url(#${id}-clip)">`);
  }

  text(x, y, text, anchor) {
    if (text) this.parts.push(`<text x="${x}" y="${y}" text-anchor="${anchor}">${text}</text>`);
  }

  line(points, look, close = "") {
    if (points.length < 2) return;
    // Points beyond the number of pixels would only take time.
    const skip = Math.ceil(points.length / 600);
    const kept = points.filter((_, i) => i % skip === 0 || i === points.length - 1);
    this.parts.push(`<path class="path ${look}" d="M${kept.map(([x, y]) => this.x(x) + " " + this.y(y)).join("L")}${close}"/>`);
  }

  arrow(from, to, look, size) {
    const [x0, y0, x1, y1] = [this.x(from[0]), this.y(from[1]), this.x(to[0]), this.y(to[1])];
    const angle = Math.atan2(y1 - y0, x1 - x0);
    const barb = (turn) => `${x1 - size * Math.cos(angle + turn)} ${y1 - size * Math.sin(angle + turn)}`;
    this.parts.push(`<path class="path ${look}" d="M${x0} ${y0}L${x1} ${y1}M${barb(0.5)}L${x1} ${y1}L${barb(-0.5)}"/>`);
  }

  dots(points, look, radius) {
    for (const [x, y] of points) this.parts.push(`<circle class="full ${look}" cx="${this.x(x)}" cy="${this.y(y)}" r="${radius}"/>`);
  }

  mark([x, y], look, shape) {
    this.parts.push(`<g class="${look}">${SHAPES[shape](this.x(x), this.y(y))}</g>`);
  }

  show() {
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.svg.innerHTML = this.parts.join("") + "</g>";
  }
}

function legend(id, entries) {
  $("#" + id).innerHTML = entries
    .map(([look, name]) => `<li><svg class="mark" viewBox="0 0 36 16" aria-hidden="true"><path class="path ${look}" d="M0 8H36"/></svg>${name}</li>`)
    .join("");
}

// ---- Rooms: how each starts, steps and is drawn. `settings` are the values of its controls, by name.

const RULES = [
  ["Sgd", "a", "full", 0, ""],
  ["classical", "b", "full", 1, ""],
  ["Nesterov", "c", "full", 2, ""],
  ["PyTorch", "d", "open", 3, "dash"],
  ["PyTorch Nesterov", "e", "open", 4, "dash"],
];
const PLACES = ["moving", "at rest in the small minimum", "at rest at the flat place", "at rest at the lowest point", "out of the picture"];

const rooms = {
  ball: {
    begin: ({ rate, momentum, noise, seed }) => wasm.ball(rate, momentum, noise, seed),
    step: () => wasm.ball_step(),
    frames: () => 2,
    draw(room) {
      const state = numbers(wasm.ball_state());
      const curve = pairs(numbers(wasm.ball_curve()));
      const height = (x) => {
        const i = Math.min(curve.length - 2, Math.max(0, Math.floor((x - curve[0][0]) / 0.05)));
        const [[x0, y0], [x1, y1]] = [curve[i], curve[i + 1]];
        return y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
      };
      const chart = new Chart("ball-curve", [-0.9, 5.9], [-1.2, 1.4], { xName: "x" });
      chart.line(curve, "curve");
      RULES.forEach(([, color, , shape], rule) => {
        if (shape > 2) return; // PyTorch's forms take the same way
        chart.dots(numbers(wasm.ball_path(rule)).slice(-60).map((x) => [x, height(x)]), color + " pale", 3);
      });
      RULES.forEach(([, color, fill, shape], rule) => chart.mark(state.slice(5 * rule, 5 * rule + 2), `${color} ${fill}`, shape));
      chart.show();
      const last = Math.max(100, room.steps);
      for (const [id, list, y] of [["ball-velocity", wasm.ball_velocities, [-0.3, 0.4]], ["ball-gradient", wasm.ball_gradients, [-4, 3]]]) {
        const lines = RULES.map((_, rule) => numbers(list(rule)).map((v, i) => [i + 1, v]));
        // The range widens with the balls, up to ±20.
        const range = y.map((end, i) => Math.max(-20, Math.min(20, Math[i ? "max" : "min"](end, ...lines.flat().map((p) => p[1])))));
        const chart = new Chart(id, [0, last], range, { xName: "step" });
        RULES.forEach(([, color, , , dash], rule) => chart.line(lines[rule], `${color} ${dash}`));
        chart.show();
      }
      $("#ball-table tbody").innerHTML = RULES.map(([name, color, fill, shape], rule) => {
        const [x, , velocity, gradient, place] = state.slice(5 * rule, 5 * rule + 5);
        const mark = `<svg class="mark shape" viewBox="0 -6 36 26" aria-hidden="true"><g class="${color} ${fill}">${SHAPES[shape](18, 8)}</g></svg>`;
        return `<tr><th scope="row">${mark}${name}</th><td class="words">${PLACES[place]}</td>
          <td>${data(x)}</td><td>${data(velocity)}</td><td>${data(gradient)}</td></tr>`;
      }).join("");
    },
    end: () => "The run is over: nothing moves any more, or 1,000 steps were made.",
  },

  valley: {
    begin({ batch, rate, order, seed }) {
      const number = ["replacement", "fixed", "shuffle"].indexOf(order);
      // The chosen size, and beside it whole runs with 1 and with all points.
      [batch, 1, 256].forEach((size, which) => wasm.valley(which, rate, size, number, seed));
      for (const which of [1, 2]) while (wasm.valley_step(which));
    },
    step: () => wasm.valley_step(0),
    frames: ({ batch }) => (batch < 8 ? 1 : 6),
    perEpoch: ({ batch }) => 256 / batch,
    draw(room) {
      const [a, b, loss, da, db, updates, samples] = numbers(wasm.valley_state(0));
      const [bestA, bestB, xx, x] = numbers(wasm.valley_bowl(0));
      const path = pairs(numbers(wasm.valley_path(0)));
      const cloud = pairs(numbers(wasm.valley_cloud(0)));
      const chart = new Chart("valley-map", [-2.2, 2.2], [-2, 2], { xName: "a", yName: "b" });
      // A level line is a circle through the inverse of the Hessian's root.
      const l11 = Math.sqrt(xx), l21 = x / l11, l22 = Math.sqrt(1 - l21 * l21);
      for (const level of [0.01, 0.1, 0.3, 0.7, 1.3, 2.2, 3.5, 5.5, 8, 12, 17]) {
        const circle = Array.from({ length: 73 }, (_, i) => (i * Math.PI) / 36).map((t) => {
          const r = Math.sqrt(2 * level), second = (r * Math.sin(t)) / l22;
          return [bestA + (r * Math.cos(t) - l21 * second) / l11, bestB + second];
        });
        chart.line(circle, "level thin", "z");
      }
      chart.mark([bestA, bestB], "ink open", 0);
      const per = this.perEpoch(room.settings), now = Math.max(0, Math.ceil(updates / per) - 1) * per;
      chart.line(path.slice(0, now + 1), "b pale");
      chart.line(path.slice(now), "b");
      chart.dots(path.slice(now), "b", per > 32 ? 2 : 3);
      const LENGTH = 0.3;
      for (const [ga, gb] of cloud) chart.arrow([a, b], [a - LENGTH * ga, b - LENGTH * gb], "e thin", 5);
      chart.arrow([a, b], [a - LENGTH * da, b - LENGTH * db], "ink", 10);
      chart.mark([a, b], "b full", 0);
      chart.show();

      const names = ["batches of 1", `batches of ${room.settings.batch} (chosen)`, "all 256 at once"];
      const looks = ["a thin", "b", "c dash"];
      legend("valley-legend", [...looks.map((look, i) => [look, names[i]]), ["ink", "down by all points"], ["e thin", "down by other batches of this size"]]);
      const runs = [1, 0, 2].map((which) => numbers(wasm.valley_losses(which)));
      const sizes = [1, room.settings.batch, 256];
      const byUpdates = new Chart("valley-updates", [0, 64], [1e-4, 10], { xName: "updates", yLog: 10 });
      const byEpochs = new Chart("valley-epochs", [0, 8], [1e-4, 10], { xName: "epochs", yLog: 10 });
      runs.forEach((run, i) => {
        byUpdates.line(run.slice(0, 65).map((loss, k) => [k, loss]), looks[i]);
        byEpochs.line(run.slice(0, 8 * 256 / sizes[i] + 1).map((loss, k) => [(k * sizes[i]) / 256, loss]), looks[i]);
      });
      byUpdates.show();
      byEpochs.show();

      const svg = $("#valley-clocks"), width = Math.max(120, svg.clientWidth), height = 144;
      const r = Math.min(60, width / 4 - 8);
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.innerHTML = [["updates", updates, "b"], ["samples", samples, "c"]].map(([name, count, color], i) => {
        const cx = Math.round((width * (2 * i + 1)) / 4), cy = Math.round(height / 2), t = (2 * Math.PI * count) / 256;
        const hand = `M${cx} ${cy}L${cx + 0.85 * r * Math.sin(t)} ${cy - 0.85 * r * Math.cos(t)}`;
        const tick = [0, 1, 2, 3].map((q) => (q * Math.PI) / 2).map((q) =>
          `M${cx + 0.9 * r * Math.sin(q)} ${cy - 0.9 * r * Math.cos(q)}L${cx + r * Math.sin(q)} ${cy - r * Math.cos(q)}`);
        return `<circle class="axis" cx="${cx}" cy="${cy}" r="${r}"/><path class="axis" d="${tick.join("")}"/>
          <path class="path ${color}" d="${hand}"/><text x="${cx}" y="${cy + r / 2 + 4}" text-anchor="middle">${name}</text>`;
      }).join("");
      // The root mean square difference of the batches' gradients from the whole gradient.
      const noise = Math.sqrt(cloud.reduce((sum, [ga, gb]) => sum + (ga - da) ** 2 + (gb - db) ** 2, 0) / cloud.length);
      const values = [updates, samples, samples / 256, a, b, loss, noise / Math.hypot(da, db)];
      all("#valley-list dd").forEach((dd, i) => {
        dd.innerHTML = data(values[i], i < 2 ? values[i].toLocaleString("en") : short(values[i]));
      });
    },
    end: () => "The run is over: it made 8 epochs and 64 updates, or left the picture.",
  },

  digits: {
    begin: ({ batch, rate, momentum, seed }) => wasm.digits(rate, momentum, batch, seed),
    step: () => wasm.digits_step(),
    frames: () => 0,
    perEpoch: ({ batch }) => Math.ceil(7200 / batch),
    earlier: [],
    draw(room) {
      const checks = rows(numbers(wasm.digits_checks()), 3);
      const loss = new Chart("digits-loss", [0, 32], [1e-3, 10], { xName: "epochs", yLog: 10 });
      const accuracy = new Chart("digits-accuracy", [0, 32], [80, 100], { xName: "epochs" });
      for (const run of [...this.earlier, checks]) {
        const look = run === checks ? ["b", "a"] : ["soft thin pale", "soft thin pale"];
        loss.line(run.map((check) => [check[0], check[1]]), look[0]);
        accuracy.line(run.map((check) => [check[0], check[2]]), look[1]);
      }
      loss.show();
      accuracy.show();
      room.checks = checks;
      const [, last, held] = checks.at(-1) ?? [];
      if (last !== undefined) room.more = `loss ${short(last)}, held out ${held.toFixed(2)} %`;
    },
    end(room) {
      const { batch, rate, momentum, seed } = room.settings;
      const [loss, , held, sharpness] = numbers(wasm.digits_end());
      this.earlier.push(room.checks);
      const settings = [rate, momentum, seed].map((value) => `<td>${value}</td>`).join("");
      $("#digits-table tbody").insertAdjacentHTML("beforeend", `<tr><td>${batch}</td><td>${data(held, held.toFixed(2))}</td>
        <td>${data(sharpness)}</td><td>${data(loss)}</td><td>${data(room.steps, room.steps.toLocaleString("en"))}</td>
        <td>${room.seconds.toFixed(2)}</td>${settings}</tr>`);
      return Number.isFinite(loss) ? "The run is over: its row is in the table." : "The steps were too long: the loss is no longer finite.";
    },
  },
};

// ---- The controls

const valueOf = (control) => control.dataset.values?.split(" ")[control.value] ?? control.value;

// Sets a control. Returns false, and changes nothing, if the control does not offer the value.
function setControl(control, value) {
  const before = control.value;
  const index = control.dataset.values?.split(" ").indexOf(value);
  control.value = index ?? value;
  if (index !== -1 && Number(valueOf(control)) === Number(value) && control.checkValidity()) return true;
  if (control.localName === "select" && control.value === value) return true;
  control.value = before;
  return false;
}

class Room {
  constructor(name, kind) {
    Object.assign(this, { name, kind, section: $("#" + name), playing: false, started: false });
    this.controls = all(".controls input, .controls select", this.section);
    for (const control of this.controls) {
      control.addEventListener("input", () => this.reset());
      if (!control.dataset.values) continue;
      control.max = control.dataset.values.split(" ").length - 1;
      control.value = control.getAttribute("value");
    }
    for (const button of all("[data-do]", this.section)) button.addEventListener("click", () => this[button.dataset.do]());
  }

  // Starts a new run with the settings of the controls.
  reset() {
    if (!this.controls.every((control) => control.checkValidity())) return this.say("The seed is a whole number from 0 to 999999.");
    this.pause();
    this.settings = {};
    for (const control of this.controls) {
      const value = valueOf(control);
      this.settings[control.name] = control.localName === "select" ? value : Number(value);
      const output = $("output", control.closest("label"));
      if (output) output.textContent = value;
      if (control.dataset.values) control.setAttribute("aria-valuetext", value);
    }
    Object.assign(this, { steps: 0, seconds: 0, over: false, more: "", started: true });
    this.kind.begin(this.settings);
    this.say("");
    this.show();
  }

  // Makes one step. Returns false once the run is over.
  advance() {
    this.over ||= !this.kind.step();
    if (!this.over) this.steps++;
    return !this.over;
  }

  step() {
    this.run(this.steps + 1);
  }

  epoch() {
    const per = this.kind.perEpoch(this.settings);
    this.run((Math.floor(this.steps / per) + 1) * per);
  }

  // Steps as fast as it can until the run has `target` steps.
  run(target) {
    this.pause();
    Object.assign(this, { target, fast: true, playing: true });
    this.tick();
  }

  play() {
    if (this.playing) return this.pause();
    if (this.over) this.reset();
    Object.assign(this, { target: Infinity, fast: false, playing: true, frame: 0 });
    this.tick();
  }

  // Runs in every frame: makes a step every few frames, or as many steps as take a part of the frame.
  tick() {
    const start = performance.now();
    const frames = this.kind.frames(this.settings);
    if (this.fast || frames === 0) {
      do {
        if (this.steps >= this.target || !this.advance()) this.playing = false;
      } while (this.playing && performance.now() - start < 25);
      this.seconds += (performance.now() - start) / 1000;
    } else if (still.matches) {
      for (let i = 0; i < 30 / frames && this.playing; i++) this.playing = this.advance();
    } else if (this.frame++ % frames === 0) {
      this.playing = this.advance();
    }
    if (!this.playing) return this.pause();
    this.show();
    // With reduced motion, the picture changes only twice a second.
    this.timer = still.matches ? setTimeout(() => this.tick(), 500) : requestAnimationFrame(() => this.tick());
  }

  pause() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.timer);
    this.playing = false;
    if (this.started) this.show();
    if (this.over && !this.told) this.say(this.kind.end(this));
    this.told = this.over;
  }

  say(text) {
    $(".status", this.section).textContent = text;
  }

  show() {
    $("[data-do=play]", this.section).textContent = this.playing ? "Pause" : "Play";
    if (this.section.hidden) return;
    this.kind.draw(this);
    const count = `${this.steps.toLocaleString("en")} ${this.kind.perEpoch ? "updates" : "steps"}`;
    $(".count", this.section).textContent = [count, this.more].filter(Boolean).join(", ");
    if (!this.playing) history.replaceState(null, "", "#" + this.link());
  }

  link() {
    const settings = this.controls.map((control) => `${control.name}=${valueOf(control)}`);
    return `${this.name}?${[...settings, `steps=${this.steps}`].join("&")}`;
  }

  // Takes the settings from a link. What the link does not name stays as it is.
  open(query) {
    const wrong = [];
    let steps = 0;
    for (const [name, value] of new URLSearchParams(query)) {
      const control = this.controls.find((control) => control.name === name);
      if (name === "steps" && /^\d{1,9}$/.test(value)) steps = Number(value);
      else if (!control || !setControl(control, value)) wrong.push(`${name}=${value}`);
    }
    this.reset();
    if (wrong.length) this.say(`The link has ${wrong.join(", ")}, which this room does not offer: these settings are unchanged.`);
    if (steps) this.run(steps);
  }
}

// ---- The times

const SIZES = Array.from({ length: 13 }, (_, i) => 2 ** i).concat(7200);
const times = [];

// The least of three times of an update, because other work of the machine only adds to a time.
function time(size, byLanes) {
  wasm.updates(size);
  let least = Infinity;
  let count = 1;
  for (let round = 0; round < 3; round++) {
    let start = performance.now(), end;
    wasm.updates_run(byLanes, count);
    // Enough updates to take some milliseconds, because a browser's clock is coarse.
    while ((end = performance.now()) - start < 8) {
      count *= 2;
      start = performance.now();
      wasm.updates_run(byLanes, count);
    }
    least = Math.min(least, (end - start) / count);
  }
  return least;
}

async function measure() {
  $("#measure").disabled = true;
  times.length = 0;
  for (const size of SIZES) {
    $("#measured").textContent = `batches of ${size} …`;
    await new Promise((resolve) => setTimeout(resolve, 20));
    times.push([size, time(size, true), time(size, false)]);
    drawTimes();
  }
  $("#measured").textContent = `Batches of 8 take ${short(times[3][1] / times[0][1])} times as long as one digit, batches of 64 ${short(times[6][1] / times[3][1])} times as long as 8.`;
  $("#measure").disabled = false;
}

function drawTimes() {
  legend("time-legend", [["b", "eight digits at once"], ["a dash", "one digit after the other, zeros skipped"]]);
  const epoch = (size, ms) => ms * Math.ceil(7200 / size);
  for (const [id, of, range] of [["time-update", (_, ms) => ms, [1e-3, 100]], ["time-epoch", epoch, [1, 1000]]]) {
    const values = times.flatMap(([size, ...both]) => both.map((ms) => of(size, ms)));
    const y = [Math.min(range[0], ...values), Math.max(range[1], ...values)];
    const chart = new Chart(id, [1, 8192], y, { xName: "batch size", xLog: 2, yLog: 10 });
    [["b", 1], ["a dash", 2]].forEach(([look, column]) => {
      const points = times.map((row) => [row[0], of(row[0], row[column])]);
      chart.line(points, look);
      chart.dots(points, look, 3);
    });
    chart.show();
  }
  $("#time-table tbody").innerHTML = times.map(([size, lanes, single]) => {
    const cells = [lanes, single, epoch(size, lanes), epoch(size, single)].map((ms) => `<td>${short(ms)}</td>`);
    return `<tr><td>${size.toLocaleString("en")}</td>${cells.join("")}</tr>`;
  }).join("");
}

// ---- The page

const open = {};

// Shows the room that the address names.
function route() {
  const [name, query] = location.hash.slice(1).split("?");
  const room = open[name] ?? open.ball;
  for (const other of Object.values(open)) {
    other.section.hidden = other !== room;
    if (other !== room && other.playing) other.pause();
  }
  for (const link of all("nav a")) {
    if (link.hash === "#" + room.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (query !== undefined || !room.started) room.open(query);
  else room.show();
}

async function main() {
  const zipped = Uint8Array.from(atob(WASM), (c) => c.charCodeAt(0));
  const stream = new Blob([zipped]).stream().pipeThrough(new DecompressionStream("gzip"));
  const { instance } = await WebAssembly.instantiate(await new Response(stream).arrayBuffer());
  wasm = instance.exports;
  for (const [name, kind] of Object.entries(rooms)) open[name] = new Room(name, kind);
  $("#measure").addEventListener("click", measure);
  addEventListener("hashchange", route);
  addEventListener("resize", () => Object.values(open).forEach((room) => room.started && room.show()));
  $("#wait").hidden = true;
  route();
}

main().catch((error) => {
  $("#wait").hidden = false;
  $("#wait").textContent = `This browser cannot run the experiments (${error.message}). They need WebAssembly with vectors, in browsers since 2023.`;
});
