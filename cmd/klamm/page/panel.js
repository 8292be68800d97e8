// The panels beside the picture: state, event, list, faults, the run; and the verdict above it.

const $ = id => document.getElementById(id);
const esc = s => String(s).replace(/[&<>"]/g, c => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
let tab = "state";

function openTab(name) {
  tab = name;
  for (const b of $("tabs").children) b.classList.toggle("on", b.dataset.tab === name);
  for (const t of document.querySelectorAll(".tab")) t.hidden = t.id !== name;
  refreshTab();
}

function refreshTab() {
  if (tab === "state") stateTab();
  if (tab === "event") eventTab();
  if (tab === "list") listTab(true);
}

// stateTab shows what every node is like after the step that the slider is at.
function stateTab() {
  const step = view.step, out = [];
  for (let n = 0; n < M.nodes.length; n++) {
    if (!M.nodes[n].Broker || filter.nodes.size && !filter.nodes.has(n)) continue;
    out.push(nodeState(n, step));
  }
  const clients = [];
  for (let n = 0; n < M.nodes.length; n++) {
    if (M.nodes[n].Broker || !subjectsOf[n][NODE].length) continue;
    const s = subjectsOf[n][NODE][0], v = value(s, 0, step);
    if (v === NONE) continue;
    let open = 0;
    for (const i of deedsOf[n]) { if (C.deedAskedStep[i] > step) break; if (C.deedSettledStep[i] === NONE || C.deedSettledStep[i] > step) open++; }
    clients.push(`<tr><td>${esc(nodeName(n))}</td><td>${nodeStates[v]}, life ${value(s, 1, step)}</td><td class="n">${open || ""}</td></tr>`);
  }
  out.push(`<h3>clients</h3><table><tr><th>client</th><th>process</th><th class="n">waits for</th></tr>${clients.join("")}</table>`);
  $("state").innerHTML = out.join("");
}

function nodeState(n, step) {
  const of = subjectsOf[n], own = of[NODE][0], v = f => own === undefined ? NONE : value(own, f, step);
  const state = v(0) === NONE ? "down" : nodeStates[v(0)], what = state === "up" ? v(3) === 1 ? "stopping" : v(2) === 1 ? "ready" : "starting" : state;
  const ink = { ready: "up", starting: "starting", stopping: "stopping", paused: "paused", down: "down" }[what];
  let h = `<h3>${esc(nodeName(n))} <small>${esc(M.nodes[n].Roles)}</small> <span class="pill" style="background:var(--${ink})">${what}, life ${v(1) === NONE ? 0 : v(1)}</span>`;
  if (v(4) > 0 || v(4) < 0 && v(4) !== NONE) h += ` <small>wall clock ${v(4) > 0 ? "+" : ""}${v(4)} ms</small>`;
  if (v(5) && v(5) !== NONE) h += ` <small>drift ${v(5)} ppm</small>`;
  h += "</h3>";
  const q = of[QUORUM][0];
  if (q !== undefined && value(q, 0, step) !== NONE) {
    const c = f => cell(q, QUORUM, f, step, f > 4 || f === 1);
    h += `<table><tr><th>quorum</th><th class="n">epoch</th><th>leader</th><th>voted</th><th>voters</th><th class="n">hw</th><th class="n">end</th><th class="n">applied</th></tr><tr>${c(0)}${c(1)}${c(2)}${c(3)}${c(4)}${c(5)}${c(6)}${c(7)}</tr></table>`;
  }
  const logs = of[LOG].filter(s => value(s, 0, step) !== NONE && (!filter.parts.size || filter.parts.has(M.partitions.indexOf(nameOf(s)))));
  if (logs.length) {
    const first = new Set(lanePartitions().map(p => M.partitions[p]));
    logs.sort((a, b) => first.has(nameOf(b)) - first.has(nameOf(a)));
    h += `<table><tr><th>partition</th><th>role</th><th class="n">ep</th><th>ISR</th><th class="n" title="log start offset">start</th><th class="n" title="high watermark">hw</th><th class="n" title="last stable offset">lso</th><th class="n" title="synced below">synced</th><th class="n" title="log end offset">end</th></tr>`;
    for (const s of logs) {
      const c = f => cell(s, LOG, f, step, f !== L.role && f !== L.isr);
      const role = value(s, L.role, step), asked = value(s, L.asked, step);
      h += `<tr><td>${esc(nameOf(s))}</td><td class="${role === 3 ? "leader" : ""}${role === 1 ? "off" : ""}">${logRoles[role]}</td>${c(L.epoch)}<td title="min.insync.replicas ${value(s, L.min, step)}">${esc(shown(LOG, L.isr, value(s, L.isr, step)))}${asked > 0 ? " → " + esc(M.names[asked]) : ""}</td>${c(L.start)}${c(L.high)}${c(L.stable)}${c(L.durable)}${c(L.end)}</tr>`;
    }
    h += "</table>";
  }
  for (const [kind, head] of [[GROUP, "<th>group</th><th>phase</th><th class='n'>generation</th><th class='n'>members</th>"], [TXN, "<th>transactional id</th><th>status</th><th class='n'>producer</th><th class='n'>epoch</th><th class='n'>parts</th><th class='n'>unmarked</th>"]]) {
    const list = of[kind].filter(s => value(s, 0, step) !== NONE);
    if (list.length) h += `<table><tr>${head}</tr>${list.map(s => `<tr><td>${esc(nameOf(s))}</td>${M.fields[kind].map((_, f) => cell(s, kind, f, step, f > 0)).join("")}</tr>`).join("")}</table>`;
  }
  return h;
}

function cell(s, kind, f, step, number) {
  return `<td class="${number ? "n" : ""}${changedAt(s, f, step) ? " new" : ""}">${esc(shown(kind, f, value(s, f, step)))}</td>`;
}

const go = (kind, i, text) => `<span class="link" data-go="${kind},${i}">${esc(text)}</span>`;

// eventTab shows what is selected, whole, and all that happened in the same step.
async function eventTab() {
  const s = view.selected, box = $("event");
  let h = "";
  if (s) {
    h += `<div class="item big"><b>${esc(textOf(s[0], s[1]))}</b><div class="dim">step ${stepOf(s)}, ${seconds(atOf(s))}, ${kindOf(s[0], s[1])}</div></div>`;
    if (s[0] === ROW) h += rowDetail(s[1]);
    if (s[0] === DEED) h += deedDetail(s[1]);
    if (s[0] === SENT) for (const i of conversation(s[1])) h += await frameDetail(i, i === s[1]);
  } else {
    h += `<p class="dim">Click an arrow, a bar or a mark to see all of it here.</p>`;
  }
  const step = view.step, i0 = E.firstOfStep[step], i1 = E.firstOfStep[step + 1] ?? E.n;
  h += `<h3>step ${step} <small>${i1 - i0} events at ${seconds(timeOf(step))}</small></h3>`;
  for (let i = i0; i < Math.min(i1, i0 + 200); i++) h += `<div class="item">${go(E.kind[i], E.index[i], textOf(E.kind[i], E.index[i]))}</div>`;
  box.innerHTML = h;
}

function stepOf([kind, i]) { return [C.rowStep, C.frameSentStep, C.deedAskedStep, C.changeStep][kind][i]; }
function atOf([kind, i]) { return [C.rowAt, C.frameSentAt, C.deedAskedAt, C.changeAt][kind][i]; }

function rowDetail(i) {
  if (C.rowUntilStep[i] === NONE) return "";
  return `<div class="item">answered at step ${C.rowUntilStep[i]}, after ${millis(C.rowUntilAt[i] - C.rowAt[i])}</div>`;
}

function deedDetail(i) {
  let h = C.deedSettledStep[i] === NONE || C.deedKind[i] === 1 ? "" : `<div class="item">known at step ${C.deedSettledStep[i]}, after ${millis(C.deedSettledAt[i] - C.deedAskedAt[i])}</div>`;
  h += `<h3>record ${recordName(i)} <small>all that clients did with it</small></h3>`;
  for (let j = 0; j < C.deedHigh.length; j++) if (C.deedHigh[j] === C.deedHigh[i] && C.deedLow[j] === C.deedLow[i]) h += `<div class="item">${stepOf([DEED, j])} ${go(DEED, j, deedText(j))}</div>`;
  return h + `<div class="item"><span class="link" data-find="${recordName(i)}">search for it</span></div>`;
}

async function frameDetail(i, whole) {
  const request = C.frameFlags[i] & 1, got = C.frameGotStep[i];
  const head = `${request ? "request" : "answer"} ${esc(titles[i].split(" ")[0])} v${C.frameVersion[i]}, correlation id ${C.frameCorr[i]}, ${C.frameSize[i]} bytes, connection ${C.frameLine[i]}`;
  const times = `sent at step ${C.frameSentStep[i]}, ${seconds(C.frameSentAt[i])}; ${got === NONE ? "never came: the connection broke, or its receiver was no more" : `came at step ${got}, after ${millis(C.frameGotAt[i] - C.frameSentAt[i])}`}`;
  const body = await detailOf(i);
  return `<h3>${whole ? head : go(SENT, i, "its " + (request ? "request" : "answer")) + " <small>" + head + "</small>"}</h3><div class="dim">${times}</div><pre>${esc(body || "(nothing but defaults)")}</pre>`;
}

let passing = null; // places of E that the filter leaves
let hitList = []; // places of E that the search found

// applyFilter finds what the filter leaves.
function applyFilter() {
  const byNode = filter.nodes.size > 0, byPart = filter.parts.size > 0, text = filter.text.toLowerCase();
  const out = new Uint32Array(E.n);
  let n = 0;
  framePass = byNode || byPart || text ? new Uint8Array(C.frameAsks.length) : null;
  for (let i = 0; i < E.n; i++) {
    const k = E.kind[i], x = E.index[i];
    if (byNode) { const [a, b] = nodesOf(k, x); if (a >= 0 && !filter.nodes.has(a) && !(b >= 0 && filter.nodes.has(b))) continue; }
    if (byPart && !isAbout(k, x, filter.parts)) continue;
    if (k === SENT && text && !titles[x].toLowerCase().includes(text)) continue;
    if (k === SENT && framePass) framePass[x] = 1;
    if (!filter.kinds.has(kindOf(k, x))) continue;
    out[n++] = i;
  }
  passing = out.subarray(0, n);
  layout();
}

// search finds events whose line has the words, among those that the filter leaves.
function search(text) {
  hitList = [];
  const words = text.toLowerCase().trim();
  if (words) {
    const re = new RegExp((/^\w/.test(words) ? "\\b" : "") + words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") + (/\d$/.test(words) ? "\\b" : ""), "i");
    for (let j = 0; j < passing.length && hitList.length < 20000; j++) { const i = passing[j]; if (re.test(textOf(E.kind[i], E.index[i]))) hitList.push(i); }
  }
  $("hits").textContent = words ? hitList.length + (hitList.length === 20000 ? "+" : "") + " found" : "";
  if (words) openTab("list"); else listTab(true);
}

const rowHeight = 22;

// listTab shows the part of the list that is in sight.
function listTab(follow) {
  const list = $("search").value.trim() ? hitList : passing, box = $("rows"), h = box.clientHeight;
  $("rowsTall").style.height = list.length * rowHeight + "px";
  let at = 0, hi = list.length;
  while (at < hi) { const mid = at + hi >> 1; if (E.step[list[mid]] < view.step) at = mid + 1; else hi = mid; }
  if (follow && (at * rowHeight < box.scrollTop || at * rowHeight > box.scrollTop + h - rowHeight)) box.scrollTop = Math.max(0, at * rowHeight - h / 3);
  const from = Math.max(0, Math.floor(box.scrollTop / rowHeight) - 2), to = Math.min(list.length, from + Math.ceil(h / rowHeight) + 5);
  let s = "";
  for (let j = from; j < to; j++) {
    const i = list[j], k = E.kind[i], x = E.index[i], on = view.selected && view.selected[0] === k && view.selected[1] === x;
    s += `<div class="row${on ? " on" : ""}${E.step[i] === view.step ? " at" : ""}" data-go="${k},${x}" title="${esc(textOf(k, x))}"><span>${E.step[i]}</span> ${esc(textOf(k, x))}</div>`;
  }
  const inner = $("rowsIn");
  inner.style.transform = `translateY(${from * rowHeight}px)`;
  inner.innerHTML = s || `<div class="row">nothing is left by the filter and the search</div>`;
}

function faultsTab() {
  const came = new Map();
  for (let i = 0; i < C.rowKind.length; i++) if (C.rowKind[i] === K.fault) came.set(C.rowA[i], i);
  let h = `<table><tr><th class="n">planned</th><th>came</th><th>fault</th><th>node</th><th class="n">for</th><th>p, q</th></tr>`;
  M.plan.map((f, i) => [f, i]).sort((a, b) => a[0].at - b[0].at).forEach(([f, i]) => {
    h += `<tr><td class="n">${(f.at / 1e6).toFixed(3)} s</td><td>${came.has(i) ? go(ROW, came.get(i), "step " + C.rowStep[came.get(i)]) : "no"}</td><td>${esc(f.kind)}</td><td>${esc(nodeName(f.node))}</td><td class="n">${millis(f.for)}</td><td>${f.p}, ${f.q}</td></tr>`;
  });
  h += `</table><h3>clocks <small>jumps of the wall clock, drift</small></h3>`;
  for (let n = 0; n < M.nodes.length; n++) for (const b of bars[n]) if (b.change !== undefined) h += `<div class="item">${esc(nodeName(n))}: ${go(CHANGE, b.change, b.text)} from ${seconds(b.a0)} to ${seconds(b.a1)}</div>`;
  $("faults").innerHTML = h;
}

function configTab() {
  $("config").innerHTML = `<h3>this run again</h3><pre>${esc(M.command)}</pre><h3>what it was</h3><div>${M.steps} steps in ${seconds(M.end)} of simulated time, ${M.events.toLocaleString("en")} events${M.cut ? ", and more happened than was recorded" : ""}${M.from ? `; before step ${M.from} only lives, faults and what changed` : ""}<br>hash ${M.hash}</div><h3>configuration</h3><pre>${esc(M.config)}</pre>`;
}

function verdictBox() {
  const v = M.verdict;
  $("title").textContent = M.title;
  $("facts").textContent = `${M.steps.toLocaleString("en")} steps · ${(M.end / 1e6).toFixed(1)} s simulated · ${M.events.toLocaleString("en")} events`;
  $("badge").textContent = v ? v.Rule + " is broken" : "no rule was broken";
  $("badge").classList.toggle("bad", !!v);
  if (!v) return;
  const box = $("verdict");
  box.hidden = false;
  box.innerHTML = `<details open><summary class="said"><b>${esc(v.Rule)}</b> at step ${v.Step}, ${seconds(v.At)}: ${esc(v.Text)}</summary>` + (v.Statement ? `<div class="rule">${esc(v.Rule)}: ${esc(v.Statement)}</div>` : "") +
    `<ol>${(v.Pins || []).map((p, i) => `<li data-pin="${i}"><i>${i + 1}</i><span>${p.Step}</span><div>${esc(p.Text)}</div></li>`).join("")}</ol>${(v.Partitions || []).length ? `<button id="about" title="filter for the partitions that the verdict names">only what is about ${esc(v.Partitions.join(", "))}</button>` : ""}</details>`;
  box.firstChild.addEventListener("toggle", later);
}

function filterBox() {
  const set = (title, all, chosen, name) => `<fieldset><legend>${title}</legend>${all.map(([v, t]) => `<button data-set="${name}" data-v="${v}" class="${chosen.has(v) ? "on" : ""}">${esc(t)}</button>`).join("")}</fieldset>`;
  $("filterbox").innerHTML = set("kinds", kinds.map(k => [k, k]), filter.kinds, "kinds") + set("nodes", M.nodes.map((n, i) => [i, n.Name]), filter.nodes, "nodes") +
    set("partitions", M.partitions.map((p, i) => [i, p]), filter.parts, "parts") +
    `<fieldset><legend>messages</legend><input type="text" id="api" placeholder="only messages with: Vote, Produce …" value="${esc(filter.text)}"> <button id="nofilter">show all</button> <span class="dim">no node or no partition chosen means all of them; the chosen partitions have lanes</span></fieldset>`;
}

function legendBox() {
  const sw = (c, more) => `<span class="sw" style="background:var(--${c});${more || ""}"></span>`;
  $("legend").innerHTML = `<h3>What is what</h3><dl>
<dt>${sw("up")}</dt><dd>the process serves (or, of a client, runs)</dd><dt>${sw("starting")}</dt><dd>it starts: it loads its logs, it recovers</dd><dt>${sw("stopping")}</dt><dd>it was asked to stop</dd><dt>${sw("paused")}</dt><dd>it is paused: its clock goes on</dd>
<dt style="color:var(--bad)"><b>&#10005;</b></dt><dd>killed, or without power (larger)</dd><dt>&#9654;</dt><dd>grey: starts; green: is ready; violet: asked to stop</dd>
<dt>${sw("leader")}</dt><dd>leader, with its epoch: of the metadata quorum, or of a partition</dd><dt>${sw("follower")}</dt><dd>follower</dd><dt>${sw("candidate")}</dt><dd>candidate or prospective; on a disk: a file is cut</dd><dt>${sw("offline")}</dt><dd>offline</dd>
<dt>${sw("hw", "height:2px")}</dt><dd>high watermark, filled below</dd><dt>${sw("end", "height:1px")}</dt><dd>log end; both on one scale for all nodes, whose ends stand at the right</dd>
<dt>${sw("sync")}</dt><dd>a sync, as long as it took; red: it failed</dd><dt>${sw("fault", "opacity:.4")}</dt><dd>a fault, a cut link or a clock that is wrong, as long as it lasts; a diamond: one that is over at once</dd>
<dt>${sw("ok")}</dt><dd>a record that its client was told is stored</dd><dt>${sw("refused")}</dt><dd>… is refused for good</dd><dt>${sw("unknown")}</dt><dd>… may be stored or not</dd><dt>${sw("inflight")}</dt><dd>its client ended, or the run, before it knew</dd><dt>${sw("read", "width:4px")}</dt><dd>a record that a client was given</dd>
<dt>${sw("msg", "height:1px")}</dt><dd>a message, from when it left to when it came</dd><dt>${sw("msgbad", "height:2px")}</dt><dd>an answer with an error</dd><dt>${sw("lost", "height:2px")}</dt><dd>one that never came</dd><dt>${sw("accent", "height:3px")}</dt><dd>the chosen one, with its request or answer; the upright line is where the slider is</dd>
<dt><b style="background:var(--bad);color:var(--bg);border-radius:9px;padding:0 6px">1</b></dt><dd>what the verdict speaks of, in order</dd></dl>
<h3>Keys</h3><dl><dt><kbd>&larr;</kbd> <kbd>&rarr;</kbd></dt><dd>one step back or on; with Shift a hundred</dd><dt><kbd>+</kbd> <kbd>-</kbd></dt><dd>zoom; also the wheel over the picture with Ctrl, or alone over the strip below</dd><dt><kbd>f</kbd></dt><dd>the whole run</dd><dt><kbd>t</kbd></dt><dd>steps or simulated time</dd><dt><kbd>/</kbd> <kbd>n</kbd> <kbd>p</kbd></dt><dd>search; next and previous hit</dd><dt><kbd>v</kbd></dt><dd>the verdict; again: its pins, one after the other</dd><dt><kbd>Esc</kbd></dt><dd>nothing is chosen</dd></dl>
<form method="dialog"><button>close</button></form>`;
}
