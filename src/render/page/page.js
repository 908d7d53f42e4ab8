// Everything on the page works without this. It adds a filter, copy buttons and live updates.
(() => {
  "use strict";
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const root = document.body.dataset.root;
  const held = "hold" in document.body.dataset;

  // -------------------------------------------------------------------------------- telling

  // One polite region for screen readers, one line for eyes.
  const said = make("p", { class: "hidden", role: "status", "aria-live": "polite", id: "said" });
  const line = make("p", { class: "live", id: "live" });
  const tools = make("div", { class: "tools" });
  document.body.append(said);
  const say = (text) => { said.textContent = text; };

  // ---------------------------------------------------------------------------------- copying

  async function copy(text, button) {
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Plain HTTP under a name has no clipboard; the old way still works there.
      const area = make("textarea", { class: "hidden", "aria-hidden": "true", tabindex: "-1" });
      area.value = text;
      document.body.append(area);
      area.select();
      done = document.execCommand("copy");
      area.remove();
      button.focus();
    }
    const label = button.textContent;
    button.textContent = done ? "Copied" : "Select and copy by hand";
    button.classList.toggle("done", done);
    say(button.textContent);
    setTimeout(() => { button.textContent = label; button.classList.remove("done"); }, 1600);
  }

  // A list as a ticket wants it: numbered steps, commands on lines of their own.
  function steps(list) {
    return [...list.children].map((item, at) => {
      const clone = item.cloneNode(true);
      $$("button", clone).forEach((button) => button.remove());
      const commands = $$("pre", clone).map((pre) => { pre.remove(); return pre.textContent; });
      const sentence = clone.textContent.replace(/\s+/g, " ").trim();
      return [`${at + 1}. ${sentence}`, ...commands].join("\n");
    }).join("\n");
  }

  function button(label, name, text) {
    const element = make("button", { type: "button", class: "copy", "aria-label": `${label}: ${name}` }, label);
    element.addEventListener("click", () => copy(text(), element));
    return element;
  }

  function addButtons(main) {
    for (const pre of $$("pre[data-copy]", main)) {
      const frame = make("div", { class: "copies" });
      pre.replaceWith(frame);
      const code = $("code", pre);
      frame.append(pre, button("Copy", pre.dataset.copy, () => code.textContent));
    }
    for (const heading of $$("[data-copies]", main)) {
      const list = $(`[id="${heading.dataset.copies}"]`, main);
      const title = $("h3", heading.closest("article"))?.textContent ?? "";
      const row = make("div", { class: "with-copy" });
      heading.replaceWith(row);
      row.append(heading, button("Copy all", `what to ask for, ${title}`, () => `${title}\n\n${steps(list)}`));
    }
  }

  // -------------------------------------------------------------------------------- filtering

  const box = make("input", { type: "search", id: "filter", placeholder: "Filter: host, status, cause, scenario", autocomplete: "off", spellcheck: "false", "aria-describedby": "matches" });
  const matches = make("span", { class: "matches", id: "matches", role: "status" });

  function filter() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (element) => words.every((word) => (` ${element.dataset.find}`).includes(word));
    const main = $("#main");
    document.body.classList.toggle("filtering", words.length > 0);
    for (const element of $$("[data-find]", main)) element.hidden = words.length > 0 && !fits(element);
    const rows = $$(".checks > tbody", main);
    const shown = rows.filter((row) => !row.hidden).length;
    for (const group of $$(".group", main)) {
      const some = $$("tbody", group).some((row) => !row.hidden);
      group.hidden = words.length > 0 && !some;
      if (words.length > 0 && some && !group.open) { group.open = true; group.dataset.opened = ""; }
      if (words.length === 0 && "opened" in group.dataset) { group.open = false; delete group.dataset.opened; }
    }
    const findings = $$(".finding", main).filter((finding) => !finding.hidden).length;
    const nothing = $("#nothing", main);
    if (nothing) nothing.hidden = shown + findings > 0 || words.length === 0;
    matches.textContent = words.length > 0 ? `${shown} of ${rows.length} checks` : "";
    const address = new URL(location.href);
    if (words.length > 0) address.searchParams.set("filter", box.value); else address.searchParams.delete("filter");
    // `?hold=` and `?hold` mean the same to the server.
    if (address.href !== location.href) history.replaceState(null, "", address);
  }

  function addFilter() {
    if (!$(".checks")) return;
    const label = make("label", { for: "filter", class: "hidden" }, "Filter checks and findings by host, status, cause or scenario");
    const key = make("kbd", { "aria-hidden": "true" }, "/");
    tools.append(make("div", { class: "filter", role: "search" }, label, box, key, matches));
    box.value = new URL(location.href).searchParams.get("filter") ?? "";
    box.addEventListener("input", filter);
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        box.focus();
        box.select();
      } else if (event.key === "Escape" && event.target === box) {
        if (box.value) { box.value = ""; filter(); } else box.blur();
      }
    });
    if (box.value) filter();
  }

  // ------------------------------------------------------------------------- keeping the place

  // What has focus, so that the same thing has it in the new content.
  function focused(main) {
    const active = document.activeElement;
    if (!main.contains(active)) return null;
    if (active.id) return () => document.getElementById(active.id);
    const home = active.closest("[id]");
    const kind = active.localName;
    const at = $$(kind, home).indexOf(active);
    return () => $$(kind, document.getElementById(home.id) ?? main)[at];
  }

  function swap(next) {
    const main = $("#main");
    const fresh = $("#main", next);
    if (!fresh) return false;
    const find = focused(main);
    const open = new Map($$("details[id]", main).map((d) => [d.id, d.open && !("opened" in d.dataset)]));
    // The first thing in view stays where it is, whatever grows above it.
    const anchor = $$("[id]", main).find((element) => element.getBoundingClientRect().bottom > 0 && element.offsetParent);
    const before = anchor?.getBoundingClientRect().top ?? 0;
    const was = $("#verdict", main)?.textContent;
    const adopted = document.adoptNode(fresh);
    for (const details of $$("details[id]", adopted)) if (open.has(details.id)) details.open = open.get(details.id);
    addButtons(adopted);
    main.replaceWith(adopted);
    const facts = $(".vantage", next);
    if (facts) $(".vantage")?.replaceWith(document.adoptNode(facts));
    document.title = next.title;
    const icon = $("link[rel=icon]", next);
    if (icon) $("link[rel=icon]").href = icon.href;
    if ($(".checks")) filter();
    find?.()?.focus({ preventScroll: true });
    const moved = anchor && document.getElementById(anchor.id);
    if (moved && scrollY > 0) scrollBy({ top: moved.getBoundingClientRect().top - before, behavior: "instant" });
    const is = $("#verdict")?.textContent;
    if (is !== was) say(is);
    return true;
  }

  // ------------------------------------------------------------------------------ live updates

  // What did not change is fetched less often.
  const CALM = 10_000;
  const state = { known: 0, fetched: Date.now(), busy: false, wanted: false, timer: 0, connected: null, gone: false };

  const selecting = () => {
    const selection = getSelection();
    return selection && !selection.isCollapsed && $("#main").contains(selection.anchorNode);
  };

  async function refresh() {
    if (state.busy || document.hidden || selecting()) { state.wanted = true; return; }
    state.busy = true;
    state.wanted = false;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (answer.ok) {
        swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
        state.known = Number($("#main").dataset.events);
        state.gone = false;
      } else if (answer.status === 404) {
        state.gone = true;
      }
    } catch {
      // The stream tells that the connection is lost.
    } finally {
      state.fetched = Date.now();
      state.busy = false;
      tick();
    }
  }

  // At once when something changed, else when the page is old enough.
  function news(event) {
    const { taken_at: taken, last_event: last, complete } = JSON.parse(event.data);
    if (taken === $("#main").dataset.taken) return;
    clearTimeout(state.timer);
    const wait = last !== state.known || !complete ? 0 : Math.max(0, CALM - (Date.now() - state.fetched));
    state.timer = setTimeout(refresh, wait);
  }

  function connected(is) {
    if (state.connected === is) return;
    if (state.connected !== null) say(is ? "Connected again." : "Connection lost; the page shows old data.");
    state.connected = is;
    tick();
  }

  // The server says how old it was when it came, this machine's clock counts on: clocks may differ.
  let arrived = Date.now();
  function tick() {
    const main = $("#main");
    if (tick.shown !== main) { tick.shown = main; arrived = Date.now(); }
    const seconds = Number(main.dataset.age) + Math.round((Date.now() - arrived) / 1000);
    const age = seconds < 120 ? `${seconds} s` : seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
    line.className = `live ${state.gone || state.connected === false ? "lost" : "on"}`;
    line.textContent = state.gone ? "This check is gone from the plan"
      : state.connected === false ? `Connection lost · data is ${age} old`
      : state.connected === null ? "Connecting…"
      : `Live · data is ${age} old`;
  }

  function follow() {
    if (held) { line.textContent = "Held still"; line.className = "live"; return; }
    let source;
    let retry = 0;
    let again = 0;
    const connect = () => {
      source?.close();
      source = new EventSource(`${root}api/v1/events`);
      source.addEventListener("open", () => { retry = 0; connected(true); });
      source.addEventListener("snapshot", news);
      source.addEventListener("error", () => {
        connected(false);
        // The browser tries again by itself unless the server refused.
        if (source.readyState === EventSource.CLOSED) {
          retry = Math.min(retry + 1, 6);
          again = setTimeout(connect, 1000 * 2 ** retry);
        }
      });
    };
    state.known = Number($("#main").dataset.events);
    connect();
    setInterval(tick, 1000);
    document.addEventListener("selectionchange", () => { if (state.wanted) refresh(); });
    // A page nobody sees gives its stream back: browsers allow few connections to one server, and so
    // does the server. The first event of a new stream tells whether something was missed.
    const rest = () => {
      source.close();
      clearTimeout(again);
      state.connected = null;
    };
    document.addEventListener("visibilitychange", () => {
      rest();
      if (!document.hidden) { tick(); connect(); }
    });
    addEventListener("pagehide", rest);
    addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
  }

  // A link to something folded unfolds it; printing unfolds findings.
  function reveal() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let place = target; place; place = place.parentElement) if (place.localName === "details") place.open = true;
    if (target) target.scrollIntoView();
  }

  $("header.top")?.append(tools);
  // Without a root this is no page of the daemon's state, so there is nothing to follow.
  if (root !== undefined) tools.append(line);
  addFilter();
  addButtons($("#main"));
  addEventListener("hashchange", reveal);
  reveal();
  if (root !== undefined) follow();
})();
