"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector, within = document) => within.querySelector(selector);
  const make = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    if (text !== undefined && text !== null) made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const read = id => JSON.parse(document.getElementById(id).textContent);
  const kept = new Map();
  const once = id => { if (!kept.has(id)) kept.set(id, read(id)); return kept.get(id); };
  all("[hidden].script, form.filter").forEach(element => { element.hidden = false; });

  // Sorting: within each setting; what has no number is last in either direction; a third press gives the first order.
  const sortable = table => {
    const bodies = all("tbody", table).map(body => [body, all("tr:not(.group)", body)]);
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      const link = one("a", head), button = make("button", head.textContent, {type: "button"});
      head.textContent = "";
      if (link) { button.textContent = ""; button.setAttribute("aria-label", `Sort by ${link.textContent}`); head.append(link, " "); }
      head.append(button);
      const word = head.classList.contains("word");
      const low = word || (head.dataset.better || table.dataset.better) === "low";
      const first = low ? "ascending" : "descending", second = low ? "descending" : "ascending";
      button.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort"), next = now === first ? second : now === second ? null : first;
        heads.forEach(other => other.removeAttribute("aria-sort"));
        if (next) head.setAttribute("aria-sort", next);
        const key = row => word ? row.cells[column].textContent : row.cells[column].dataset.v;
        const sign = next === "ascending" ? 1 : -1;
        for (const [body, rows] of bodies) {
          const keyed = rows.map(row => [key(row), row]);
          if (next) keyed.sort(([a], [b]) => a === b ? 0 : a === "" ? 1 : b === "" ? -1 :
            sign * (word ? (a < b ? -1 : 1) : Number(a) - Number(b)));
          body.append(...keyed.map(([, row]) => row));
        }
      });
    });
  };
  all("table.sorted").forEach(sortable);

  // Filtering: family and setting as they are, a name by any part of it.
  all("form.filter").forEach(form => {
    const table = one("table", form.parentElement), rows = all("tbody tr:not(.group)", table);
    const apply = () => {
      const {name, family, setting} = form.elements, part = name.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        const of = row.dataset.setting ?? row.parentElement.dataset.setting;
        row.hidden = !(row.dataset.name.toLowerCase().includes(part) && (!family.value || row.dataset.family === family.value)
          && (!setting.value || of === setting.value));
        shown += !row.hidden;
      }
      all("tbody", table).forEach(body => { body.hidden = !all("tr:not(.group)", body).some(row => !row.hidden); });
      one("output", form).textContent = `${shown} of ${rows.length} rows`;
    };
    form.addEventListener("input", apply);
    form.addEventListener("reset", () => setTimeout(apply));
    form.addEventListener("submit", event => event.preventDefault());
    apply();
  });

  const opens = one("table.opens");
  if (!opens) return;

  // One value is on the way of the Tab key, arrows lead from it to the others (the grid pattern of WAI-ARIA).
  opens.setAttribute("role", "grid");
  for (const cell of all("td[data-pair]", opens)) {
    if (cell.textContent === "–") continue;
    cell.tabIndex = -1;
    cell.setAttribute("aria-haspopup", "dialog");
  }
  const VALUE = "td[tabindex]";
  const first = one(VALUE, opens);
  if (first) first.tabIndex = 0;
  const step = (cell, [down, right]) => {
    const rows = all("tbody tr:not(.group)", opens).filter(row => !row.hidden && !row.parentElement.hidden);
    let i = rows.indexOf(cell.parentElement), j = cell.cellIndex;
    for (i += down, j += right; rows[i] && rows[i].cells[j]; i += down, j += right)
      if (rows[i].cells[j].matches(VALUE)) return rows[i].cells[j];
    return null;
  };
  const steps = {ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1]};
  const goTo = cell => {
    const before = one("td[tabindex='0']", opens);
    if (before) before.tabIndex = -1;
    cell.tabIndex = 0;
    cell.focus();
  };
  opens.addEventListener("keydown", event => {
    const cell = event.target.closest(VALUE);
    if (!cell) return;
    if (steps[event.key]) {
      event.preventDefault();
      const next = step(cell, steps[event.key]);
      if (next) goTo(next);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      open(cell);
    }
  });

  // The records of a value.
  const dialog = one("dialog"), within = one(".within", dialog), title = one("#opened");
  const record = values => {
    const {fields, things} = once("shared");
    const r = Object.fromEntries(fields.map((name, i) => [name, values[i]]));
    for (const name of ["who", "parameters", "versions", "suite", "data", "code", "device"]) r[name] = things[r[name]];
    if (r.confusion) r.confusion = [things[r.confusion[0]], r.confusion[1]];
    return r;
  };
  const shown = value => value === null || value === undefined || value === "" ? "–"
    : typeof value === "number" ? (Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6))))
    : typeof value === "object" ? JSON.stringify(value) : String(value);
  const list = (name, entries) => {
    const part = make("section"), dl = make("dl");
    part.append(make("h3", name), dl);
    for (const [key, value] of entries) dl.append(make("dt", key), make("dd", shown(value)));
    return entries.length ? part : "";
  };
  const grid = (name, heads, rows) => {
    const box = make("div", null, {class: "box", role: "region", tabindex: "0", "aria-label": name});
    const table = make("table"), head = make("tr"), body = make("tbody");
    head.append(...heads.map(text => make("th", text, {scope: "col"})));
    for (const row of rows) {
      const line = make("tr");
      line.append(...row.map((text, i) => i ? make("td", text) : make("th", text, {scope: "row"})));
      body.append(line);
    }
    const top = make("thead");
    top.append(head);
    table.append(top, body);
    box.append(table);
    return box;
  };
  const SVG = "http://www.w3.org/2000/svg";
  const draw = (tag, attributes, text) => {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const chart = (name, x, y) => {
    const points = x.map((step, i) => [step, y[i]]).filter(([, v]) => v !== null);
    if (!points.length) return "";
    const [width, height, left, bottom] = [230, 120, 46, 16];
    const ends = values => [Math.min(...values), Math.max(...values)];
    const [a, b] = ends(x), [c, d] = ends(points.map(([, v]) => v));
    const at = ([s, v]) => [left + (width - left - 12) * (s - a) / (b - a || 1), height - bottom - (height - bottom - 10) * (d > c ? (v - c) / (d - c) : .5)];
    const figure = make("figure"), svg = draw("svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `${name}: ${shown(y[0])} at step ${shown(x[0])}, ${shown(y.at(-1))} at step ${shown(x.at(-1))}`});
    svg.append(
      draw("line", {class: "axis", x1: left, y1: 5, x2: left, y2: height - bottom}),
      draw("line", {class: "axis", x1: left, y1: height - bottom, x2: width - 6, y2: height - bottom}),
      draw("polyline", {points: points.map(p => at(p).map(v => v.toFixed(1)).join(",")).join(" ")}),
      draw("text", {x: left - 4, y: 14, "text-anchor": "end"}, Number(d.toPrecision(3))),
      draw("text", {x: left - 4, y: height - bottom, "text-anchor": "end"}, Number(c.toPrecision(3))),
      draw("text", {x: left, y: height - 3}, shown(a)),
      draw("text", {x: width - 6, y: height - 3, "text-anchor": "end"}, shown(b)));
    figure.append(make("figcaption", name.replaceAll("_", " ")), svg);
    return figure;
  };
  const confusion = ([classes, counts]) => {
    const by = new Map(counts.map(([t, p, n]) => [`${t} ${p}`, n]));
    const rows = classes.map((name, t) => [name, ...classes.map((_, p) => by.get(`${t} ${p}`) ?? "·")]);
    return grid("Confusion: rows are the true classes, columns the predicted ones", ["true ↓ predicted →", ...classes], rows);
  };
  const seed = r => r.seed === null ? "all (none is drawn)" : String(r.seed);
  const detailed = r => {
    const {step = [], ...terms} = r.curves ?? {};
    const parts = [];
    if (r.reason) parts.push(make("p", `${r.status}: ${r.reason}`));
    parts.push(list("Parameters", Object.entries(r.parameters)), list("Validators", Object.entries(r.validators)), list("Certificate", Object.entries(r.certificate ?? {})));
    if (step.length) {
      const charts = make("div", null, {class: "charts"});
      charts.append(...Object.entries(terms).map(([name, y]) => chart(name, step, y)));
      parts.push(make("h3", "Curves over training steps"), charts);
    }
    if (r.confusion) parts.push(make("h3", "Confusion: rows true, columns predicted"), confusion(r.confusion));
    parts.push(list("Cost", ["fit_s", "fit_cpu_s", "shared_s", "predict_s", "peak_rss_mb", "peak_cuda_mb"].map(k => [k, r[k]])));
    parts.push(list("Made by", [["cell", r.cell], ["digest", r.digest], ["predictions sha256", r.predictions_sha256],
      ["code", r.code], ["device", r.device], ...Object.entries(r.versions ?? {})]));
    return parts;
  };
  const show = (row, pair) => {
    const of = once(`row${row}`), records = (of.pairs[pair] ?? []).map(i => record(of.records[i]));
    title.textContent = `${of.label} on ${pair.replace(":", "→")}`;
    const names = [...new Set(records.flatMap(r => Object.keys(r.metrics)))], tried = records.some(r => r.trial);
    const heads = ["seed", ...(tried ? ["trial"] : []), "status", ...names, "fit (s)", "tested"];
    const lines = records.map(r => [seed(r), ...(tried ? [String(r.trial)] : []), r.status, ...names.map(n => shown(r.metrics[n])),
      shown(r.fit_s), shown(r.n_test)]);
    const parts = [make("p", `${of.family} · ${of.setting} · ${of.learner} · ${of.method}`), grid("Records by seed", heads, lines)];
    parts.push(make("h3", "Run it again"), make("pre", of.commands[pair]));
    records.forEach((r, i) => {
      const details = make("details");
      details.append(make("summary", `Record of seed ${seed(r)}${tried ? `, trial ${r.trial}` : ""}`));
      const fill = () => { if (details.open && details.childElementCount === 1) details.append(...detailed(r)); };
      details.addEventListener("toggle", fill);
      if (!i) { details.open = true; fill(); }
      parts.push(details);
    });
    within.replaceChildren(...parts);
    dialog.showModal();
    dialog.scrollTop = 0;
    title.focus();
  };
  let opener = null;
  const open = cell => {
    opener = cell;
    goTo(cell);
    show(cell.parentElement.dataset.row, cell.dataset.pair);
  };
  opens.addEventListener("click", event => {
    const cell = event.target.closest(VALUE);
    if (cell) open(cell);
  });
  dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => { within.replaceChildren(); if (opener) opener.focus(); });

  // All records as CSV, each cell once; a text that a spreadsheet would run as a formula is quoted.
  const csv = () => {
    const run = once("shared").run, found = new Map();
    const ids = all("script[type='application/json']").map(s => s.id).filter(id => id !== "shared");
    for (const id of ids) for (const values of read(id).records) {
      const r = record(values);
      const flat = {run, label: r.who.label, stale: r.who.stale, ...r, ...r.who};
      for (const name of ["who", "curves", "versions", "suite", "data", "confusion", "digest"]) delete flat[name];
      for (const [name, prefix] of [["metrics", ""], ["parameters", "parameters."], ["validators", "validators."], ["certificate", "certificate."]]) {
        delete flat[name];
        for (const [key, value] of Object.entries(r[name] ?? {})) flat[prefix + key] = value;
      }
      found.set(r.cell, flat);
    }
    const rows = [...found.values()].sort((a, b) => a.cell < b.cell ? -1 : 1);
    const heads = [...new Set(rows.flatMap(row => Object.keys(row)))];
    const safe = text => /^\s*[=+\-@＝＋－＠]/.test(text) ? `'${text}` : text;
    const entry = value => {
      const text = value === null || value === undefined ? "" : typeof value === "number" ? String(value)
        : typeof value === "object" ? safe(JSON.stringify(value)) : safe(String(value));
      return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    return [heads, ...rows.map(row => heads.map(head => row[head]))].map(line => line.map(entry).join(",")).join("\n") + "\n";
  };
  one("#csv").addEventListener("click", () => {
    const link = make("a", null, {download: "records.csv", href: URL.createObjectURL(new Blob([csv()], {type: "text/csv"}))});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
})();
