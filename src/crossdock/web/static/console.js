// The console's own behaviour: theme, live news, linked values, copying. No framework, no inline code anywhere.
(() => {
  "use strict";
  const root = document.documentElement;
  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));
  const remember = (name, value) => { try { localStorage.setItem(name, value); } catch { /* not allowed: forget */ } };
  const recall = (name) => { try { return localStorage.getItem(name); } catch { return null; } };

  // Theme: system, light, dark in turn.
  const nextTheme = () => {
    const order = ["system", "light", "dark"];
    const now = root.classList.contains("dark") ? "dark" : root.classList.contains("light") ? "light" : "system";
    const next = order[(order.indexOf(now) + 1) % order.length];
    root.classList.remove("dark", "light");
    if (next !== "system") root.classList.add(next);
    remember("crossdock-theme", next);
    say(`Theme: ${next}`);
  };

  // Polite announcements, at most one every ten seconds; the last one wins.
  let announceTimer = 0, announceLast = 0, announceText = "";
  const say = (text) => {
    announceText = text;
    if (announceTimer) return;
    const wait = Math.max(0, 10_000 - (Date.now() - announceLast));
    announceTimer = setTimeout(() => {
      announceTimer = 0; announceLast = Date.now();
      const place = find("#announcer");
      if (place) place.textContent = announceText;
    }, wait);
  };

  // Live: events are counted, never pushed under the pointer. A calm page refreshes itself, a busy one offers "12 new – show".
  // The page says up to where it knows the journal, so what happens between its making and the stream's opening is news too.
  let source = null, cursor = find("[data-live]")?.dataset.cursor ?? "", fresh = 0, refreshTimer = 0, openedAt = 0;
  const liveButton = () => find("[data-live]");
  const page = () => find("#page");
  const concerns = (event) => {
    const scope = page()?.dataset.liveScope ?? "";
    return scope === "" || event.subject === scope || event.correlationid === scope;
  };
  const busy = () => {
    const here = page();
    if (!here) return true;
    const focus = document.activeElement;
    return here.matches(":hover") || (focus && focus !== document.body && here.contains(focus)) || !!find("details[open]", here);
  };
  const showNews = () => {
    const news = find("#news");
    if (!news) return;
    news.hidden = fresh === 0;
    news.textContent = `${fresh} new – show`;
    if (fresh) say(`${fresh} new events`);
  };
  const refresh = async () => {
    const here = page();
    if (!here || !window.htmx) return;
    fresh = 0; showNews();
    await window.htmx.ajax("GET", location.pathname + location.search, { source: here, target: "#page", select: "#page", swap: "outerMorph" });
  };
  const onEvent = (message) => {
    cursor = message.lastEventId || cursor;
    let event;
    try { event = JSON.parse(message.data); } catch { return; }
    if (!concerns(event)) return;
    fresh += 1;
    showNews();
    if (page()?.dataset.live === "auto" && !refreshTimer) {
      refreshTimer = setTimeout(() => { refreshTimer = 0; if (fresh && !busy()) refresh(); }, 900);
    }
  };
  const open = () => {
    const button = liveButton();
    if (!button || source || button.getAttribute("aria-pressed") !== "true") return;
    const address = new URL(button.dataset.live, location.href);
    if (cursor) address.searchParams.set("after", cursor);
    source = new EventSource(address);
    openedAt = Date.now();
    source.addEventListener("crossdock", onEvent);
    source.addEventListener("cursor", (message) => { cursor = message.lastEventId || cursor; });
    source.onerror = () => { if (source && source.readyState === EventSource.CLOSED) { close(); setTimeout(open, Date.now() - openedAt < 5_000 ? 5_000 : 500); } };
  };
  const close = () => { source?.close(); source = null; };
  const setLive = (on) => {
    const button = liveButton();
    if (!button) return;
    button.setAttribute("aria-pressed", String(on));
    const words = find(".words", button);
    if (words) words.textContent = on ? "Live" : "Paused";
    remember("crossdock-live", on ? "on" : "off");
    if (on) open(); else close();
  };
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else open(); });
  window.addEventListener("pagehide", close);

  // Linked values: what is the same in the three panes lights up together.
  let pinned = null;
  const light = (name) => {
    for (const element of all(".val.lit")) element.classList.remove("lit");
    if (name) for (const element of all(`.val[data-v="${CSS.escape(name)}"]`)) element.classList.add("lit");
  };
  const valueOf = (target) => target instanceof Element ? target.closest(".val") : null;
  const bring = (value) => {
    const home = value.closest("pre");
    for (const pane of all(".pane pre")) {
      if (pane === home) continue;
      const twin = find(`.val[data-v="${CSS.escape(value.dataset.v)}"]`, pane);
      if (twin) pane.scrollTo({ top: Math.max(0, twin.offsetTop - pane.offsetTop - pane.clientHeight / 2) });
    }
  };
  document.addEventListener("mouseover", (event) => { const value = valueOf(event.target); if (value) light(value.dataset.v); else light(pinned); });
  document.addEventListener("focusin", (event) => { const value = valueOf(event.target); if (value) light(value.dataset.v); });
  const walk = (event) => {
    const pane = event.target instanceof Element ? event.target.closest(".pane pre") : null;
    if (!pane || !["ArrowRight", "ArrowLeft", "Enter", "Escape"].includes(event.key)) return;
    if (event.key === "Escape") { pinned = null; light(null); return; }
    const values = all(".val", pane);
    if (!values.length) return;
    const at = values.indexOf(document.activeElement);
    if (event.key === "Enter") { if (at >= 0) { pinned = values[at].dataset.v; light(pinned); bring(values[at]); } return; }
    event.preventDefault();
    const next = values[(at + (event.key === "ArrowRight" ? 1 : values.length - 1) + (at < 0 && event.key === "ArrowLeft" ? 1 : 0)) % values.length];
    next.focus();
  };

  const copy = async (button) => {
    const text = find(button.dataset.copy)?.textContent ?? "";
    try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; } catch { button.textContent = "Select and copy"; }
    setTimeout(() => { button.textContent = "Copy"; }, 1_500);
  };

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    const value = valueOf(target);
    if (value) { pinned = pinned === value.dataset.v ? null : value.dataset.v; light(pinned); bring(value); return; }
    const button = target.closest("button");
    if (button?.matches("[data-theme]")) nextTheme();
    else if (button?.matches("[data-live]")) setLive(button.getAttribute("aria-pressed") !== "true");
    else if (button?.id === "news") refresh();
    else if (button?.matches("[data-copy]")) copy(button);
    for (const menu of all(".copy-menu[open]")) if (!menu.contains(target)) menu.removeAttribute("open");
    if (!target.closest(".finder")) { const results = find("#finder-results"); if (results) results.replaceChildren(); }
  });

  document.addEventListener("keydown", (event) => {
    walk(event);
    const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "Escape") {
      const results = find("#finder-results");
      if (results && results.childElementCount) { results.replaceChildren(); find("#finder")?.focus(); }
      for (const menu of all(".copy-menu[open]")) menu.removeAttribute("open");
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const links = all("#finder-results a");
      if (!links.length || !(event.target instanceof Element) || !event.target.closest(".finder")) return;
      event.preventDefault();
      const at = links.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
      (links[at] ?? find("#finder")).focus();
    } else if (!typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const rows = all("#page a.key");
      if (event.key === "j" || event.key === "k") {
        const at = rows.indexOf(document.activeElement) + (event.key === "j" ? 1 : -1);
        rows[Math.min(Math.max(at, 0), rows.length - 1)]?.focus();
      }
    }
  });

  document.addEventListener("DOMContentLoaded", () => {
    if (recall("crossdock-live") === "off") setLive(false); else open();
    const box = find("#finder");
    if (!box) return;
    box.form?.addEventListener("submit", (event) => { if (!box.value.trim()) event.preventDefault(); });
    // What was typed before this script was there: suggest for it now, as if it were typed this moment.
    if (box === document.activeElement && box.value.trim()) setTimeout(() => box.dispatchEvent(new Event("input", { bubbles: true })));
  });
})();
