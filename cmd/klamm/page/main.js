// Keys, mouse, and what they do.

let asked = false;
function later() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; draw(); });
}

// moveTo puts the slider at a step.
function moveTo(step, keepView) {
  view.step = Math.max(0, Math.min(M.steps, Math.round(step)));
  $("slider").value = view.step;
  $("where").textContent = "step " + view.step + " of " + M.steps + ", " + seconds(timeOf(view.step));
  if (!keepView) {
    const v = pos(view.step, timeOf(view.step)), w = view.x1 - view.x0;
    if (v < view.x0 || v > view.x1) setView(v - w / 2, v + w / 2);
  }
  refreshTab();
  later();
}

function setView(x0, x1) {
  const ex = extent(), least = view.axis === "step" ? 8 : 200;
  let w = Math.max(least, Math.min(x1 - x0, ex));
  x0 = Math.max(0, Math.min((x0 + x1) / 2 - w / 2, ex - w));
  view.x0 = x0;
  view.x1 = x0 + w;
  later();
}

function zoom(by, around) {
  const v = around === undefined ? Math.max(view.x0, Math.min(view.x1, pos(view.step, timeOf(view.step)))) : around;
  setView2(v - (v - view.x0) * by, v + (view.x1 - v) * by);
}

// setView2 sets both ends as they are, but for the bounds.
function setView2(x0, x1) {
  const ex = extent(), least = view.axis === "step" ? 8 : 200;
  if (x1 - x0 < least) { const m = (x0 + x1) / 2; x0 = m - least / 2; x1 = m + least / 2; }
  if (x1 - x0 > ex) { x0 = 0; x1 = ex; }
  if (x0 < 0) { x1 -= x0; x0 = 0; }
  if (x1 > ex) { x0 -= x1 - ex; x1 = ex; }
  view.x0 = Math.max(0, x0);
  view.x1 = x1;
  later();
}

function choose(kind, i, andOpen) {
  view.selected = [kind, i];
  if (andOpen) tab = "event";
  moveTo(stepOf(view.selected));
  if (andOpen) openTab("event");
}

let pinAt = -1;
function choosePin(i) {
  const pins = M.verdict.Pins || [];
  pinAt = i;
  for (const li of $("verdict").querySelectorAll("li")) li.classList.toggle("on", Number(li.dataset.pin) === i);
  const p = pins[i];
  view.selected = null;
  // Of what happened in that step, choose what the pin is most likely about: the client's operation, or the node's own change.
  for (let j = E.firstOfStep[p.Step]; j < (E.firstOfStep[p.Step + 1] ?? E.n); j++) {
    const [a] = nodesOf(E.kind[j], E.index[j]);
    if (E.kind[j] !== SENT && (a === p.Node || p.Node < 0 && a < 0)) { view.selected = [E.kind[j], E.index[j]]; if (E.kind[j] === DEED) break; }
  }
  const w = Math.min(view.x1 - view.x0, view.axis === "step" ? 400 : 400000), v = pos(p.Step, p.At);
  setView(v - w / 2, v + w / 2);
  moveTo(p.Step);
  scrollToNode(p.Node);
}

function scrollToNode(n) {
  if (n < 0 || anchor[n] < 0) return;
  if (anchor[n] < tracks.scrollTop + 10 || anchor[n] > tracks.scrollTop + tracks.clientHeight - 60) tracks.scrollTop = anchor[n] - 80;
}

// nextHit goes to the next or previous event that the search found, or that the filter leaves.
function nextHit(by) {
  const list = $("search").value.trim() ? hitList : passing;
  if (!list.length) return;
  let at = 0;
  const cur = view.selected && list.indexOf ? Array.prototype.findIndex.call(list, i => E.kind[i] === view.selected[0] && E.index[i] === view.selected[1]) : -1;
  if (cur >= 0) at = cur + by;
  else { while (at < list.length && E.step[list[at]] < view.step) at++; if (by < 0) at--; }
  at = Math.max(0, Math.min(list.length - 1, at));
  choose(E.kind[list[at]], E.index[list[at]], false);
  if (tab === "event") eventTab();
}

function toggleAxis() {
  const s0 = view.axis === "step" ? timeOf(Math.floor(view.x0)) : stepAt(view.x0), s1 = view.axis === "step" ? timeOf(Math.ceil(view.x1)) : stepAt(view.x1);
  view.axis = view.axis === "step" ? "time" : "step";
  $("axis").textContent = view.axis === "step" ? "axis: steps" : "axis: time";
  scales.clear();
  setView2(s0, Math.max(s1, s0 + 1));
}

function filtered() {
  applyFilter();
  filterBox();
  $("filters").classList.toggle("on", filter.nodes.size + filter.parts.size > 0 || filter.kinds.size < kinds.length || !!filter.text);
  if ($("search").value.trim()) search($("search").value);
  refreshTab();
  later();
}

function keys(e) {
  if (e.target.matches("input[type=search], input[type=text]")) {
    if (e.key === "Escape") e.target.blur();
    if (e.key === "Enter") { nextHit(e.shiftKey ? -1 : 1); e.preventDefault(); }
    return;
  }
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const act = {
    ArrowLeft: () => moveTo(view.step - (e.shiftKey ? 100 : 1)), ArrowRight: () => moveTo(view.step + (e.shiftKey ? 100 : 1)), Home: () => moveTo(0), End: () => moveTo(M.steps),
    "+": () => zoom(.5), "=": () => zoom(.5), "-": () => zoom(2), f: () => setView(0, extent()), t: toggleAxis, "/": () => $("search").focus(), n: () => nextHit(1), p: () => nextHit(-1),
    v: () => { if (M.verdict) { if (pinAt < 0 && !(M.verdict.Pins || []).length) moveTo(M.verdict.Step); else choosePin((pinAt + 1) % M.verdict.Pins.length); } },
    "?": () => $("legend").showModal(), Escape: () => { view.selected = null; pinAt = -1; refreshTab(); later(); },
  }[e.key];
  if (act) { act(); e.preventDefault(); }
}

function mouse() {
  let drag = null;
  tracks.addEventListener("mousedown", e => { if (e.offsetX < tracks.clientWidth) drag = { x: e.clientX, y: e.clientY, x0: view.x0, x1: view.x1, top: tracks.scrollTop, moved: false }; });
  addEventListener("mousemove", e => {
    if (drag && drag.over) { const w = overview.clientWidth, v = x => (x - overview.getBoundingClientRect().left) / w * extent(); if (Math.abs(e.clientX - drag.x) > 4) { drag.moved = true; setView2(Math.min(v(drag.x), v(e.clientX)), Math.max(v(drag.x), v(e.clientX))); } return; }
    if (drag) {
      const dx = e.clientX - drag.x;
      if (Math.abs(dx) > 3 || Math.abs(e.clientY - drag.y) > 3) drag.moved = true;
      if (drag.moved) { const per = (drag.x1 - drag.x0) / (width - GUTTER - 8); setView2(drag.x0 - dx * per, drag.x1 - dx * per); tracks.scrollTop = drag.top - (e.clientY - drag.y); }
      return;
    }
    hover(e);
  });
  addEventListener("mouseup", e => {
    if (!drag) return;
    const d = drag;
    drag = null;
    if (d.over) { if (!d.moved) { const r = overview.getBoundingClientRect(), w = view.x1 - view.x0, v = (e.clientX - r.left) / r.width * extent(); setView(v - w / 2, v + w / 2); moveTo(view.axis === "step" ? v : stepAt(v)); } return; }
    if (d.moved) return;
    const r = canvas.getBoundingClientRect(), x = e.clientX - r.left, y = e.clientY - r.top, hit = under(x, y);
    if (hit && hit[0] === "pin") return choosePin(hit[1]);
    if (hit) return choose(hit[0], hit[1], true);
    if (x > GUTTER) { view.selected = null; moveTo(view.axis === "step" ? back(x) : stepAt(back(x))); }
  });
  overview.addEventListener("mousedown", e => { drag = { over: true, x: e.clientX }; e.preventDefault(); });
  overview.addEventListener("wheel", e => { e.preventDefault(); zoom(e.deltaY > 0 ? 1.25 : .8, (e.offsetX / overview.clientWidth) * extent()); }, { passive: false });
  tracks.addEventListener("wheel", e => {
    if (e.ctrlKey) { e.preventDefault(); zoom(e.deltaY > 0 ? 1.25 : .8, back(e.clientX - canvas.getBoundingClientRect().left)); }
    else if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) { e.preventDefault(); const w = view.x1 - view.x0, d = (e.deltaX || e.deltaY) / 800 * w; setView2(view.x0 + d, view.x1 + d); }
  }, { passive: false });
  tracks.addEventListener("scroll", later);
}

function hover(e) {
  const tip = $("tip"), r = canvas.getBoundingClientRect(), x = e.clientX - r.left, y = e.clientY - r.top;
  const hit = e.target === canvas && x > GUTTER ? under(x, y) : null;
  tip.hidden = !hit;
  canvas.style.cursor = hit ? "pointer" : "";
  if (!hit) return;
  tip.textContent = hit[0] === "pin" ? M.verdict.Pins[hit[1]].Text : textOf(hit[0], hit[1]) + " (step " + stepOf(hit) + ")";
  tip.style.left = Math.min(e.clientX + 14, innerWidth - 490) + "px";
  tip.style.top = Math.min(e.clientY + 16, innerHeight - 60) + "px";
}

function wire() {
  mouse();
  addEventListener("keydown", keys);
  addEventListener("resize", later);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColors(); later(); });
  $("slider").max = M.steps;
  $("slider").addEventListener("input", e => moveTo(Number(e.target.value)));
  const on = { back: () => moveTo(view.step - 1), on: () => moveTo(view.step + 1), in: () => zoom(.5), out: () => zoom(2), fit: () => setView(0, extent()), axis: toggleAxis, help: () => $("legend").showModal(),
    next: () => nextHit(1), prev: () => nextHit(-1), filters: () => { $("filterbox").hidden = !$("filterbox").hidden; later(); } };
  for (const id in on) $(id).addEventListener("click", on[id]);
  if (M.picture) {
    $("history").hidden = false;
    $("history").title = "porcupine's picture of the history that no order explains";
    $("history").addEventListener("click", async () => {
      $("pictureOf").textContent = M.pictureOf + ": no order of these operations explains what was answered";
      $("picture").showModal();
      if (!$("pictureIn").srcdoc) $("pictureIn").srcdoc = new TextDecoder().decode(await inflate(M.picture)); // it measures itself
    });
  }
  $("tabs").addEventListener("click", e => { if (e.target.dataset.tab) openTab(e.target.dataset.tab); });
  $("rows").addEventListener("scroll", () => listTab(false));
  let wait;
  $("search").addEventListener("input", e => { clearTimeout(wait); wait = setTimeout(() => search(e.target.value), 200); });
  document.body.addEventListener("click", e => {
    const t = e.target.closest("[data-go],[data-pin],[data-set],[data-find],#nofilter,#about");
    if (!t) return;
    if (t.dataset.go) { const [k, i] = t.dataset.go.split(",").map(Number); choose(k, i, tab !== "list"); if (tab === "list") listTab(false); }
    else if (t.dataset.pin) choosePin(Number(t.dataset.pin));
    else if (t.dataset.find) { $("search").value = t.dataset.find; search(t.dataset.find); }
    else if (t.id === "about") { filter.parts = new Set(filter.parts.size ? [] : M.verdict.Partitions.map(p => M.partitions.indexOf(p))); t.classList.toggle("on", filter.parts.size > 0); filtered(); }
    else if (t.dataset.set) {
      const s = filter[t.dataset.set], v = t.dataset.set === "kinds" ? t.dataset.v : Number(t.dataset.v);
      if (s.has(v)) s.delete(v); else s.add(v);
      filtered();
    } else { filter.nodes.clear(); filter.parts.clear(); filter.kinds = new Set(kinds); filter.text = ""; filtered(); }
  });
  $("filterbox").addEventListener("change", e => { if (e.target.id === "api") { filter.text = e.target.value; filtered(); } });
  $("rows").addEventListener("dblclick", () => openTab("event"));
}

async function begin() {
  readColors();
  await loadColumns();
  order();
  index();
  nodeBands();
  faultBars();
  placeDeeds();
  applyFilter();
  verdictBox();
  filterBox();
  legendBox();
  faultsTab();
  configTab();
  wire();
  view.x1 = extent();
  const v = M.verdict;
  if (v) { // begin with what the verdict speaks of in view
    const first = (v.Pins || []).reduce((s, p) => Math.min(s, p.Step), v.Step), room = Math.max(40, (v.Step - first) * .08);
    if (v.Step - first < M.steps * .6) setView2(first - room, v.Step + room);
  }
  moveTo(v ? v.Step : M.steps, true);
  draw();
  document.body.dataset.ready = Math.round(performance.now());
}

begin().catch(e => { $("facts").textContent = "this page can't be shown: " + e; document.body.dataset.failed = e; throw e; });
