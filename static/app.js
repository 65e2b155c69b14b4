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
    if (form.reportValidity()) form.requestSubmit(button);
  });

  // A form that costs something is sent once.
  const ready = (form) => {
    delete form.dataset.sent;
    form.querySelectorAll("button").forEach((one) => { one.disabled = false; });
  };
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-once]");
    if (!form) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    setTimeout(() => form.querySelectorAll("button").forEach((one) => { one.disabled = true; }));
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach(ready);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.target.closest("form[data-sent]");
    if (form) ready(form);
  });

  // What may or may not have arrived is said; what was typed stays, and can be sent again.
  const notice = document.getElementById("notice");
  const lost = (event) => {
    if (event.detail.requestConfig.verb === "get") return;
    const box = document.createElement("div");
    box.className = "notice";
    box.append(document.createElement("p"));
    box.firstChild.textContent = notice.dataset.lost;
    notice.replaceChildren(box);
    notice.scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("htmx:sendError", lost);
  document.addEventListener("htmx:timeout", lost);
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.requestConfig.verb !== "get") notice.replaceChildren();
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
