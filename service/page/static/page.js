// The source panel: opens the resources behind a statement beside the page. Without this script the same links lead to
// a page that shows the same. Everything a source wrote reaches the DOM through textContent only.
"use strict";
(() => {
  // A link to sign in with, opened by somebody who is signed in: its key leaves the address (login.js).
  if (window.location.hash.startsWith("#key=")) {
    window.history.replaceState(null, "", window.location.pathname + window.location.search);
  }
  const panel = document.getElementById("panel");
  const title = document.getElementById("panel-title");
  const tabs = document.getElementById("panel-tabs");
  const state = document.getElementById("panel-state");
  const body = document.getElementById("panel-body");
  let opener = null;
  let asked = 0;

  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  const show = (sources, index) => {
    const source = sources[index];
    tabs.querySelectorAll("button").forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === index));
      tab.tabIndex = i === index ? 0 : -1;
    });
    title.textContent = source.title;
    state.textContent = source.state;
    const facts = element("dl", undefined, "origin-facts");
    for (const [name, text] of source.facts) facts.append(element("dt", name), element("dd", text));
    const pre = element("pre", undefined, "resource");
    pre.tabIndex = 0;
    pre.setAttribute("aria-label", "Resource as received");
    for (const run of source.runs) {
      const kind = run.kind ? `j-${run.kind}` : "";
      pre.append(run.marked ? element("mark", run.text, kind) : kind ? element("span", run.text, kind) : run.text);
    }
    body.replaceChildren(facts, ...(source.runs.length ? [pre] : []));
    const mark = pre.querySelector("mark");
    if (mark) pre.scrollTop = Math.max(mark.offsetTop - pre.offsetTop - pre.clientHeight / 3, 0);
  };

  const open = async (link) => {
    const ticket = ++asked;
    opener = link;
    title.textContent = "Source";
    state.textContent = "Opening the source …";
    tabs.replaceChildren();
    tabs.hidden = true;
    body.replaceChildren();
    if (!panel.open) panel.showModal();
    try {
      const answer = await fetch(link.href, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (answer.status === 401) { window.location.reload(); return; }
      if (!answer.ok) throw new Error(`The source could not be opened (${answer.status}).`);
      const { sources, more } = await answer.json();
      if (ticket !== asked) return;
      sources.forEach((source, i) => {
        const tab = element("button", `${source.site} · ${source.reference}`);
        tab.type = "button";
        tab.setAttribute("role", "tab");
        tab.addEventListener("click", () => show(sources, i));
        tabs.append(tab);
      });
      if (more) tabs.append(element("span", `and ${more} more; the chart (API) lists them all`, "more"));
      tabs.hidden = sources.length < 2;
      show(sources, 0);
    } catch (error) {
      if (ticket === asked) state.textContent = error instanceof TypeError ? "The service does not answer." : error.message;
    }
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.source");
    if (link && event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)) {
      event.preventDefault();
      open(link);
      return;
    }
    const all = event.target.closest("button.show-all");
    if (all) { document.getElementById(all.getAttribute("aria-controls")).classList.add("all"); all.remove(); }
  });
  document.querySelectorAll("a.source").forEach((link) => link.setAttribute("aria-haspopup", "dialog"));
  document.querySelectorAll("button.show-all").forEach((button) => {
    button.hidden = false;
    document.getElementById(button.getAttribute("aria-controls")).classList.add("folded");
  });
  document.querySelectorAll("form.slow").forEach((form) => form.addEventListener("submit", () => {
    const button = form.querySelector("button");
    button.disabled = true;
    button.textContent = button.dataset.busy;
  }));
  document.getElementById("panel-close").addEventListener("click", () => panel.close());
  panel.addEventListener("click", (event) => { if (event.target === panel) panel.close(); });
  panel.addEventListener("close", () => { asked += 1; if (opener) opener.focus(); });
  tabs.addEventListener("keydown", (event) => {
    const list = [...tabs.querySelectorAll("button")];
    const at = list.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 }[event.key];
    if (at >= 0 && list[to]) { list[to].focus(); list[to].click(); }
  });
})();
