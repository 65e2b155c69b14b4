"use strict";
// What HTML can't do by itself. Every page works without this file.
(() => {
  document.documentElement.dataset.js = "";

  // The market clock goes on between pages.
  const clock = document.querySelector("[data-clock]");
  if (clock && Number(clock.dataset.speed) > 0) {
    const origin = Number(clock.dataset.clock) / 1000;
    const speed = Number(clock.dataset.speed);
    const since = performance.now();
    const zh = document.documentElement.lang.startsWith("zh");
    const days = zh ? ["周日", "周一", "周二", "周三", "周四", "周五", "周六"]
      : ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun",
      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const two = (number) => String(number).padStart(2, "0");
    const show = () => {
      // China keeps no summer time: eight hours on UTC, always.
      const at = new Date(origin + (performance.now() - since) * speed + 8 * 3600e3);
      const day = days[at.getUTCDay()];
      const date = zh ? `${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())} ${day}`
        : `${day} ${at.getUTCDate()} ${months[at.getUTCMonth()]}`;
      const text = `${date} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
      if (clock.textContent !== text) clock.textContent = text;
    };
    setInterval(show, speed > 1 ? 250 : 1000);
  }

  // A picked period shows itself: by its form, or by the button that stands beside it.
  document.addEventListener("change", (event) => {
    const auto = event.target.closest("[data-auto]");
    if (!auto) return;
    const form = auto.closest("form");
    const button = form === auto ? null : auto.querySelector("button");
    if (!form.reportValidity()) return;
    form.requestSubmit(button);
    // Who goes on by keyboard goes on from the same field of the page that comes.
    window.addEventListener("pagehide", () => {
      const { name } = document.activeElement;
      if (name) sessionStorage.setItem("place", JSON.stringify([location.pathname, name]));
    }, { once: true });
  });
  const [path, name] = JSON.parse(sessionStorage.getItem("place") || "[]");
  sessionStorage.removeItem("place");
  if (path === location.pathname) {
    const reached = document.querySelector(
      `#main [name="${CSS.escape(name)}"]:not([type=hidden], [type=radio])`);
    if (reached) reached.focus({ preventScroll: true });
  }

  // The hours of a week are one stop of the Tab key; arrows go on from hour to hour and day to day.
  const hours = () => [...document.querySelectorAll(".map td a")];
  const stop = (at) => hours().forEach((hour) => { hour.tabIndex = hour === at ? 0 : -1; });
  stop(document.querySelector(".map td.picked a") || hours()[0]);
  document.addEventListener("keydown", (event) => {
    const hour = event.target.closest(".map td a");
    if (!hour) return;
    const all = hours();
    const [cell, row] = [hour.closest("td"), hour.closest("tr")];
    const inDay = (day) => {
      for (let other = day; other; other = event.key === "ArrowUp"
        ? other.previousElementSibling : other.nextElementSibling) {
        const same = other.cells[cell.cellIndex].querySelector("a");
        if (same) return same;
      }
      return null;
    };
    const ways = {
      ArrowRight: () => all[all.indexOf(hour) + 1],
      ArrowLeft: () => all[all.indexOf(hour) - 1],
      ArrowDown: () => inDay(row.nextElementSibling),
      ArrowUp: () => inDay(row.previousElementSibling),
      Home: () => row.querySelector("td a"),
      End: () => [...row.querySelectorAll("td a")].at(-1),
    };
    if (!Object.hasOwn(ways, event.key)) return;
    event.preventDefault();
    const next = ways[event.key]();
    if (!next) return;
    stop(next);
    next.focus();
  });

  // A form is sent once, and without leaving its page: whatever becomes of it, what was typed stays.
  // What was not sent is said, and so is what may or may not have arrived.
  const LONGEST_WAIT = 30e3;
  const notice = document.getElementById("notice");
  const lost = () => {
    const box = document.createElement("div");
    box.className = "notice";
    box.append(document.createElement("p"));
    box.firstChild.textContent = navigator.onLine ? notice.dataset.lost : notice.dataset.unsent;
    notice.replaceChildren(box);
    notice.scrollIntoView({ block: "nearest" });
  };
  const ready = (form) => {
    delete form.dataset.sent;
    form.querySelectorAll("button").forEach((one) => { one.disabled = false; });
  };
  const go = (way) => {
    const onward = new URL(way, location.href);
    const isHere = onward.pathname + onward.search === location.pathname + location.search;
    if (!isHere) {
      location.assign(onward);
      return;
    }
    history.replaceState(null, "", onward);
    location.reload();
  };
  const show = (text) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    const main = page.getElementById("main");
    if (!main) {
      window.htmx.swap(notice, text, { swapStyle: "innerHTML" });
      notice.scrollIntoView({ block: "nearest" });
      return;
    }
    document.title = page.title;
    notice.replaceChildren();
    window.htmx.swap(document.getElementById("main"), main.outerHTML, { swapStyle: "outerHTML" });
    const wrong = document.querySelector("#main [aria-invalid]");
    if (wrong && wrong.matches("input, select, textarea")) wrong.focus();
    else {
      document.getElementById("main").focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  };
  const send = async (form, button) => {
    const has = button && button.hasAttribute("formaction");
    const request = {
      method: "POST",
      body: new URLSearchParams(new FormData(form, button)),
      headers: { "HX-Request": "true", "HX-Boosted": "true" },
      signal: AbortSignal.timeout(LONGEST_WAIT),
    };
    form.dataset.sent = "yes";
    form.querySelectorAll("button").forEach((one) => { one.disabled = true; });
    try {
      const answer = await fetch(has ? button.formAction : form.action, request);
      const text = await answer.text();
      const onward = answer.headers.get("hx-redirect");
      if (onward) {
        form.dataset.done = "yes";
        go(onward);
        return;
      }
      ready(form);
      show(text);
    } catch {
      ready(form);
      lost();
      if (button) button.focus({ preventScroll: true });
    }
  };
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-once]");
    if (!form || !window.htmx) return;
    event.preventDefault();
    if (!form.dataset.sent) send(form, event.submitter);
  });
  // A page that is come back to as it was left shows what has become of its form.
  window.addEventListener("pageshow", () => {
    if (document.querySelector("form[data-done]")) location.reload();
    document.querySelectorAll("form[data-sent]").forEach(ready);
  });
  // What a form keeps by itself as it is typed.
  const isSending = (event) => event.detail.requestConfig.verb !== "get";
  document.addEventListener("htmx:sendError", (event) => { if (isSending(event)) lost(); });
  document.addEventListener("htmx:timeout", (event) => { if (isSending(event)) lost(); });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isSending(event)) notice.replaceChildren();
  });

  // Printing is the browser's; the button is only for who looks for one.
  document.querySelectorAll("[data-print]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => print());
  });

  // A lost feed is said, and so is its return.
  const stale = document.getElementById("stale");
  const live = (state) => {
    document.body.dataset.live = state;
    if (stale) stale.hidden = state !== "lost";
  };

  // A feed that says nothing for so long is dead: its server speaks every three seconds. The
  // network may hang without anything being closed, which no browser notices by itself.
  const SILENCE = 8e3;
  const LONGEST_PAUSE = 30e3;

  // What htmx listens to in place of an EventSource: one that comes back by itself, at first at
  // once and then ever more seldom, and says what the page has, so that it is sent only the rest.
  class Feed extends EventTarget {
    constructor(url) {
      super();
      this.url = new URL(url, location.href);
      this.names = new Set();
      this.pauses = 0;
      this.readyState = EventSource.OPEN;
      this.forward = (event) => {
        if (event.lastEventId) this.url.searchParams.set("last-event-id", event.lastEventId);
        this.heard = performance.now();
        const { data, lastEventId } = event;
        this.dispatchEvent(new MessageEvent(event.type, { data, lastEventId }));
      };
      this.connect();
      setInterval(() => {
        if (this.source && performance.now() - this.heard > SILENCE) this.lose();
      }, 1e3);
      window.addEventListener("offline", () => this.lose());
      window.addEventListener("online", () => this.connect());
      // A page that is left keeps no connection; one that is come back to asks anew.
      window.addEventListener("pagehide", () => this.disconnect());
      window.addEventListener("pageshow", (event) => { if (event.persisted) this.connect(); });
      document.addEventListener("visibilitychange", () => {
        if (!document.hidden && this.pause) this.connect();
      });
    }

    addEventListener(name, listener, options) {
      super.addEventListener(name, listener, options);
      if (this.names.has(name)) return;
      this.names.add(name);
      if (this.source) this.source.addEventListener(name, this.forward);
    }

    connect() {
      this.disconnect();
      this.heard = performance.now();
      this.source = new EventSource(this.url);
      this.source.addEventListener("error", () => this.lose());
      // All that the page shows is as it should be.
      this.source.addEventListener("alive", () => {
        this.heard = performance.now();
        this.pauses = 0;
        live("on");
      });
      this.names.forEach((name) => this.source.addEventListener(name, this.forward));
    }

    disconnect() {
      clearTimeout(this.pause);
      this.pause = 0;
      if (this.source) this.source.close();
      this.source = null;
    }

    lose() {
      this.disconnect();
      live("lost");
      // Not all who lost it at one time come back at one time.
      const pause = Math.min(1e3 * 2 ** this.pauses, LONGEST_PAUSE) * (0.5 + Math.random() / 2);
      this.pauses += 1;
      this.pause = setTimeout(() => this.connect(), pause);
    }

    close() {
      this.readyState = EventSource.CLOSED;
      this.disconnect();
    }
  }
  if (window.htmx) window.htmx.createEventSource = (url) => new Feed(url);

  // What a reader has opened or is in stays so when its part is drawn anew; a part with a field
  // that is being filled in waits until it is left.
  const PLACES = "a, summary";
  const waiting = new Map();
  let opened = [];
  let place = -1;
  const isIn = (part) => part.contains(document.activeElement);
  const isTyped = (text) => text.value !== text.defaultValue;
  const isFilledIn = (part) =>
    isIn(part) && document.activeElement.matches("input, select, textarea, button")
    || [...part.querySelectorAll("textarea")].some(isTyped);
  const note = (part) => {
    opened = [...part.querySelectorAll("details")].map((one) => one.open);
    place = isIn(part) ? [...part.querySelectorAll(PLACES)].indexOf(document.activeElement) : -1;
  };
  const restore = (part) => {
    part.querySelectorAll("details").forEach((one, at) => { if (opened[at]) one.open = true; });
    const reached = place < 0 ? null : part.querySelectorAll(PLACES)[place];
    if (reached) reached.focus({ preventScroll: true });
  };
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    const part = event.target;
    waiting.delete(part);
    if (isFilledIn(part)) {
      waiting.set(part, event.detail.data);
      event.preventDefault();
      return;
    }
    note(part);
  });
  document.addEventListener("htmx:sseMessage", (event) => restore(event.target));
  document.addEventListener("focusout", () => setTimeout(() => {
    waiting.forEach((html, part) => {
      if (isFilledIn(part)) return;
      waiting.delete(part);
      note(part);
      window.htmx.swap(part, html, { swapStyle: "innerHTML" });
      restore(part);
    });
  }));

  // An open menu closes by Escape and by a click elsewhere.
  const menus = () => document.querySelectorAll("details.menu[open], details.account[open]");
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menus().forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); });
  });
  document.addEventListener("click", (event) => {
    menus().forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });
})();
