"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  for (const part of all("[data-needs-script]")) part.hidden = false;

  // The slider walks along the rows of the table of thresholds; every figure it shows stands there too.
  const slider = one("#try");
  if (slider) {
    const rows = all("table.grid tbody tr");
    const show = () => {
      rows.forEach((row, i) => row.classList.toggle("tried", i === Number(slider.value)));
      const row = rows[Number(slider.value)];
      for (const output of all("[data-figure]")) output.textContent = row.dataset[output.dataset.figure] || "not measured";
      slider.setAttribute("aria-valuetext", row.dataset.threshold);
    };
    slider.addEventListener("input", show);
    show();
  }

  // Decisions on criteria, written the way 'mqlml train' reads them.
  const panel = one("#review-panel");
  if (!panel) return;
  const marks = all("fieldset[data-criterion]");
  const reviewer = one("#reviewer");
  const text = (value) => {
    // Halves of surrogate pairs are no characters, and TOML wants DEL escaped; the rest of JSON's strings is TOML's.
    const whole = value.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, "\uFFFD");
    return JSON.stringify(whole).replace(/\u007f/g, "\\u007f");
  };
  const read = (mark) => {
    const value = (name) => one(`[name="${name}"]`, mark).value.trim();
    const label = value("label"), note = value("note");
    return { name: JSON.parse(mark.dataset.criterion), decision: value("decision") || (label || note ? "none" : ""), cap: value("cap"), label, note };
  };
  const problem = (found) => {
    if (!reviewer.value.trim()) return "Write your name first: a decision needs somebody who made it.";
    if (!found.length) return "Nothing is decided yet.";
    const bare = found.find((m) => m.decision === "cap" && (m.cap === "" || !(Number(m.cap) >= 0)));
    return bare ? `Say from which number on '${bare.name}' counts no more.` : "";
  };
  const write = (found) => {
    const lines = ["# What marketing and sales decided on the criteria; 'mqlml train' obeys it. Keep it in git."];
    lines.push(`model_version = ${text(panel.dataset.model)}`);
    const today = new Date().toLocaleDateString("sv-SE");
    for (const mark of found) {
      lines.push("", "[[criterion]]", `name = ${text(mark.name)}`, `decision = ${text(mark.decision)}`);
      if (mark.decision === "cap") lines.push(`cap = ${Number(mark.cap)}`);
      if (mark.label) lines.push(`label = ${text(mark.label)}`);
      if (mark.note) lines.push(`note = ${text(mark.note)}`);
      lines.push(`by = ${text(reviewer.value.trim())}`, `on = ${text(today)}`);
    }
    return lines.join("\n") + "\n";
  };
  const refresh = () => {
    const found = marks.map(read).filter((mark) => mark.decision);
    for (const mark of marks) one(".cap", mark).hidden = one('[name="decision"]', mark).value !== "cap";
    const wanted = marks.filter((mark) => "wanted" in mark.dataset);
    const done = wanted.filter((mark) => found.some((m) => m.name === JSON.parse(mark.dataset.criterion) && m.decision !== "none"));
    one("#decided").textContent = `${done.length} of ${wanted.length} criteria that need a decision have one.`;
    const wrong = problem(found);
    one("#review-problem").textContent = wrong;
    one("#download").disabled = Boolean(wrong);
    one("#toml").textContent = wrong ? "" : write(found);
    one("#toml").hidden = Boolean(wrong);
  };
  for (const event of ["input", "change"]) document.addEventListener(event, refresh);
  one("#download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([one("#toml").textContent], { type: "application/toml" }));
    link.download = "criteria.toml";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  for (const button of all("[data-approve-rest]")) {
    button.addEventListener("click", () => {
      for (const mark of marks) {
        const decision = one('[name="decision"]', mark);
        if ("wanted" in mark.dataset && !decision.value) decision.value = "approve";
      }
      refresh();
    });
  }
  refresh();
})();
