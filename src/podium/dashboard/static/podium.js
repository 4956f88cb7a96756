// Reading needs none of this. It adds: values under the pointer, one line across all charts, a drag that zooms, keys, and a
// look for news while the page is seen. Every text goes through textContent; nothing is ever parsed as HTML but our own pages.
"use strict";
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const at = (when) => new Date(when * 1000).toISOString().replace("T", " ").slice(0, 16) + " UTC";
  const make = (name, text, className) => {
    const node = document.createElement(name);
    if (text !== undefined) node.textContent = text;
    if (className) node.className = className;
    return node;
  };
  let tip = null;
  const known = new WeakMap();
  const dataOf = (chart) => {
    if (!known.has(chart)) {
      const data = JSON.parse(chart.dataset.chart);
      if (data.even) data.times = Array.from({ length: data.even[2] }, (_, number) => data.even[0] + number * data.even[1]);
      for (const series of data.series) series.texts = series.texts.split("|");
      known.set(chart, data);
    }
    return known.get(chart);
  };
  const whenOf = (chart, clientX) => {
    const data = dataOf(chart), box = chart.getBoundingClientRect();
    const share = ((clientX - box.left) / box.width - data.left) / (data.right - data.left);
    return data.from + Math.min(Math.max(share, 0), 1) * (data.to - data.from);
  };
  const xOf = (chart, when) => {
    const data = dataOf(chart), width = chart.viewBox.baseVal.width;
    return width * (data.left + ((when - data.from) / (data.to - data.from)) * (data.right - data.left));
  };
  const nearest = (times, when) => {
    let best = -1;
    times.forEach((time, number) => { if (best < 0 || Math.abs(time - when) < Math.abs(times[best] - when)) best = number; });
    return best;
  };
  const hide = () => { if (tip) tip.remove(); tip = null; $$(".chart.live").forEach((chart) => chart.classList.remove("live")); };
  const show = (chart, when) => {
    const data = dataOf(chart), number = nearest(data.times, when);
    if (number < 0) return;
    const time = data.times[number];
    for (const each of $$(".chart.lines")) {
      const line = $(".cursor", each), x = xOf(each, time);
      line.setAttribute("x1", x); line.setAttribute("x2", x); each.classList.add("live");
    }
    if (tip) tip.remove();
    tip = make("div", undefined, "tip");
    tip.append(make("time", at(time)));
    for (const series of data.series) {
      const row = make("div"), mark = make("i", undefined, series.tone);
      row.append(mark, make("span", series.label), make("b", series.texts[number]));
      tip.append(row);
    }
    for (const event of data.events) if (Math.abs(event.at - time) <= (data.to - data.from) / 80) tip.append(make("div", event.label));
    document.body.append(tip);
    const box = chart.getBoundingClientRect(), x = box.left + (xOf(chart, time) / chart.viewBox.baseVal.width) * box.width;
    const left = x + 14 + tip.offsetWidth > innerWidth ? x - 14 - tip.offsetWidth : x + 14;
    // Through the object model: a style attribute would be refused by the page's own policy.
    tip.style.left = `${Math.max(left, 4)}px`;
    tip.style.top = `${Math.max(box.top + 8, 4)}px`;
  };
  const go = (changes) => {
    const address = new URL(location.href);
    for (const [name, value] of Object.entries(changes)) value === null ? address.searchParams.delete(name) : address.searchParams.set(name, value);
    location.assign(address);
  };
  const span = (from, to) => go({ range: null, from: Math.round(from), to: Math.round(to) });

  let drag = null, cursor = 0;
  document.addEventListener("pointermove", (event) => {
    const chart = drag ? drag.chart : event.target.closest && event.target.closest(".chart.lines");
    if (!chart) { if (!drag) hide(); return; }
    const when = whenOf(chart, event.clientX);
    show(chart, when);
    if (drag) {
      const brush = $(".brush", chart), ends = [xOf(chart, drag.when), xOf(chart, when)].sort((one, other) => one - other);
      brush.setAttribute("x", ends[0]); brush.setAttribute("width", ends[1] - ends[0]);
    }
  });
  document.addEventListener("pointerdown", (event) => {
    const chart = event.button === 0 && event.target.closest && event.target.closest(".chart.lines");
    if (chart) { drag = { chart, when: whenOf(chart, event.clientX), x: event.clientX }; event.preventDefault(); chart.focus({ preventScroll: true }); }
  });
  document.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { chart, when, x } = drag;
    drag = null;
    $(".brush", chart).setAttribute("width", 0);
    const ends = [when, whenOf(chart, event.clientX)].sort((one, other) => one - other);
    if (Math.abs(event.clientX - x) > 8 && ends[1] - ends[0] >= 60) span(ends[0], ends[1]);
  });
  document.addEventListener("scroll", hide, { passive: true });

  const screens = { o: "/", r: "/registry", l: "/rollouts", x: "/experiments", e: "/environments", s: "/system", a: "/alerts" };
  let after = "";
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
    if (event.key === "Escape") { hide(); if (typing) document.activeElement.blur(); return; }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const chart = document.activeElement.closest(".chart.lines");
    if (chart && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      const times = dataOf(chart).times;
      cursor = Math.min(Math.max(cursor + (event.key === "ArrowLeft" ? -1 : 1), 0), times.length - 1);
      show(chart, times[cursor]); event.preventDefault(); return;
    }
    if (after === "g" && Object.hasOwn(screens, event.key)) { location.assign(screens[event.key]); return; }
    after = event.key;
    if (event.key === "/") { const field = $("input[type=search]"); if (field) { field.focus(); event.preventDefault(); } }
    if (event.key === "?") { const dialog = $("#keys"); dialog.open ? dialog.close() : dialog.showModal(); }
    const from = Number($("main").dataset.from), to = Number($("main").dataset.to), length = to - from;
    if (!length) return;
    if (event.key === "[") span(from - length / 2, to - length / 2);
    if (event.key === "]") span(from + length / 2, to + length / 2);
    if (event.key === "-") span(from - length / 2, to + length / 2);
    if (event.key === "+" || event.key === "=") span(from + length / 4, to - length / 4);
  });

  // News: the same page again, while it is seen and nobody is in the middle of something.
  const refresh = async () => {
    const main = $("main"), seconds = Number(main.dataset.refresh);
    const isBusy = () => document.hidden || drag || $("dialog[open]") || document.activeElement.tagName === "INPUT" || tip || $("main details[open]");
    if (seconds && !isBusy()) {
      try {
        const response = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "error" });
        if (response.ok && !isBusy()) {
          const fresh = new DOMParser().parseFromString(await response.text(), "text/html"), next = $("main", fresh), nav = $(".side nav", fresh);
          const focus = document.activeElement.id;
          if (next) { main.replaceWith(document.adoptNode(next)); begin(); if (focus && document.getElementById(focus)) document.getElementById(focus).focus({ preventScroll: true }); }
          if (nav) $(".side nav").replaceWith(document.adoptNode(nav));
        } else if (!response.ok) stale();
      } catch { stale(); }
    }
    wait(seconds);
  };
  let timer = 0;
  const wait = (seconds) => { clearTimeout(timer); timer = setTimeout(refresh, 1000 * (seconds || 10)); };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { clearTimeout(timer); refresh(); } });
  const stale = () => { const foot = $(".foot span"); if (foot && !foot.dataset.stale) { foot.dataset.stale = "1"; foot.textContent += " The dashboard does not answer now; this is what it said last."; } };
  const begin = () => { $$(".keys").forEach((each) => { each.hidden = false; }); };
  begin();
  wait(Number($("main").dataset.refresh));
})();
