// What is drawn where: the view, the lanes, and what of each node lasts for a while.

const view = { axis: "step", x0: 0, x1: 1, step: 0, selected: null, hover: null };
const filter = { nodes: new Set(), parts: new Set(), kinds: new Set(kinds), text: "" };

function extent() { return view.axis === "step" ? M.steps : M.end; }
function pos(step, at) { return view.axis === "step" ? step : at; }

// stepAt is the last step that had begun at an instant.
function stepAt(us) {
  let lo = 0, hi = E.n;
  while (lo < hi) {
    const mid = lo + hi >> 1;
    if (E.at[mid] <= us) lo = mid + 1; else hi = mid;
  }
  return lo ? E.step[lo - 1] : 0;
}

// timeOf is when a step began.
function timeOf(step) {
  const i = E.firstOfStep[Math.min(step, M.steps)];
  return i < E.n ? E.at[i] : M.end;
}

const bands = []; // of each node: its process
const bars = []; // of each node, then of all: faults that last, with rows
const quorumBands = [];
const logBands = new Map();
const deedRow = []; // where in its client's lane an operation is drawn
let healedAt = NONE;

const END = () => ({ s: M.steps + 1, a: M.end });

// segments joins the changes of a few fields of a subject to spans in which all of them stay.
function segments(subject, fields, make) {
  const list = [];
  for (const f of fields) { const [from, to] = span(subject, f); for (let i = from; i < to; i++) list.push(series.list[i]); }
  list.sort((a, b) => a - b);
  const now = fields.map(() => NONE), out = [];
  for (let i = 0; i < list.length; i++) {
    const c = list[i];
    now[fields.indexOf(C.changeField[c])] = C.changeValue[c];
    if (i + 1 < list.length && C.changeStep[list[i + 1]] === C.changeStep[c]) continue;
    const seg = make(now), last = out[out.length - 1];
    if (last) { last.s1 = C.changeStep[c]; last.a1 = C.changeAt[c]; }
    if (last && seg && last.key === seg.key) continue;
    if (last && last.s0 === last.s1) out.pop();
    out.push({ s0: C.changeStep[c], a0: C.changeAt[c], change: c, ...(seg || { key: "", none: true }) });
  }
  const last = out[out.length - 1];
  if (last) { last.s1 = END().s; last.a1 = END().a; }
  return out.filter((x, i) => { if (i + 1 < out.length) { x.s1 = out[i + 1].s0; x.a1 = out[i + 1].a0; } return !x.none; });
}

function nodeBands() {
  for (let n = 0; n < M.nodes.length; n++) {
    const of = subjectsOf[n];
    bands.push(of[NODE].length ? segments(of[NODE][0], [0, 2, 3, 1], v => {
      const what = v[0] === 0 ? "down" : v[0] === 2 ? "paused" : v[2] ? "stopping" : v[1] || !M.nodes[n].Broker ? "up" : "starting";
      return { key: what + v[3], what, life: v[3] };
    }) : []);
    quorumBands.push(of[QUORUM].length ? segments(of[QUORUM][0], [0, 1], v => v[0] === NONE ? null : { key: v[0] + "/" + v[1], role: M.names[v[0]], epoch: v[1] }) : []);
  }
}

function bandsOfLog(subject) {
  if (!logBands.has(subject)) logBands.set(subject, segments(subject, [L.role, L.epoch], v => v[0] === NONE ? null : { key: v[0] + "/" + v[1], role: v[0], epoch: v[1] }));
  return logBands.get(subject);
}

// faultBars finds what lasts of the faults: how long, and in which row it is drawn.
function faultBars() {
  for (let i = 0; i <= M.nodes.length; i++) bars.push([]);
  for (let i = 0; i < C.rowKind.length; i++) if (C.rowKind[i] === K.healed) healedAt = C.rowAt[i];
  const bar = (node, i, until, text) => {
    if (healedAt !== NONE) until = Math.min(until, Math.max(healedAt, C.rowAt[i]));
    bars[node].push({ s0: C.rowStep[i], a0: C.rowAt[i], s1: Math.max(stepAt(until), C.rowStep[i]), a1: until, text, row: i });
  };
  for (let i = 0; i < C.rowKind.length; i++) {
    const node = C.rowNode[i];
    switch (C.rowKind[i]) {
      case K.fault: {
        const f = M.plan[C.rowA[i]];
        if (!f || /^(process|client|admin|cluster)\./.test(f.kind) || /cut|rot$|clock/.test(f.kind)) {
          if (f && /^process|cluster|rot$/.test(f.kind) && f.kind !== "process.pause") bars[f.node].push({ s0: C.rowStep[i], a0: C.rowAt[i], s1: C.rowStep[i], a1: C.rowAt[i], text: f.kind.replace(/^\w+\./, ""), row: i, instant: true });
          break;
        }
        bar(f.kind.startsWith("net.") ? M.nodes.length : f.node, i, f.at + f.for, f.kind.replace("disk.", "disk: "));
        break;
      }
      case K.cut: bar(node, i, C.rowB[i], "✂ to " + nodeName(C.rowA[i])); break;
      case K.paused: bar(node, i, C.rowAt[i] + C.rowA[i], "paused"); break;
    }
  }
  for (let n = 0; n < M.nodes.length; n++) {
    const of = subjectsOf[n][NODE];
    if (!of.length) continue;
    for (const seg of segments(of[0], [4, 5], v => v[0] || v[1] ? { key: v[0] + "/" + v[1], jump: v[0], drift: v[1] } : null)) {
      const text = "clock" + (seg.jump ? " " + (seg.jump > 0 ? "+" : "") + seg.jump + " ms" : "") + (seg.drift ? " " + seg.drift + " ppm" : "");
      bars[n].push({ s0: seg.s0, a0: seg.a0, s1: seg.s1, a1: seg.a1, text, change: seg.change });
    }
  }
  for (const list of bars) {
    list.sort((a, b) => a.a0 - b.a0);
    const ends = [], last = [];
    for (const b of list) {
      let row = ends.findIndex(e => e <= b.a0);
      if (row < 0) row = ends.length < 6 ? ends.push(0) - 1 : ends.indexOf(Math.min(...ends));
      ends[row] = Math.max(b.a1, b.a0 + M.end / 60); // room for its text
      b.row2 = row;
      if (last[row]) last[row].next = b;
      last[row] = b;
    }
    list.rows = ends.length;
  }
}

// placeDeeds puts operations that overlap in different rows of their client's lane.
function placeDeeds() {
  for (let n = 0; n < M.nodes.length; n++) {
    const ends = new Array(5).fill(-1);
    for (const i of deedsOf[n]) {
      if (C.deedKind[i] === 1) { deedRow[i] = 5; continue; }
      const end = C.deedSettledStep[i] === NONE ? M.steps + 1 : C.deedSettledStep[i];
      let row = ends.findIndex(e => e <= C.deedAskedStep[i]);
      if (row < 0) row = ends.indexOf(Math.min(...ends));
      ends[row] = end;
      deedRow[i] = row;
    }
  }
}

// lanePartitions are those whose copies have lanes: those that are filtered for, or that the verdict names, or the busiest.
function lanePartitions() {
  if (filter.parts.size) return [...filter.parts];
  if (M.verdict && M.verdict.Partitions && M.verdict.Partitions.length) return M.verdict.Partitions.slice(0, 3).map(p => M.partitions.indexOf(p));
  const busy = M.partitions.map(() => 0);
  M.subjects.forEach((s, i) => {
    const [from, to] = span(i, L.end);
    const p = s[1] === LOG ? M.partitions.indexOf(M.names[s[2]]) : -1;
    if (p >= 0 && !M.partitions[p].startsWith("__")) busy[p] += to - from;
  });
  return busy.map((n, p) => [n, p]).sort((a, b) => b[0] - a[0]).slice(0, 2).filter(x => x[0]).map(x => x[1]).sort((a, b) => a - b);
}

let lanes = [], lanesHeight = 0;
const anchor = []; // of each node: where messages begin and end, in lane coordinates

function layout() {
  lanes = [];
  let y = 4;
  const add = (kind, node, h, more) => { lanes.push({ kind, node, y, h, ...more }); y += h; };
  const all = M.nodes.length, parts = lanePartitions();
  add("cluster", all, 17, { label: "cluster" });
  if (bars[all].rows) add("fault", all, bars[all].rows * 13 + 2, { label: "network" });
  y += 6;
  for (let n = 0; n < all; n++) {
    if (filter.nodes.size && !filter.nodes.has(n)) { anchor[n] = -1; continue; }
    if (!M.nodes[n].Broker) {
      if (!deedsOf[n].length && !rowsOf[n].length) { anchor[n] = -1; continue; }
      anchor[n] = y + 9;
      add("client", n, deedsOf[n].length ? 34 : 17, { label: nodeName(n) });
      y += 4;
      continue;
    }
    anchor[n] = y + 10;
    add("head", n, 20, { label: nodeName(n), sub: M.nodes[n].Roles });
    if (bars[n].rows) add("fault", n, bars[n].rows * 13 + 2, { label: "faults, clock" });
    if (subjectsOf[n][QUORUM].length && quorumBands[n].length && M.nodes[n].Roles !== "broker") add("quorum", n, 15, { label: "metadata quorum" });
    add("disk", n, 12, { label: "disk: syncs" });
    for (const p of parts) {
      const s = subjectsOf[n][LOG].find(s => nameOf(s) === M.partitions[p]);
      if (s !== undefined) add("log", n, 40, { label: M.partitions[p], subject: s, part: p });
    }
    y += 10;
  }
  lanesHeight = y + 20;
}
