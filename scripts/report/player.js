// The player of a report: slices on their way through the array, as the run's events say. It draws into #stage from the facts' "player".
(() => {
  const data = JSON.parse(document.getElementById("facts").textContent).player;
  const $ = id => document.getElementById(id), stage = $("stage");
  const [TILE, PITCH, EDGE] = [150, 236, 92];
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const draw = (name, attributes, parent, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return parent.appendChild(made);
  };
  const [TL, SLOT, BATCH, EXPERT, INDEX, LINK, BEGIN, FILLED, COMPUTE, COMPUTED, SEND, SENT, RELEASE, NEXT] = data.fields.keys();
  const visits = data.visits, name = v => `e${v[EXPERT]}.${v[INDEX]}`;
  const at = tile => [tile % data.cols * PITCH, Math.floor(tile / data.cols) * PITCH];

  // what stands still: tiles with their slots, DDR channels, links
  const width = (data.cols - 1) * PITCH + TILE + 2 * EDGE, height = (data.rows - 1) * PITCH + TILE + 2 * EDGE;
  stage.setAttribute("viewBox", `${-TILE / 2 - EDGE} ${-TILE / 2 - EDGE} ${width} ${height}`);
  stage.style.maxWidth = `${width * 1.15}px`;
  const way = (tile, side) => data.paths[tile].map(at).map(([x, y], i, all) => {  // to the right of the centres
    const [nx, ny] = all[i + 1] || [2 * x - all[i - 1][0], 2 * y - all[i - 1][1]], d = Math.hypot(nx - x, ny - y);
    return [x - (ny - y) / d * side, y + (nx - x) / d * side];
  });
  const along = (points, share) => {
    const lengths = points.slice(1).map(([x, y], i) => Math.hypot(x - points[i][0], y - points[i][1]));
    let left = share * lengths.reduce((a, b) => a + b, 0), i = 0;
    while (i < lengths.length - 1 && left > lengths[i]) left -= lengths[i++];
    const [[x0, y0], [x1, y1]] = [points[i], points[i + 1]], part = Math.min(left / lengths[i], 1);
    return [x0 + (x1 - x0) * part, y0 + (y1 - y0) * part];
  };
  const chips = {}, ways = data.paths.map((_, tile) => way(tile, 14));
  for (const points of ways) draw("polyline", {class: "s-link", "stroke-width": 3, opacity: .45, points: points.map(p => p.join()).join(" ")}, stage);
  for (const tile of data.ddr) {
    const [x, y] = at(tile), up = Math.floor(tile / data.cols) * 2 < data.rows ? -1 : 1, top = y + up * (TILE / 2 + 62);
    chips[tile] = [[x, top], [x, y + up * TILE / 2]];
    draw("line", {class: "s-ddr", "stroke-width": 3, opacity: .45, x1: x, y1: top, x2: x, y2: y}, stage);
    draw("rect", {class: "chip", x: x - 42, y: top - 14, width: 84, height: 28, rx: 5}, stage);
    draw("text", {x, y: top + 5}, stage, "DDR");
  }
  const columns = Math.ceil(Math.sqrt(data.slots * 1.4)), cell = Math.min((TILE - 16) / columns, 44);
  const slots = data.paths.map((_, tile) => {
    const [x, y] = at(tile);
    draw("rect", {class: "tile", x: x - TILE / 2, y: y - TILE / 2, width: TILE, height: TILE, rx: 10}, stage);
    draw("text", {class: "name", x, y: y - TILE / 2 + 19}, stage, `tile ${tile}`);
    return Array.from({length: data.slots}, (_, slot) => {
      const left = x - columns * cell / 2 + slot % columns * cell, top = y - TILE / 2 + 30 + Math.floor(slot / columns) * cell;
      const box = draw("rect", {class: "idle", x: left + 1, y: top + 1, width: cell - 2, height: cell - 2, rx: 4}, stage);
      return {box, label: draw("text", {class: "held", x: left + cell / 2, y: top + cell / 2 + 4, style: `font-size:${Math.min(cell / 3.2, 12)}px`}, stage, "")};
    });
  });
  const doing = data.paths.map((_, tile) => { const [x, y] = at(tile); return draw("text", {class: "small", x, y: y + TILE / 2 - 8}, stage, ""); });
  const dots = draw("g", {}, stage);

  // what happens: cycles in which something changes, and in words
  const happens = new Map(), add = (cycle, text, v) => {
    if (cycle === null) return;
    if (!happens.has(cycle)) happens.set(cycle, []);
    happens.get(cycle).push([text, v]);
  };
  for (const v of visits) {
    add(v[BEGIN], v[LINK] ? `tile ${v[TL]} gives slot ${v[SLOT]} to ${name(v)}` : `tile ${v[TL]} asks DDR for ${name(v)} (rule 1)`, v);
    add(v[FILLED], `${name(v)} is all in tile ${v[TL]}`, v);
    add(v[COMPUTE], `${name(v)} meets its tokens in tile ${v[TL]} (rule 2)`, v);
    add(v[COMPUTED], `tile ${v[TL]} has computed ${name(v)}`, v);
    add(v[SEND], `${name(v)} leaves tile ${v[TL]} (rules 3, 4)`, v);
    add(v[RELEASE], `tile ${v[TL]} frees slot ${v[SLOT]} of ${name(v)} (rule 5)`, v);
  }
  for (const [cycle, tile, text] of data.steps) add(cycle, `tile ${tile}: ${text}`, null);
  const cycles = [...happens.keys()].sort((a, b) => a - b), last = cycles[cycles.length - 1] || 0;
  const expert = $("follow-expert"), index = $("follow-slice"), slider = $("cycle"), says = $("says"), play = $("play");
  for (const number of [...new Set(visits.map(v => v[EXPERT]))].sort((a, b) => a - b)) expert.add(new Option(`expert ${number}`, number));
  for (const number of [...new Set(visits.map(v => v[INDEX]))].sort((a, b) => a - b)) index.add(new Option(`slice ${number}`, number));
  slider.max = last;
  const followed = v => (expert.value === "" || v[EXPERT] == expert.value) && (index.value === "" || v[INDEX] == index.value);

  let now = 0, running = false, before = 0;
  const state = (v, t) => t <= (v[FILLED] ?? Infinity) ? (v[LINK] ? "link" : "ddr")
    : v[COMPUTE] !== null && v[COMPUTE] <= t && t <= (v[COMPUTED] ?? Infinity) ? "mac"
    : v[SEND] !== null && v[SEND] <= t && t <= (v[SENT] ?? Infinity) ? "link"
    : v[COMPUTE] !== null && t < v[COMPUTE] || v[SEND] !== null && t < v[SEND] ? "slot" : "done";
  const show = () => {
    const t = Math.floor(now);
    for (const tile of slots) for (const {box, label} of tile) box.setAttribute("class", "idle"), box.removeAttribute("opacity"), label.textContent = "";
    dots.replaceChildren();
    const phases = doing.map(() => []);
    for (const [tile, phase, begin, end] of data.phases) if (begin <= t && t < end) phases[tile].push(phase);
    doing.forEach((label, tile) => label.textContent = phases[tile].join(", "));
    for (const v of visits) {
      if (v[BEGIN] > t) break;  // they are in the order in which they begin
      const opacity = followed(v) ? 1 : .15, dot = (kind, points, from, to) => {
        const [cx, cy] = along(points, Math.min(Math.max((now - from) / (to - from || 1), 0), 1));
        draw("circle", {class: `f-${kind} moving`, cx, cy, r: 7, opacity}, dots);
      };
      if (v[SEND] !== null && v[NEXT] !== null && v[SEND] <= t && t <= v[NEXT]) dot("link", ways[v[TL]], v[SEND], v[NEXT]);
      if (v[RELEASE] !== null && v[RELEASE] <= t) continue;
      if (!v[LINK] && t <= (v[FILLED] ?? Infinity) && chips[v[TL]]) dot("ddr", chips[v[TL]], v[BEGIN], v[FILLED] ?? last);
      const {box, label} = slots[v[TL]][v[SLOT]];
      box.setAttribute("class", `f-${state(v, t)}`);
      box.setAttribute("opacity", opacity);
      label.textContent = name(v);
    }
    slider.value = t;
    const here = (happens.get(t) || []).filter(([, v]) => !v || followed(v)).map(([text]) => text);
    says.textContent = `Cycle ${t.toLocaleString("en")} of ${data.cycles.toLocaleString("en")}${here.length ? ": " : ""}${here.slice(0, 4).join("; ")}${here.length > 4 ? `; and ${here.length - 4} more` : ""}`;
  };
  const go = cycle => { now = Math.min(Math.max(cycle, 0), last); show(); };
  const step = way => {
    const wanted = cycles.filter(c => happens.get(c).some(([, v]) => !v || followed(v)));
    const found = way > 0 ? wanted.find(c => c > Math.floor(now)) : wanted.findLast(c => c < Math.floor(now));
    if (found !== undefined) go(found);
    return found !== undefined;
  };
  const stop = () => { running = false; play.textContent = "Play"; play.setAttribute("aria-pressed", "false"); };
  const frame = time => {
    if (!running) return;
    const passed = time - before, speed = $("speed").value;
    if (still) {  // no motion: a picture for each change
      if (passed * speed > 500) before = time, step(1) || stop();
    } else {
      before = time;
      go(now + Math.min(passed, 100) * speed * last / 60000);
      if (now >= last) stop();
    }
    requestAnimationFrame(frame);
  };
  const toggle = () => {
    if (running) return stop();
    running = true;
    if (now >= last) go(0);
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    before = performance.now();
    requestAnimationFrame(frame);
  };
  play.onclick = toggle;
  $("forward").onclick = () => { stop(); step(1); };
  $("back").onclick = () => { stop(); step(-1); };
  slider.oninput = () => { stop(); go(+slider.value); };
  expert.onchange = index.onchange = show;
  const keys = {" ": toggle, ArrowRight: () => step(1), ArrowLeft: () => step(-1), Home: () => go(0), End: () => go(last)};
  $("player").addEventListener("keydown", event => {
    if (event.target.tagName === "SELECT" || !keys[event.key] || (event.key === " " && event.target.tagName === "BUTTON")) return;
    if (event.key !== " ") stop();
    keys[event.key]();
    event.preventDefault();
  });
  $("player").hidden = false;
  show();
})();
