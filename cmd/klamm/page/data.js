// The recording: columns of numbers, and what is found in them. Nothing here touches the document but for reading it.

const M = JSON.parse(document.getElementById("data-meta").textContent);
const NONE = -2147483648;

function bytesOf(text) {
  const s = atob(text), b = new Uint8Array(s.length);
  for (let i = 0; i < b.length; i++) b[i] = s.charCodeAt(i);
  return b;
}

async function inflate(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const C = {}; // the columns, by name
let titles = []; // of the frames

async function loadColumns() {
  const raw = await inflate(document.getElementById("data-columns").textContent);
  let at = 0;
  for (const c of M.columns) {
    const a = new Int32Array(c.n), n = c.n;
    for (let i = 0; i < n; i++) a[i] = raw[at + i] | raw[at + n + i] << 8 | raw[at + 2 * n + i] << 16 | raw[at + 3 * n + i] << 24;
    if (c.d) for (let i = 1; i < n; i++) a[i] = a[i] + a[i - 1] | 0;
    C[c.name] = a;
    at += 4 * n;
  }
  titles = new TextDecoder().decode(await inflate(document.getElementById("data-titles").textContent)).split("\n");
}

// The kinds of events: what an event is, is its kind and its index in that kind's columns.
const ROW = 0, SENT = 1, DEED = 2, CHANGE = 3;
const K = { starts: 0, ready: 1, killed: 2, powerLost: 3, stopAsked: 4, exits: 5, paused: 6, resumed: 7, fault: 8, faultEnd: 9, cut: 10, healed: 11, stage: 12, note: 13,
  dial: 14, dialled: 15, closed: 16, open: 17, write: 18, sync: 19, read: 20, truncate: 21, disk: 22, registered: 23, broken: 24 };
const NODE = 0, QUORUM = 1, LOG = 2, GROUP = 3, TXN = 4;
const L = { role: 0, epoch: 1, start: 2, end: 3, high: 4, durable: 5, stable: 6, isr: 7, asked: 8, min: 9 };
const FIELDS = 10;
const kinds = ["life", "fault", "message", "connection", "disk", "state", "client", "note", "metadata", "verdict"];

const E = { n: 0, kind: null, index: null, step: null, at: null, firstOfStep: null }; // all events in order
const rowsOf = []; // of each node, then of none: rows in order
const deedsOf = [];
let series; // where the changes of each subject's fields are: see value()
const subjectsOf = []; // by node and kind
let answerOf; // of each frame: the one that answers it, or -1

// order makes the list of all events: a counting sort by step, which keeps what happened in one step in its order.
function order() {
  const steps = M.steps + 2, parts = [[ROW, C.rowStep], [SENT, C.frameSentStep], [DEED, C.deedAskedStep], [CHANGE, C.changeStep]];
  const count = new Uint32Array(steps + 1);
  let n = 0;
  for (const [kind, col] of parts) for (let i = 0; i < col.length; i++) {
    if (kind === CHANGE && sameChange(i)) continue;
    count[col[i] + 1]++;
    n++;
  }
  for (let i = 0; i < steps; i++) count[i + 1] += count[i];
  E.firstOfStep = count.slice();
  E.n = n;
  E.kind = new Uint8Array(n);
  E.index = new Uint32Array(n);
  E.step = new Int32Array(n);
  E.at = new Int32Array(n);
  const ats = [C.rowAt, C.frameSentAt, C.deedAskedAt, C.changeAt];
  for (const [kind, col] of parts) for (let i = 0; i < col.length; i++) {
    if (kind === CHANGE && sameChange(i)) continue;
    const at = count[col[i]]++;
    E.kind[at] = kind;
    E.index[at] = i;
    E.step[at] = col[i];
    E.at[at] = ats[kind][i];
  }
}

// sameChange reports that a change belongs to the one before: another field of the same subject in the same step.
function sameChange(i) {
  return i > 0 && C.changeSubject[i] === C.changeSubject[i - 1] && C.changeStep[i] === C.changeStep[i - 1];
}

function index() {
  for (let i = 0; i <= M.nodes.length; i++) { rowsOf.push([]); deedsOf.push([]); subjectsOf.push([[], [], [], [], []]); }
  for (let i = 0; i < C.rowStep.length; i++) rowsOf[C.rowNode[i] < 0 ? M.nodes.length : C.rowNode[i]].push(i);
  for (let i = 0; i < C.deedAskedStep.length; i++) deedsOf[C.deedNode[i]].push(i);
  for (let i = 0; i < M.subjects.length; i++) subjectsOf[M.subjects[i][0]][M.subjects[i][1]].push(i);
  for (const s of subjectsOf) for (const list of s) list.sort((a, b) => M.names[M.subjects[a][2]] < M.names[M.subjects[b][2]] ? -1 : 1);
  answerOf = new Int32Array(C.frameAsks.length).fill(-1);
  for (let i = 0; i < C.frameAsks.length; i++) if (C.frameAsks[i] >= 0) answerOf[C.frameAsks[i]] = i;
  const n = C.changeStep.length, keys = M.subjects.length * FIELDS, first = new Uint32Array(keys + 1);
  for (let i = 0; i < n; i++) first[C.changeSubject[i] * FIELDS + C.changeField[i] + 1]++;
  for (let i = 0; i < keys; i++) first[i + 1] += first[i];
  const fill = first.slice(), list = new Uint32Array(n);
  for (let i = 0; i < n; i++) list[fill[C.changeSubject[i] * FIELDS + C.changeField[i]]++] = i;
  series = { first, list };
}

// span is where in series.list the changes of a subject's field are.
function span(subject, field) {
  const k = subject * FIELDS + field;
  return [series.first[k], series.first[k + 1]];
}

// lastAt is the place of the last change of a field up to a step, or -1.
function lastAt(subject, field, step) {
  let [lo, hi] = span(subject, field);
  const from = lo;
  while (lo < hi) {
    const mid = lo + hi >> 1;
    if (C.changeStep[series.list[mid]] <= step) lo = mid + 1; else hi = mid;
  }
  return lo > from ? lo - 1 : -1;
}

// value is a field at a step; NONE if there is none. The value of a first field that is NONE says that there is no such subject any more.
function value(subject, field, step) {
  const i = lastAt(subject, field, step);
  return i < 0 ? NONE : C.changeValue[series.list[i]];
}

// changedAt reports that a field changed in that very step.
function changedAt(subject, field, step) {
  const i = lastAt(subject, field, step);
  return i >= 0 && C.changeStep[series.list[i]] === step;
}

// below is the first place in a sorted list of indexes whose column is not below v.
function below(list, column, v) {
  let lo = 0, hi = list.length;
  while (lo < hi) {
    const mid = lo + hi >> 1;
    if (column[list[mid]] < v) lo = mid + 1; else hi = mid;
  }
  return lo;
}

function nodeName(i) { return i >= 0 && i < M.nodes.length ? M.nodes[i].Name : "all"; }
function seconds(us) { return us === NONE ? "never" : (us / 1e6).toFixed(us % 1000 ? 6 : 3) + " s"; }
function millis(us) { return us >= 1e6 ? (us / 1e6).toFixed(2) + " s" : us >= 1000 ? (us / 1000).toFixed(1) + " ms" : us + " µs"; }
function recordName(i) { return "p" + C.deedHigh[i] + "." + (C.deedLow[i] >>> 0); }
function nameOf(subject) { return M.names[M.subjects[subject][2]]; }

// isName says which fields hold a name.
function isName(kind, field) {
  return kind === QUORUM ? field === 0 || field === 4 : kind === LOG ? field === L.isr || field === L.asked : kind >= GROUP ? field === 0 : false;
}

const logRoles = ["loading", "offline", "follower", "leader"], nodeStates = ["down", "up", "paused"];

function shown(kind, field, v) {
  if (v === NONE) return field === 0 ? "no more" : "";
  if (isName(kind, field)) return M.names[v];
  if (kind === LOG && field === L.role) return logRoles[v];
  if (kind === NODE && field === 0) return nodeStates[v];
  if ((kind === LOG || kind === QUORUM) && v === -1) return "–";
  return v >= 2147483647 ? "∞" : String(v);
}

// kindOf is the group of an event: one of kinds.
function kindOf(kind, i) {
  return kind === ROW ? M.rowKinds[C.rowKind[i]] : kind === SENT ? "message" : kind === DEED ? "client" : "state";
}

const outcomes = ["the run ended before it was known", "stored", "refused", "unknown: it may be stored or not", "its client ended before it was known"];

// textOf is an event as one line.
function textOf(kind, i) {
  switch (kind) {
    case SENT: return frameText(i);
    case DEED: return deedText(i);
    case CHANGE: return changeText(i);
  }
  return rowText(i);
}

function frameText(i) {
  const request = C.frameFlags[i] & 1, got = C.frameGotStep[i];
  return nodeName(C.frameFrom[i]) + " → " + nodeName(C.frameTo[i]) + " " + (request ? "" : "answer to ") + titles[i] + (got === NONE ? " — never came" : "");
}

function deedText(i) {
  const p = C.deedPartition[i], where = M.names[C.deedTopic[i]] + (p >= 0 ? "-" + p : ""), offset = C.deedOffset[i];
  if (C.deedKind[i] === 1) return nodeName(C.deedNode[i]) + " reads record " + recordName(i) + " at offset " + offset + " of " + where;
  return nodeName(C.deedNode[i]) + " sends record " + recordName(i) + " to " + where + (offset >= 0 ? ", offset " + offset : "") + ": " + outcomes[C.deedOutcome[i]];
}

function changeText(i) {
  const subject = C.changeSubject[i], [node, kind] = M.subjects[subject], step = C.changeStep[i];
  let s = nodeName(node) + ["", " in the metadata quorum", " " + nameOf(subject), " coordinates group " + nameOf(subject), " coordinates " + nameOf(subject)][kind] + ":";
  for (let first = true; i < C.changeStep.length && C.changeSubject[i] === subject && C.changeStep[i] === step; i++, first = false) {
    const f = C.changeField[i], v = C.changeValue[i];
    s += (first ? " " : ", ") + (v === NONE && f === 0 ? "no more" : M.fields[kind][f] + " " + shown(kind, f, v));
  }
  return s;
}

function faultText(i) {
  const f = M.plan[i];
  return f ? f.kind + " (" + nodeName(f.node) + ") for " + millis(f.for) + " p=" + f.p + " q=" + f.q : "fault";
}

function rowText(i) {
  const k = C.rowKind[i], who = nodeName(C.rowNode[i]), a = C.rowA[i], b = C.rowB[i], text = M.names[C.rowText[i]], err = C.rowErr[i];
  const end = err ? ": " + M.errors[err] : k >= K.open && k <= K.disk && C.rowUntilStep[i] === NONE ? " (never answered)" : "";
  switch (k) {
    case K.starts: return who + " starts, life " + a;
    case K.ready: return who + " is ready, life " + a;
    case K.killed: return who + " is killed";
    case K.powerLost: return who + " loses power";
    case K.stopAsked: return who + " is asked to stop";
    case K.exits: return who + " exits with " + a + (text ? ": " + text : "");
    case K.paused: return who + " is paused for " + millis(a);
    case K.resumed: return who + " goes on";
    case K.fault: return "fault " + faultText(a);
    case K.faultEnd: return "fault over: " + faultText(a);
    case K.cut: return "nothing comes from " + who + " to " + nodeName(a) + " until " + seconds(b);
    case K.healed: return "all faults are over";
    case K.stage: return "stage " + M.stages[a];
    case K.note: return who + " notes (" + ["debug", "info", "warn", "error"][a] + "): " + text;
    case K.dial: return who + " dials " + text;
    case K.dialled: return who + " has no connection" + end;
    case K.closed: return who + ": connection with " + nodeName(a) + " ended" + end;
    case K.open: return who + " opens " + text + end;
    case K.write: return who + " writes " + b + " bytes at " + a + " of " + text + end;
    case K.read: return who + " reads " + b + " bytes at " + a + " of " + text + end;
    case K.sync: return who + " syncs " + text + end;
    case K.truncate: return who + " cuts " + text + " to " + a + " bytes" + end;
    case K.disk: return who + ": " + M.effects[a] + " " + text + end;
    case K.registered: return "metadata: leader " + a + " epoch " + b + " of " + text;
  }
  return "BROKEN " + text;
}

// nodesOf are the one or two nodes of an event.
function nodesOf(kind, i) {
  if (kind === SENT) return [C.frameFrom[i], C.frameTo[i]];
  return [kind === DEED ? C.deedNode[i] : kind === CHANGE ? M.subjects[C.changeSubject[i]][0] : C.rowNode[i], -2];
}

const partitionOfName = new Map(); // index of M.names: index of M.partitions, or -1

// partitionInText is the partition that a name of a row is about: a file's path, or the name itself.
function partitionInText(name) {
  let p = partitionOfName.get(name);
  if (p === undefined) {
    const s = M.names[name];
    p = M.partitions.findIndex(x => s === x || s.startsWith(x + " ") || s.includes("/" + x + "/") || s.includes("/" + x + "."));
    partitionOfName.set(name, p);
  }
  return p;
}

// isAbout reports whether an event has to do with one of some partitions.
function isAbout(kind, i, wanted) {
  switch (kind) {
    case SENT:
      for (let j = C.framePartFrom[i]; j < C.framePartFrom[i + 1]; j++) if (wanted.has(C.framePart[j])) return true;
      return false;
    case DEED: return wanted.has(M.partitions.indexOf(M.names[C.deedTopic[i]] + "-" + C.deedPartition[i]));
    case CHANGE: { const s = M.subjects[C.changeSubject[i]]; return s[1] === LOG && wanted.has(partitionInText(s[2])); }
  }
  return wanted.has(partitionInText(C.rowText[i]));
}

let detailChunks = null;
const inflated = new Map();

// detailOf are all fields of a frame, as text.
async function detailOf(i) {
  if (!detailChunks) detailChunks = document.getElementById("data-details").textContent.split("\n");
  const k = Math.floor(i / M.frameChunk);
  if (!inflated.has(k)) {
    if (inflated.size > 20) inflated.clear();
    inflated.set(k, new TextDecoder().decode(await inflate(detailChunks[k])).split("\0"));
  }
  return inflated.get(k)[i % M.frameChunk];
}
