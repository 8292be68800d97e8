// What lies over the lanes: messages, the verdict's pins, where the slider is; and the small picture of the whole run.

let framePass = null; // which frames the filter leaves; null: all

function messages() {
  const sent = view.axis === "step" ? C.frameSentStep : C.frameSentAt, got = view.axis === "step" ? C.frameGotStep : C.frameGotAt;
  const n = sent.length, span = view.x1 - view.x0, seen = [];
  let lo = 0, hi = n;
  while (lo < hi) { const mid = lo + hi >> 1; if (sent[mid] < view.x0 - 2 * span - 2000) lo = mid + 1; else hi = mid; }
  hidden = 0;
  let bad = 0;
  for (let i = lo; i < n && sent[i] <= view.x1; i++) {
    if (framePass && !framePass[i] || (got[i] === NONE ? sent[i] : got[i]) < view.x0) continue;
    if (anchor[C.frameFrom[i]] < 0 || anchor[C.frameTo[i]] < 0) continue;
    seen.push(i);
    if (C.frameFlags[i] & 2 || got[i] === NONE) bad++;
  }
  const few = seen.length <= messagesMax;
  for (const i of seen) {
    const odd = C.frameFlags[i] & 2 || got[i] === NONE;
    if (few || odd && bad <= messagesMax) arrow(i, sent, got, few ? .75 : .5, false); else hidden++;
  }
  const s = view.selected;
  if (s && s[0] === SENT) {
    for (const i of conversation(s[1])) arrow(i, sent, got, 1, true);
  }
}

// conversation is a frame, with its request or its answer.
function conversation(i) {
  const list = [i];
  if (C.frameAsks[i] >= 0) list.unshift(C.frameAsks[i]);
  else if (answerOf[i] >= 0) list.push(answerOf[i]);
  return list;
}

function arrow(i, sent, got, alpha, strong) {
  const lost = got[i] === NONE, x0 = X(sent[i]), y0 = anchor[C.frameFrom[i]] - top0, y1 = anchor[C.frameTo[i]] - top0;
  if (anchor[C.frameFrom[i]] < 0 || anchor[C.frameTo[i]] < 0) return;
  const x1 = lost ? x0 + 14 : X(got[i]), ey = lost ? y0 + (y1 - y0) * .6 : y1;
  ctx.globalAlpha = alpha;
  ctx.strokeStyle = ctx.fillStyle = strong ? color.accent : lost ? color.lost : C.frameFlags[i] & 2 ? color.msgbad : color.msg;
  ctx.lineWidth = strong ? 2.5 : 1;
  if (lost) ctx.setLineDash([4, 3]);
  ctx.beginPath(); ctx.moveTo(x0, y0); ctx.lineTo(x1, ey); ctx.stroke();
  ctx.setLineDash([]);
  if (lost) { cross(x1, ey, 3, ctx.strokeStyle); } else {
    const a = Math.atan2(ey - y0, x1 - x0), r = strong ? 9 : 6;
    ctx.beginPath();
    ctx.moveTo(x1, ey);
    ctx.lineTo(x1 - r * Math.cos(a - .35), ey - r * Math.sin(a - .35));
    ctx.lineTo(x1 - r * Math.cos(a + .35), ey - r * Math.sin(a + .35));
    ctx.fill();
  }
  if (view.x1 - view.x0 < (view.axis === "step" ? 60 : 60000) || strong) {
    const tx = x0 + (x1 - x0) * .5, ty = y0 + (ey - y0) * .5;
    ctx.globalAlpha = strong ? 1 : .8;
    const t = (C.frameFlags[i] & 1 ? "" : "↩ ") + (strong ? titles[i] : titles[i].split(" ")[0]), w = Math.min(ctx.measureText(t).width, 320);
    ctx.fillStyle = color.bg;
    ctx.fillRect(tx + 3, ty - 7, w + 4, 14);
    ctx.fillStyle = strong ? color.accent : color.dim;
    ctx.fillText(t, tx + 5, ty, 320);
  }
  ctx.lineWidth = 1;
  ctx.globalAlpha = 1;
  lines.push([x0, y0, x1, ey, i]);
}

// marks draws the pins and the slider's place.
function marks() {
  const line = (x, c, w) => { ctx.strokeStyle = c; ctx.lineWidth = w; ctx.beginPath(); ctx.moveTo(x, 0); ctx.lineTo(x, height); ctx.stroke(); ctx.lineWidth = 1; };
  const v = M.verdict;
  if (v) {
    const x = X(pos(v.Step, v.At));
    ctx.globalAlpha = .13;
    ctx.fillStyle = color.bad;
    ctx.fillRect(x, 0, width, height);
    ctx.globalAlpha = 1;
    line(x, color.bad, 2);
    const taken = new Map();
    (v.Pins || []).forEach((p, i) => {
      const px = X(pos(p.Step, p.At));
      if (px < GUTTER - 9 || px > width + 9) return;
      ctx.setLineDash([2, 4]);
      line(px, color.bad, 1);
      ctx.setLineDash([]);
      let py = (p.Node >= 0 && anchor[p.Node] >= 0 ? anchor[p.Node] : 13) - top0;
      const spot = Math.round(px / 12) + "/" + p.Node, n = taken.get(spot) || 0;
      taken.set(spot, n + 1);
      py += n * 15;
      ctx.fillStyle = color.bad;
      ctx.beginPath(); ctx.arc(px, py, 8.5, 0, 7); ctx.fill();
      ctx.fillStyle = color.bg;
      ctx.textAlign = "center";
      ctx.font = "600 10px system-ui, 'DejaVu Sans', sans-serif";
      ctx.fillText(i + 1, px, py + .5);
      ctx.font = font;
      ctx.textAlign = "left";
      hits.push([px - 9, py - 9, px + 9, py + 9, "pin", i]);
    });
  }
  line(X(pos(view.step, timeOf(view.step))), color.accent, 1.5);
  if (hidden) {
    const t = hidden.toLocaleString("en") + " messages in view: zoom in (+), or filter, to see them";
    const w = ctx.measureText(t).width;
    ctx.fillStyle = color.panel;
    ctx.fillRect(width - w - 22, height - 36, w + 12, 18);
    ctx.fillStyle = color.dim;
    ctx.fillText(t, width - w - 16, height - 27);
  }
}

let histogram = null;

function drawOverview() {
  const w = overview.parentNode.clientWidth, h = 46, c = overview.getContext("2d");
  fitCanvas(overview, w, h);
  c.fillStyle = color.panel;
  c.fillRect(0, 0, w, h);
  const ex = extent(), cells = Math.max(1, Math.floor(w / 2)), key = view.axis + cells;
  if (!histogram || histogram.key !== key) {
    const bins = new Float64Array(cells), at = view.axis === "step" ? E.step : E.at;
    for (let i = 0; i < E.n; i++) bins[Math.min(cells - 1, Math.floor(at[i] / (ex + 1) * cells))]++;
    histogram = { key, bins, most: Math.max(...bins) };
  }
  c.fillStyle = color.follower;
  for (let i = 0; i < cells; i++) { const y = Math.sqrt(histogram.bins[i] / histogram.most) * (h - 12); c.fillRect(i * w / cells, h - y, w / cells, y); }
  const px = (s, a) => pos(s, a) / ex * w;
  for (let i = 0; i < C.rowKind.length; i++) {
    const k = C.rowKind[i];
    if (C.rowNode[i] >= 0 && M.nodes[C.rowNode[i]].Broker && (k === K.killed || k === K.powerLost)) { c.fillStyle = color.bad; c.fillRect(px(C.rowStep[i], C.rowAt[i]) - 1, 0, 2, 9); }
    if (k === K.healed) { c.fillStyle = color.good; c.fillRect(px(C.rowStep[i], C.rowAt[i]), 0, 2, h); }
  }
  if (M.verdict) {
    c.fillStyle = color.bad;
    c.fillRect(px(M.verdict.Step, M.verdict.At) - 2, 0, 3, h);
    for (const p of M.verdict.Pins || []) { c.beginPath(); c.arc(px(p.Step, p.At), h - 5, 3, 0, 7); c.fill(); }
  }
  const x0 = view.x0 / ex * w, x1 = view.x1 / ex * w;
  c.globalAlpha = .25;
  c.fillStyle = color.accent;
  c.fillRect(x0, 0, Math.max(x1 - x0, 2), h);
  c.globalAlpha = 1;
  c.strokeStyle = color.accent;
  c.strokeRect(x0 + .5, .5, Math.max(x1 - x0, 2) - 1, h - 1);
  const now = px(view.step, timeOf(view.step));
  c.fillStyle = color.accent;
  c.fillRect(now - 1, 0, 2, h);
}

// under is what was drawn at a point: a kind and an index, or null.
function under(x, y) {
  for (let i = hits.length - 1; i >= 0; i--) if (hits[i][4] === "pin" && inside(hits[i], x, y)) return hits[i].slice(4);
  let best = null, least = 5;
  for (const l of lines) {
    const d = distance(x, y, l);
    if (d < least) { least = d; best = [SENT, l[4]]; }
  }
  if (best) return best;
  for (let i = hits.length - 1; i >= 0; i--) if (inside(hits[i], x, y)) return hits[i].slice(4);
  return null;
}

function inside(h, x, y) { return x >= h[0] && x <= h[2] && y >= h[1] && y <= h[3]; }

function distance(x, y, [x0, y0, x1, y1]) {
  const dx = x1 - x0, dy = y1 - y0, len = dx * dx + dy * dy || 1;
  const t = Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / len));
  return Math.hypot(x - x0 - t * dx, y - y0 - t * dy);
}
