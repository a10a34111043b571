// The source panel: opens the resource behind a statement and marks the place the fact was read from.
// Everything a source wrote reaches the DOM through textContent only.
"use strict";
(() => {
  const patient = document.getElementById("main").dataset.patient;
  const panel = document.getElementById("panel");
  const title = document.getElementById("panel-title");
  const tabs = document.getElementById("panel-tabs");
  const facts = document.getElementById("panel-facts");
  const state = document.getElementById("panel-state");
  const pre = document.getElementById("panel-json");
  const cache = new Map();
  let opener = null;
  let shown = 0;

  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  // "component[0].valueQuantity" -> ["component", 0, "valueQuantity"]; a leading resource type is dropped.
  const steps = (path, type) => {
    const found = [];
    for (const part of (path || "").split(".")) {
      const match = /^([A-Za-z_][A-Za-z0-9_]*)((?:\[\d+\])*)$/.exec(part);
      if (!match) return [];
      found.push(match[1]);
      for (const index of match[2].matchAll(/\[(\d+)\]/g)) found.push(Number(index[1]));
    }
    return found[0] === type ? found.slice(1) : found;
  };

  const indent = (depth) => "  ".repeat(depth);

  // Writes a JSON value into `parent`, wrapping the value at `path` in <mark>.
  const write = (parent, value, path, depth, onPath) => {
    const here = onPath && path.length === 0 && depth > 0;
    const target = here ? parent.appendChild(element("mark")) : parent;
    const add = (text, className) => target.append(className ? element("span", text, className) : text);
    if (value === null || typeof value !== "object") {
      add(JSON.stringify(value), typeof value === "string" ? "j-string" : "j-atom");
      return;
    }
    const array = Array.isArray(value);
    const names = Object.keys(value);
    if (!names.length) { add(array ? "[]" : "{}"); return; }
    add(array ? "[\n" : "{\n");
    names.forEach((name, i) => {
      add(indent(depth + 1));
      if (!array) { add(JSON.stringify(name), "j-name"); add(": "); }
      const next = onPath && !here && path.length > 0 && String(path[0]) === name;
      write(target, value[name], next ? path.slice(1) : [], depth + 1, next);
      add(i + 1 < names.length ? ",\n" : "\n");
    });
    add(indent(depth) + (array ? "]" : "}"));
  };

  const fetchRaw = async (source) => {
    const [type, id] = source.reference.split("/");
    const parts = [patient, source.site, type, id].map(encodeURIComponent);
    const url = `/v1/patients/${parts[0]}/raw/${parts[1]}/${parts[2]}/${parts[3]}`;
    if (!cache.has(url)) {
      const answer = await fetch(url, { headers: { Accept: "application/fhir+json" }, credentials: "same-origin" });
      if (answer.status === 401) { window.location.assign("/login"); throw new Error("signed out"); }
      if (!answer.ok) throw new Error(answer.status === 404 ? "The source resource is no longer kept." : `The source could not be opened (${answer.status}).`);
      cache.set(url, await answer.json());
    }
    return cache.get(url);
  };

  const show = async (sources, index) => {
    const source = sources[index];
    const ticket = ++shown;
    [...tabs.children].forEach((tab, i) => tab.setAttribute("aria-selected", String(i === index)));
    facts.replaceChildren();
    const rows = [["Site", source.site], ["Resource", source.reference], ["Version", source.version], ["Read from", source.path || "whole resource"],
      ["Obtained", (source.method || "").replace(/_/g, " ")], ["Retrieved", source.retrieved]];
    for (const [name, text] of rows) if (text) facts.append(element("dt", name), element("dd", text));
    pre.replaceChildren();
    state.textContent = "Opening the source …";
    try {
      const resource = await fetchRaw(source);
      if (ticket !== shown) return;
      state.textContent = "";
      write(pre, resource, steps(source.path, resource.resourceType), 0, true);
      const mark = pre.querySelector("mark");
      if (mark) mark.scrollIntoView({ block: "center" });
    } catch (error) {
      if (ticket === shown) state.textContent = error.message;
    }
  };

  const open = (button) => {
    const sources = JSON.parse(button.dataset.sources || "[]");
    opener = button;
    title.textContent = button.dataset.title || "Source";
    tabs.replaceChildren();
    facts.replaceChildren();
    pre.replaceChildren();
    sources.forEach((source, i) => {
      const tab = element("button", `${source.key ? source.key + " · " : ""}${source.site} · ${source.reference.split("/")[0]}`);
      tab.type = "button";
      tab.setAttribute("role", "tab");
      tab.addEventListener("click", () => show(sources, i));
      tabs.append(tab);
    });
    tabs.hidden = sources.length < 2;
    if (!panel.open) panel.showModal();
    if (sources.length) show(sources, 0);
    else state.textContent = "This sentence rests on what was asked and answered (see Coverage), not on one resource.";
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.source");
    if (button) { open(button); return; }
    const all = event.target.closest("button.show-all");
    if (all) { document.getElementById(all.getAttribute("aria-controls")).classList.add("all"); all.remove(); }
  });
  document.getElementById("panel-close").addEventListener("click", () => panel.close());
  panel.addEventListener("click", (event) => { if (event.target === panel) panel.close(); });
  panel.addEventListener("close", () => { if (opener) opener.focus(); });
  tabs.addEventListener("keydown", (event) => {
    const list = [...tabs.children];
    const at = list.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 }[event.key];
    if (at >= 0 && list[to]) { list[to].focus(); list[to].click(); }
  });
})();
