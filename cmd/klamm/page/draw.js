// The picture. All lengths are in CSS pixels; x runs from GUTTER to the right edge.

const GUTTER = 160;
const canvas = document.getElementById("canvas"), tracks = document.getElementById("tracks"), overview = document.getElementById("overview");
const ctx = canvas.getContext("2d");
const color = {};
const font = "11px system-ui, -apple-system, 'DejaVu Sans', 'Liberation Sans', sans-serif";
let width = 0, height = 0, top0 = 0;
let hits = []; // what was drawn: [x0, y0, x1, y1, kind, index]
let lines = []; // messages that were drawn: [x0, y0, x1, y1, frame]
let hidden = 0; // messages in view that are too many to draw
const messagesMax = 450;

function readColors() {
  const s = getComputedStyle(document.documentElement);
  for (const name of ["bg", "panel", "line", "text", "dim", "accent", "sel", "up", "starting", "paused", "down", "stopping", "bad", "good", "leader", "follower", "offline", "candidate", "hw", "end", "grid",
    "ok", "refused", "unknown", "inflight", "read", "msg", "msgbad", "lost", "fault", "sync"]) color[name] = s.getPropertyValue("--" + name).trim();
}

function fitCanvas(c, w, h) {
  const r = window.devicePixelRatio || 1;
  if (c.width !== Math.round(w * r) || c.height !== Math.round(h * r)) {
    c.width = Math.round(w * r);
    c.height = Math.round(h * r);
    c.style.width = w + "px";
    c.style.height = h + "px";
  }
  c.getContext("2d").setTransform(r, 0, 0, r, 0, 0);
}

const X = v => GUTTER + (v - view.x0) / (view.x1 - view.x0) * (width - GUTTER - 8);
const back = x => view.x0 + (x - GUTTER) / (width - GUTTER - 8) * (view.x1 - view.x0);

function draw() {
  width = tracks.clientWidth;
  height = tracks.clientHeight;
  top0 = tracks.scrollTop;
  fitCanvas(canvas, width, height);
  document.getElementById("tall").style.height = Math.max(0, lanesHeight - height) + "px";
  hits = [];
  lines = [];
  ctx.fillStyle = color.bg;
  ctx.fillRect(0, 0, width, height);
  ctx.font = font;
  ctx.textBaseline = "middle";
  grid();
  ctx.save();
  ctx.beginPath();
  ctx.rect(GUTTER, 0, width - GUTTER, height);
  ctx.clip();
  for (const l of lanes) if (l.y - top0 < height && l.y + l.h - top0 > 0) drawLane(l, l.y - top0);
  if (filter.kinds.has("message")) messages();
  marks();
  ctx.restore();
  labels();
  drawOverview();
}

function grid() {
  const span = view.x1 - view.x0, want = span / Math.max(2, (width - GUTTER) / 110);
  let step = Math.pow(10, Math.floor(Math.log10(Math.max(want, 1))));
  for (const m of [1, 2, 5, 10]) if (step * m >= want) { step *= m; break; }
  step = Math.max(1, Math.round(step));
  ctx.lineWidth = 1;
  for (let v = Math.ceil(view.x0 / step) * step; v <= view.x1; v += step) {
    const x = Math.round(X(v)) + .5;
    ctx.strokeStyle = color.grid;
    ctx.beginPath(); ctx.moveTo(x, 0); ctx.lineTo(x, height); ctx.stroke();
    ctx.fillStyle = color.dim;
    ctx.fillText(view.axis === "step" ? v : step >= 1e6 ? v / 1e6 + " s" : (v / 1e6).toFixed(step >= 1e4 ? 2 : step >= 1000 ? 3 : 6) + " s", x + 3, height - 8);
  }
}

function labels() {
  ctx.fillStyle = color.panel;
  ctx.fillRect(0, 0, GUTTER - 4, height);
  ctx.strokeStyle = color.line;
  ctx.beginPath(); ctx.moveTo(GUTTER - 4.5, 0); ctx.lineTo(GUTTER - 4.5, height); ctx.stroke();
  for (const l of lanes) {
    const y = l.y - top0;
    if (y > height || y + l.h < 0) continue;
    const main = l.kind === "head" || l.kind === "client" || l.kind === "cluster";
    ctx.font = (main ? "600 " : "") + font;
    ctx.fillStyle = main ? color.text : color.dim;
    const mid = y + (l.kind === "log" || l.kind === "client" ? 9 : l.h / 2);
    ctx.fillText(l.label, main ? 8 : 18, mid, GUTTER - 26);
    if (l.sub) {
      const w = ctx.measureText(l.label).width;
      ctx.font = "10px system-ui, 'DejaVu Sans', sans-serif";
      ctx.fillStyle = color.dim;
      ctx.fillText(l.sub.replace(",", ", "), 14 + w, mid, GUTTER - 22 - w);
    }
    ctx.font = font;
  }
}

function label(text, x0, x1, y, c) {
  const room = x1 - x0 - 6;
  if (room < 14) return;
  let t = text;
  if (ctx.measureText(t).width > room) {
    while (t.length > 1 && ctx.measureText(t + "…").width > room) t = t.slice(0, -1);
    if (t.length < 2) return;
    t += "…";
  }
  ctx.fillStyle = c || color.text;
  ctx.fillText(t, x0 + 3, y);
}

function box(x0, x1, y, h, fill) {
  x0 = Math.max(x0, GUTTER - 2);
  x1 = Math.min(x1, width + 2);
  ctx.fillStyle = fill;
  ctx.fillRect(x0, y, Math.max(x1 - x0, 1), h);
  return [x0, Math.max(x1, x0 + 1)];
}

function inView(s0, a0, s1, a1) {
  return pos(s1, a1) >= view.x0 && pos(s0, a0) <= view.x1;
}

function drawLane(l, y) {
  switch (l.kind) {
    case "cluster": return clusterLane(l, y);
    case "head": return headLane(l, y);
    case "fault": return faultLane(l, y);
    case "quorum": return quorumLane(l, y);
    case "disk": return diskLane(l, y);
    case "log": return logLane(l, y);
    case "client": return clientLane(l, y);
  }
}

function clusterLane(l, y) {
  let from = { s: 0, a: 0, text: M.stages[0] };
  const stage = (to, i) => {
    if (inView(from.s, from.a, to.s, to.a)) {
      const [x0, x1] = box(X(pos(from.s, from.a)), X(pos(to.s, to.a)), y, l.h - 3, from.i === undefined ? color.starting : color.grid);
      label(from.text, x0, x1, y + 7);
      hits.push([x0, y, x1, y + l.h, ROW, from.i === undefined ? 0 : from.i]);
    }
    from = { ...to, i, text: i === undefined ? "" : M.stages[C.rowA[i]] };
  };
  for (const i of rowsOf[M.nodes.length]) if (C.rowKind[i] === K.stage || C.rowKind[i] === K.healed) {
    if (C.rowKind[i] === K.stage) stage({ s: C.rowStep[i], a: C.rowAt[i] }, i);
    else { stage({ s: C.rowStep[i], a: C.rowAt[i] }, i); from.text = M.stages[1]; }
  }
  stage(END());
}

function headLane(l, y) {
  const ink = { up: color.up, starting: color.starting, paused: color.paused, down: color.down, stopping: color.stopping };
  for (const b of bands[l.node]) {
    if (!inView(b.s0, b.a0, b.s1, b.a1)) continue;
    const [x0, x1] = box(X(pos(b.s0, b.a0)), X(pos(b.s1, b.a1)), y + 2, l.h - 4, ink[b.what]);
    label(b.what === "up" ? "life " + b.life : b.what, x0, x1, y + l.h / 2);
    hits.push([x0, y + 2, x1, y + l.h - 2, CHANGE, b.change]);
  }
  const list = rowsOf[l.node], col = view.axis === "step" ? C.rowStep : C.rowAt;
  let last = -9;
  for (let j = below(list, col, Math.floor(view.x0)); j < list.length; j++) {
    const i = list[j], x = X(col[i]);
    if (x > width) break;
    const k = C.rowKind[i];
    if (k === K.note && C.rowA[i] < 2 || k > K.note || k >= K.fault && k <= K.stage) continue;
    if (k === K.killed || k === K.powerLost || k === K.exits && C.rowA[i]) {
      cross(x, y + l.h / 2, k === K.powerLost ? 6 : 5, color.bad);
    } else if (k === K.note) {
      if (x - last < 3) continue;
      last = x;
      ctx.fillStyle = C.rowA[i] === 3 ? color.bad : color.refused;
      ctx.beginPath(); ctx.arc(x, y + l.h - 4, 2, 0, 7); ctx.fill();
    } else if (k === K.starts || k === K.ready || k === K.stopAsked) {
      triangle(x, y + l.h / 2, k === K.ready ? color.good : k === K.starts ? color.dim : color.unknown);
    }
    hits.push([x - 5, y, x + 5, y + l.h, ROW, i]);
  }
}

function cross(x, y, r, c) {
  ctx.strokeStyle = c;
  ctx.lineWidth = 2.5;
  ctx.beginPath(); ctx.moveTo(x - r, y - r); ctx.lineTo(x + r, y + r); ctx.moveTo(x + r, y - r); ctx.lineTo(x - r, y + r); ctx.stroke();
  ctx.lineWidth = 1;
}

function triangle(x, y, c) {
  ctx.fillStyle = c;
  ctx.beginPath(); ctx.moveTo(x - 3, y - 5); ctx.lineTo(x + 5, y); ctx.lineTo(x - 3, y + 5); ctx.fill();
}

function faultLane(l, y) {
  if (!filter.kinds.has("fault")) return;
  for (const b of bars[l.node]) {
    if (!inView(b.s0, b.a0, b.s1, b.a1)) continue;
    const y0 = y + 1 + b.row2 * 13;
    const hit = b.change !== undefined ? [CHANGE, b.change] : [ROW, b.row];
    let x0 = X(pos(b.s0, b.a0)), x1 = X(pos(b.s1, b.a1));
    if (b.instant) {
      ctx.fillStyle = color.fault;
      ctx.beginPath(); ctx.moveTo(x0, y0); ctx.lineTo(x0 + 5, y0 + 5.5); ctx.lineTo(x0, y0 + 11); ctx.lineTo(x0 - 5, y0 + 5.5); ctx.fill();
      label(b.text, x0 + 4, Math.min(x0 + 110, X(b.next ? pos(b.next.s0, b.next.a0) : extent()) - 4), y0 + 6, color.dim);
      hits.push([x0 - 5, y0, x0 + 60, y0 + 12, ...hit]);
      continue;
    }
    ctx.globalAlpha = .35;
    [x0, x1] = box(x0, x1, y0, 11, color.fault);
    ctx.globalAlpha = 1;
    ctx.fillStyle = color.fault;
    ctx.fillRect(x0, y0, 2, 11);
    label(b.text, x0 + 2, Math.max(x1, Math.min(x0 + 110, X(b.next ? pos(b.next.s0, b.next.a0) : extent()) - 4)), y0 + 6);
    hits.push([x0, y0, x1, y0 + 12, ...hit]);
  }
}

function quorumLane(l, y) {
  for (const b of quorumBands[l.node]) {
    if (!inView(b.s0, b.a0, b.s1, b.a1)) continue;
    const role = b.role.toLowerCase(), ink = role === "leader" ? color.leader : role === "follower" || role === "voted" ? color.follower : role === "observer" || role === "unattached" ? color.grid : color.candidate;
    const [x0, x1] = box(X(pos(b.s0, b.a0)), X(pos(b.s1, b.a1)), y + 1, l.h - 3, ink);
    label(role + " " + b.epoch, x0, x1, y + l.h / 2, role === "leader" ? "#fff" : color.text);
    hits.push([x0, y, x1, y + l.h, CHANGE, b.change]);
  }
}

function diskLane(l, y) {
  if (!filter.kinds.has("disk")) return;
  const list = rowsOf[l.node], col = view.axis === "step" ? C.rowStep : C.rowAt, until = view.axis === "step" ? C.rowUntilStep : C.rowUntilAt;
  let last = -9;
  for (let j = below(list, col, Math.floor(view.x0)); j < list.length; j++) {
    const i = list[j], k = C.rowKind[i];
    if (k < K.open || k > K.disk || !C.rowErr[i] && k !== K.sync && k !== K.truncate && view.x1 - view.x0 > extent() / 40) continue;
    const x = X(col[i]);
    if (x > width) break;
    const bad = C.rowErr[i] && C.rowErr[i] !== 2 && C.rowErr[i] !== 1 && C.rowErr[i] !== 6; // that a file is there, or not, is an answer
    if (!bad && x - last < 1.5 && k === K.sync) continue;
    const x1 = until[i] === NONE ? x + 2 : Math.max(X(until[i]), x + 1.5);
    if (bad) ctx.fillStyle = color.bad; else if (k === K.sync) ctx.fillStyle = color.sync; else if (k === K.truncate) ctx.fillStyle = color.candidate; else ctx.fillStyle = color.paused;
    if (k === K.sync || bad) ctx.fillRect(x, y + 2, Math.min(x1 - x, width), bad ? 8 : 6); else ctx.fillRect(x, y + 8, Math.min(x1 - x, width), 3);
    last = x;
    if (hits.length < 20000) hits.push([x - 2, y, x1 + 1, y + l.h, ROW, i]);
  }
}

// scaleOf is the range of offsets of a partition in view, on all nodes.
const scales = new Map();
function scaleOf(part) {
  const key = part + "/" + view.x0 + "/" + view.x1 + view.axis;
  if (scales.has(key)) return scales.get(key);
  if (scales.size > 50) scales.clear();
  let lo = Infinity, hi = -Infinity;
  const s0 = view.axis === "step" ? view.x0 : stepAt(view.x0), s1 = view.axis === "step" ? view.x1 : stepAt(view.x1);
  for (const of of subjectsOf) for (const s of of[LOG]) {
    if (nameOf(s) !== M.partitions[part]) continue;
    for (const f of [L.high, L.end]) {
      const [from, to] = span(s, f);
      for (let i = Math.max(from, lastAt(s, f, s0)); i < to && C.changeStep[series.list[i]] <= s1; i++) {
        const v = C.changeValue[series.list[i]];
        if (v >= 0) { lo = Math.min(lo, v); hi = Math.max(hi, v); }
      }
    }
  }
  const r = lo > hi ? [0, 1] : [lo, Math.max(hi, lo + 1)];
  scales.set(key, r);
  return r;
}

function logLane(l, y) {
  const [lo, hi] = scaleOf(l.part), top = y + 15, h = l.h - 19;
  const Y = v => top + h - (Math.max(v, lo) - lo) / (hi - lo) * h;
  for (const b of bandsOfLog(l.subject)) {
    if (!inView(b.s0, b.a0, b.s1, b.a1)) continue;
    const ink = [color.starting, color.offline, color.follower, color.leader][b.role];
    const [x0, x1] = box(X(pos(b.s0, b.a0)), X(pos(b.s1, b.a1)), y + 1, 12, ink);
    label(logRoles[b.role] + (b.epoch < 0 ? "" : " " + b.epoch), x0, x1, y + 7, b.role === 3 ? "#fff" : color.text);
    hits.push([x0, y, x1, y + 13, CHANGE, b.change]);
  }
  for (const [f, ink, w, fill] of [[L.high, color.hw, 1.5, true], [L.end, color.end, 1, false]]) stepLine(l.subject, f, Y, top + h, ink, w, fill);
  ctx.fillStyle = color.dim;
  ctx.font = "9px system-ui, 'DejaVu Sans', sans-serif";
  ctx.textAlign = "right";
  ctx.fillText(hi, width - 10, top + 3);
  ctx.fillText(lo, width - 10, top + h - 3);
  ctx.textAlign = "left";
  ctx.font = font;
}

// stepLine draws a field that holds an offset.
function stepLine(subject, f, Y, floor, ink, w, fill) {
  const [from, to] = span(subject, f), col = view.axis === "step" ? C.changeStep : C.changeAt;
  const alive = bandsOfLog(subject);
  ctx.strokeStyle = ink;
  ctx.lineWidth = w;
  for (const b of alive) {
    const b0 = Math.max(pos(b.s0, b.a0), view.x0), b1 = Math.min(pos(b.s1, b.a1), view.x1);
    if (b0 > b1) continue;
    let i = Math.max(from, below2(from, to, col, b0) - 1);
    if (i >= to) continue;
    let v = C.changeValue[series.list[i]], x = X(b0);
    ctx.beginPath();
    ctx.moveTo(x, Y(v));
    for (i++; i < to && col[series.list[i]] <= b1; i++) {
      const c = series.list[i];
      x = X(col[c]);
      ctx.lineTo(x, Y(v));
      v = C.changeValue[c];
      ctx.lineTo(x, Y(v));
      if (hits.length < 20000) hits.push([x - 2, Y(v) - 4, x + 2, Y(v) + 4, CHANGE, c]);
    }
    ctx.lineTo(X(b1), Y(v));
    ctx.stroke();
    if (fill) {
      ctx.lineTo(X(b1), floor);
      ctx.lineTo(X(b0), floor);
      ctx.globalAlpha = .15;
      ctx.fillStyle = ink;
      ctx.fill();
      ctx.globalAlpha = 1;
    }
  }
  ctx.lineWidth = 1;
}

// below2 is the first place of series.list in [from, to) whose column is above v.
function below2(from, to, col, v) {
  let lo = from, hi = to;
  while (lo < hi) {
    const mid = lo + hi >> 1;
    if (col[series.list[mid]] <= v) lo = mid + 1; else hi = mid;
  }
  return lo;
}

function clientLane(l, y) {
  for (const b of bands[l.node]) {
    if (!inView(b.s0, b.a0, b.s1, b.a1)) continue;
    const up = b.what === "up" || b.what === "starting";
    const [x0, x1] = box(X(pos(b.s0, b.a0)), X(pos(b.s1, b.a1)), y + 8, 2, up ? color.line : color.down);
    if (b.what === "paused") { box(x0, x1, y + 5, 8, color.paused); label("paused", x0, x1, y + 9); }
  }
  for (const i of rowsOf[l.node]) if (C.rowKind[i] === K.killed || C.rowKind[i] === K.powerLost || C.rowKind[i] === K.starts && C.rowA[i] > 0) {
    const x = X(pos(C.rowStep[i], C.rowAt[i]));
    if (x < GUTTER - 8 || x > width) continue;
    if (C.rowKind[i] === K.starts) triangle(x, y + 9, color.dim); else cross(x, y + 9, 4, color.bad);
    hits.push([x - 5, y + 3, x + 5, y + 15, ROW, i]);
  }
  if (!filter.kinds.has("client")) return;
  const list = deedsOf[l.node], asked = view.axis === "step" ? C.deedAskedStep : C.deedAskedAt, settled = view.axis === "step" ? C.deedSettledStep : C.deedSettledAt;
  const ink = [color.inflight, color.ok, color.refused, color.unknown, color.inflight], last = new Float64Array(7).fill(-9);
  for (const i of list) {
    const x0 = X(asked[i]);
    if (x0 > width) break;
    const x1 = settled[i] === NONE ? width + 9 : X(settled[i]);
    if (x1 < GUTTER) continue;
    if (C.deedKind[i] === 1) {
      if (x0 - last[5] < 1) continue;
      last[5] = x0;
      ctx.fillStyle = color.read;
      ctx.fillRect(x0, y + 29, 1.5, 4);
      hits.push([x0 - 2, y + 28, x0 + 2, y + 34, DEED, i]);
      continue;
    }
    const row = deedRow[i], y0 = y + 13 + row * 3, bad = C.deedOutcome[i] !== 1;
    if (!bad && x1 - last[row] < 1) continue;
    last[row] = x1;
    box(x0, Math.max(x1, x0 + 1.5), y0, 2, ink[C.deedOutcome[i]]);
    hits.push([Math.max(x0, GUTTER) - 1, y0 - .5, x1 + 1, y0 + 2.5, DEED, i]);
  }
}
